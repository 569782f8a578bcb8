"""What each part does at the moment, as a file that `tre status` reads.

Decides the form of that file and what of it is still true: a process is known by its pid and start time, so a file left
by a supervisor that was killed does not lie. Leaves changes to the supervisor.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from tre.settings import Settings
from tre.stack.process import Identity


class State(StrEnum):
    waiting = "waiting"
    starting = "starting"
    ready = "ready"
    done = "done"
    restarting = "restarting"
    failed = "failed"
    stopping = "stopping"
    stopped = "stopped"


@dataclass(frozen=True)
class PartStatus:
    """`since` is when the state began (UTC, ISO 8601); `reason` says in words why it is not ready, if it should be."""

    name: str
    state: State = State.waiting
    pid: int = 0
    started: int = 0
    since: str = ""
    restarts: int = 0
    reason: str = ""
    #: Proportional set size of the part and its children, bytes; 0 where it does not run. Only in what `read` returns.
    memory: int = 0

    def is_alive(self) -> bool:
        return self.pid > 0 and Identity(self.pid, self.started).is_alive()

    def changed(self, state: State, **more: Any) -> PartStatus:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        return replace(self, state=state, since=now, **more)


def status_file(settings: Settings) -> Path:
    return settings.run / "status.json"


def write(settings: Settings, supervisor: Identity, parts: list[PartStatus]) -> None:
    """Replace the file, whole or not at all."""
    body = {"supervisor": asdict(supervisor), "parts": [asdict(part) for part in parts]}
    path = status_file(settings)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(body))
    os.replace(new, path)


def read_raw(settings: Settings) -> tuple[Identity | None, list[PartStatus]]:
    """What the last supervisor wrote, true or not; (None, []) where there is nothing readable."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        body = json.loads(status_file(settings).read_text())
        parts = [PartStatus(**{**part, "state": State(part["state"])}) for part in body["parts"]]
        return Identity(**body["supervisor"]), parts
    return None, []


def read(settings: Settings) -> list[PartStatus]:
    """The parts as they are now; [] where no supervisor runs. A part whose process is gone is never called ready."""
    supervisor, parts = read_raw(settings)
    if supervisor is None or not supervisor.is_alive():
        return []
    return [as_it_is(part) for part in parts]


def as_it_is(part: PartStatus) -> PartStatus:
    if part.pid and not part.is_alive():
        state = part.state if part.state in (State.done, State.stopped, State.failed) else State.restarting
        return replace(part, state=state, pid=0, started=0)
    return replace(part, memory=memory_of(part.pid)) if part.pid else part


def memory_of(pid: int) -> int:
    """Bytes of memory of a process and its children, shared pages counted in proportion."""
    total = 0
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        for one in (leader, *leader.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total
