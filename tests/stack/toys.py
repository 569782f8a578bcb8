"""Small parts for the supervisor's tests: Python one-liners that listen, die or refuse to end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tre.settings import Settings
from tre.stack import status
from tre.stack.part import Part
from tre.stack.status import PartStatus, State

MARK = "import os, signal, sys, time\nopen({mark!r}, 'w').write(str(os.getpid()))\n"


def toy(name: str, code: str = "time.sleep(600)", *, needs: tuple[str, ...] = (), **more) -> Part:
    """A part that writes its pid to run/NAME and then runs `code`; ready when that file is there."""

    def argv(settings: Settings) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", MARK.format(mark=str(settings.run / name)) + code]

    def prepare(settings: Settings) -> None:
        (settings.run / name).unlink(missing_ok=True)

    ready = more.pop("ready", lambda settings: (settings.run / name).exists())
    return Part(name, argv=argv, ready=ready, needs=needs, prepare=prepare, **more)


def wait_until(what: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def part_of(settings: Settings, name: str) -> PartStatus:
    return next((part for part in status.read(settings) if part.name == name), PartStatus(name))


def is_ready(settings: Settings, *names: str) -> bool:
    return all(part_of(settings, name).state in (State.ready, State.done) for name in names)


SUPERVISE = """
import asyncio, signal, sys
from tre.settings import Settings
from tre.stack.supervisor import Supervisor, only_one, end_leftovers
from {module} import PARTS
settings = Settings.load()
async def main():
    supervisor = Supervisor(settings, PARTS, lambda part: None)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop.set)
    await supervisor.run(lambda: None)
with only_one(settings):
    end_leftovers(settings, PARTS)
    asyncio.run(main())
"""


@contextlib.contextmanager
def supervising(settings: Settings, module: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor of `module.PARTS` in a process of its own, which may be killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE.format(module=module)],
        env={**os.environ, **settings.environment()},
        cwd=Path(__file__).parents[2],
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait(60)
