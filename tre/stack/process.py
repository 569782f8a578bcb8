"""One child process: started so that it does not outlive us, known by pid and start time, stopped for certain.

Decides how a process is identified (a pid alone may belong to someone else after a restart) and how it is ended. Leaves
which processes there are, and when, to the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHILD = str(Path(__file__).with_name("child.py"))
LOG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Identity:
    """A process for as long as it lives: `started` is in clock ticks since boot (field 22 of /proc/PID/stat)."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Runs it still? A zombie does not."""
        found = read_stat(self.pid)
        return found is not None and found == (self.started, False)

    def send(self, number: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def identify(pid: int) -> Identity | None:
    """The identity of a running process, None where there is none."""
    found = read_stat(pid)
    return Identity(pid, found[0]) if found else None


def read_stat(pid: int) -> tuple[int, bool] | None:
    """(start time in ticks, is a zombie) of a process; None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, blanks and parentheses too: count from the last one.
    fields = text.rpartition(")")[2].split()
    return int(fields[19]), fields[0] == "Z"


def start(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    stop_signal: int = signal.SIGTERM,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, output appended to `log`, which gets `stop_signal` when we die.

    The process has the returned pid, but for its first moments it is the interpreter that asks for that signal.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    turn_over(log)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", CHILD, str(os.getpid()), str(int(stop_signal)), "--", *argv],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def turn_over(log: Path) -> None:
    """Keep one older log of at most LOG_BYTES."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))


def shorten(log: Path) -> None:
    """The same for a log that a running process appends to: the end of it is kept beside it, and it begins again."""
    with contextlib.suppress(FileNotFoundError):
        size = log.stat().st_size
        if size > LOG_BYTES:
            with log.open("rb") as file, log.with_name(log.name + ".1").open("wb") as older:
                file.seek(size - LOG_BYTES)
                os.fchmod(older.fileno(), 0o600)
                older.write(file.read(LOG_BYTES))
            os.truncate(log, 0)


def stop(process: subprocess.Popen[bytes], stop_signal: int = signal.SIGTERM, seconds: float = 10.0) -> int:
    """End a child: `stop_signal`, and SIGKILL to its whole session where it does not end in time. Returns its code."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_session(process.pid)
        return process.wait()


def stop_foreign(identity: Identity, stop_signal: int, seconds: float = 10.0) -> None:
    """End a process that is not our child: one that an earlier supervisor left."""
    identity.send(stop_signal)
    until = time.monotonic() + seconds
    while identity.is_alive():
        if time.monotonic() > until:
            identity.send(signal.SIGKILL)
        time.sleep(0.02)


def kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
