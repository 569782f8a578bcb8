"""Traps in a workspace's home, laid and taken away through the guard's contents API, as the workspace's owner, who may.

Decides that they go whatever happens: at the end, and what an attempt that was killed has left, before the next. What
stays all the same makes the report a failure. Hidden folders are not reached in this way: what a Jupyter server would
give out from there is judged without a marker, by a success or by the workspace's own server having answered at all.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Iterator
from typing import Any

from tre.door.probes.guard import COUNT, TRAPS, WALL, Door, Trap, attempts, is_the_workspaces, name_of
from tre.door.probes.raw import RawHttp
from tre.workspaces.probes.report import Result

OURS = re.compile(r"tre-verify-[0-9a-f]{8}\.(txt|ipynb)")
#: Of what was left before, so many go at a time: it is the workspace that says how much that is.
MOST = 10
#: By which somebody ends an attempt early; what was laid is taken away all the same.
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def with_traps_in_the_home(door: Door, *, count: int = COUNT) -> list[Result]:
    """Lay the traps, ask for them in every way, take them away."""
    trap = Trap()
    with door.opened() as owner:
        take_away(owner, door, of_earlier_attempts(owner, door))
    try:
        with door.opened() as owner:
            problem = lay(owner, door, trap)
        found = attempts(door, trap, count=count, problem=problem)
    finally:
        with undisturbed(), door.opened() as owner:
            left = take_away(owner, door, list(models(trap)))
    return [*found, still_there(door, left)] if left else found


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Who ends us now waits until this is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def models(trap: Trap) -> dict[str, dict[str, Any]]:
    """Name → the contents API's model of the file, each with the marker in it."""
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": trap.marker}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return {
        f"{trap.name}.txt": {"type": "file", "format": "text", "content": trap.marker},
        f"{trap.name}.ipynb": {"type": "notebook", "format": "json", "content": notebook},
    }


def lay(owner: RawHttp, door: Door, trap: Trap) -> str:
    """Why not all of them lie there, "" where they do."""
    for name, model in models(trap).items():
        status, _ = owner.ask("PUT", address(door, name), json.dumps(model).encode())
        if status not in (200, 201):
            return f"the owner could not write {name}: answered with {status}"
    return ""


def take_away(owner: RawHttp, door: Door, names: list[str]) -> list[str]:
    """Those that may still be there."""
    return [name for name in names if not is_gone(*owner.ask("DELETE", address(door, name)))]


def is_gone(status: int, answer: bytes) -> bool:
    """Only the workspace's own server knows that nothing is there; a guard that serves nothing says so of all."""
    return status == 204 or (status == 404 and is_the_workspaces(answer))


def of_earlier_attempts(owner: RawHttp, door: Door) -> list[str]:
    """What one that was killed has left in the home; the workspace's word for it, and our own names alone."""
    _, answer = owner.ask("GET", f"{door.base}api/contents?content=1")
    try:
        listed = json.loads(answer.partition(b"\r\n\r\n")[2])
        names = [str(each["name"]) for each in listed["content"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return [name for name in names if OURS.fullmatch(name)][:MOST]


def address(door: Door, name: str) -> str:
    return f"{door.base}api/contents/{name}"


def still_there(door: Door, names: list[str]) -> Result:
    tries, detail = "take away again what was laid in the home", f"nobody said that they are gone: {', '.join(names)}"
    return Result(name_of(TRAPS), door.workspace_id, WALL, tries, "could_not_run", detail)
