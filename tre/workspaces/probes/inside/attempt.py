"""What an attempt is, and how each is run: alone, in a process of its own, within a time.

Decides the three answers. An attempt returns a sentence that says what it reached, or None where it was refused; an
`OSError` is a refusal with its reason. Everything else means that it could not run, and nobody may take that for a
wall.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Given = dict[str, Any]
SECONDS = 20.0
# To fill gigabytes on a busy machine takes its time.
BOMB_SECONDS = 90.0


@dataclass(frozen=True)
class Attempt:
    """One attempt: its name, the wall that must stop it, what it tries, and how. `needs` names a target it aims at;
    without an answer within `seconds` it could not run.
    """

    name: str
    wall: str
    tries: str
    run: Callable[[Given], str | None]
    needs: str = ""
    seconds: float = SECONDS


ATTEMPTS: dict[str, Attempt] = {}


class Killed(Exception):
    """The kernel killed the attempt: a refusal."""


def attempt(
    wall: str, tries: str, needs: str = "", seconds: float = SECONDS
) -> Callable[[Callable[[Given], str | None]], Callable[[Given], str | None]]:
    """Register an attempt under its function's name."""

    def register(run: Callable[[Given], str | None]) -> Callable[[Given], str | None]:
        name = run.__name__.replace("_", "-")
        ATTEMPTS[name] = Attempt(name, wall, tries, run, needs, seconds)
        return run

    return register


def outcome(one: Attempt, given: Given) -> tuple[str, str]:
    """(verdict, detail) of an attempt made in this very process."""
    try:
        reached = one.run(given)
    except Killed as killed:
        return "refused", str(killed)
    except OSError as error:
        if error.errno is None and not isinstance(error, TimeoutError):
            return "could_not_run", f"{type(error).__name__}: {error}"
        return "refused", errno.errorcode.get(error.errno or errno.ETIMEDOUT, str(error.errno))
    except BaseException as error:
        return "could_not_run", f"{type(error).__name__}: {error}"
    return ("refused", "nothing there") if reached is None else ("reached", reached)


def alone(one: Attempt, given: Given) -> tuple[str, str]:
    """The same in a process group of its own, killed when its time is over."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reading)
        os.write(writing, json.dumps(outcome(one, given)).encode() + b"\n")
        os._exit(0)
    os.close(writing)
    text = b""
    end = time.monotonic() + one.seconds
    while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reading, 1 << 16)
        if not part:
            break
        text += part
        if text.endswith(b"\n"):
            break  # what a bomb left behind may still hold the other end
    os.close(reading)
    for target in (-child, child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text:
        verdict, detail = json.loads(text)
        return verdict, detail
    # Its time was not over, so it was not killed from here.
    if os.WIFSIGNALED(status) and time.monotonic() < end:
        return "refused", f"killed by signal {os.WTERMSIG(status)}"
    return "could_not_run", "no answer in time"


def main(given: Given) -> None:
    """Run the attempts named in `given["names"]`, one JSON line each."""
    for name in given["names"]:
        verdict, detail = alone(ATTEMPTS[name], given)
        sys.stdout.write(json.dumps({"name": name, "verdict": verdict, "detail": detail[:500]}) + "\n")
        sys.stdout.flush()
