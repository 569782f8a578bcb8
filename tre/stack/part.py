"""One part of the platform as data: how it is started, when it is ready, what it needs, how it is stopped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tre.settings import Settings
from tre.stack import cgroups

#: Taken over from whoever starts the platform; everything else stays out of the parts.
KEPT = ("HOME", "LANG", "TZ", "TRE_HTTPS", "HTTPS_PROXY", "NO_PROXY", cgroups.VARIABLE)


def nothing(settings: Settings) -> None:
    """No preparation."""


def environment(settings: Settings) -> dict[str, str]:
    """A part's whole environment. No secret is ever in it."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
    return {"LANG": "C.UTF-8", **kept, "PATH": path, "PYTHONUNBUFFERED": "1", **settings.environment()}


@dataclass(frozen=True)
class Part:
    """`prepare` runs before each start; `answers` says that the process listens; `provision` runs then, each time, and
    may be broken off anywhere; `ready` says that others may use it. All may block: they run beside the supervisor.
    """

    name: str
    argv: Callable[[Settings], list[str]]
    ready: Callable[[Settings], bool]
    needs: tuple[str, ...] = ()
    prepare: Callable[[Settings], None] = nothing
    answers: Callable[[Settings], bool] | None = None
    provision: Callable[[Settings], None] = nothing
    environment: Callable[[Settings], dict[str, str]] = environment
    stop_signal: int = signal.SIGTERM
    #: Runs once to its end; ready where that was 0.
    one_shot: bool = False
    start_seconds: float = 60.0
    stop_seconds: float = 10.0
    #: Share of the machine's memory that the part and its children may take; 0: all, for what no stranger's statement
    #: makes work. See `shares`.
    memory_share: float = 0.0


def check_parts(parts: tuple[Part, ...]) -> None:
    """Raise ValueError where a name is taken twice or a part needs one that does not stand before it."""
    seen: set[str] = set()
    for part in parts:
        if part.name in seen or not seen.issuperset(part.needs):
            raise ValueError(f"{part.name} is named twice or needs a part that does not stand before it")
        seen.add(part.name)
