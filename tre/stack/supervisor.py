"""Starting parts in order, watching them, restarting what dies, stopping all.

Decides when each part is started and stopped. A part starts once those it needs are ready; one that dies is started
again after a pause that grows, with the reason to see; at the end each stops after those that need it. Leaves what the
parts are to `platform`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from tre.errors import Broken, Conflict, TreError, Unavailable
from tre.settings import Settings, make_private_folder
from tre.stack import cgroups, process, shares, status
from tre.stack.part import Part, check_parts
from tre.stack.status import PartStatus, State

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
#: A part that was ready for so long starts with the first pause again.
STEADY_SECONDS = 60.0
#: Before the platform was ever ready, a part that dies so often stops the whole start. Six, since a server that was
#: killed with everything else keeps its lock until the machine has cleared the dead process away.
TRIES = 6
PROBE_SECONDS = 0.05
LOG_SECONDS = 10.0
#: In the state folder while a restore moves things to their places.
RESTORING = "restoring"

Report = Callable[[PartStatus], None]


class Died(Exception):
    """A part's process ended, or never became ready; the words are the reason."""


class Supervisor:
    """One run of the platform. `run` returns when it was told to stop and everything has stopped."""

    def __init__(self, settings: Settings, parts: tuple[Part, ...], report: Report) -> None:
        check_parts(parts)
        self.settings = settings
        self.parts = parts
        self.report = report
        self.states = {part.name: PartStatus(part.name) for part in parts}
        self.ready = {part.name: asyncio.Event() for part in parts}
        self.ended = {part.name: asyncio.Event() for part in parts}
        self.stop = asyncio.Event()
        self.groups = cgroups.from_environment(os.environ)
        self.was_ready = False
        self.failure = ""
        own = process.identify(os.getpid())
        assert own is not None
        self.identity = own

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Raises Unavailable where a part does not come up the first time, after stopping the others."""
        tasks = [asyncio.create_task(self.keep(part)) for part in self.parts]
        announce = asyncio.create_task(self.announce(on_ready))
        tasks.append(asyncio.create_task(self.keep_logs_short()))
        await self.stop.wait()
        announce.cancel()
        await asyncio.gather(*tasks)
        with contextlib.suppress(asyncio.CancelledError):
            await announce
        if self.failure:
            raise Unavailable(self.failure, hint=f"Its log is in {self.settings.logs}; `tre doctor` may say more.")

    async def announce(self, on_ready: Callable[[], None]) -> None:
        for event in self.ready.values():
            await event.wait()
        self.was_ready = True
        on_ready()

    async def keep_logs_short(self) -> None:
        """What people do makes parts write: whoever does it without end must not fill the disk."""
        while not self.stop.is_set():
            for part in self.parts:
                await asyncio.to_thread(process.shorten, self.log(part))
            await self.unless_stopped(asyncio.sleep(LOG_SECONDS))

    async def keep(self, part: Part) -> None:
        """One part from its first start to its stop."""
        pause, tries = FIRST_PAUSE, 0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                await self.live(part)
                break
            except (Died, TreError, OSError) as error:
                tries += 1
                reason = error.message if isinstance(error, TreError) else str(error)
                if not self.was_ready and (tries >= TRIES or part.one_shot):
                    self.change(part, State.failed, reason=reason, pid=0, started=0)
                    self.failure = self.failure or f"{part.name} did not start: {reason}"
                    self.stop.set()
                    break
                pause = FIRST_PAUSE if time.monotonic() - began > STEADY_SECONDS else pause
                restarts = self.states[part.name].restarts + 1
                self.change(part, State.restarting, reason=reason, pid=0, started=0, restarts=restarts)
                await self.unless_stopped(asyncio.sleep(pause))
                pause = min(pause * 2, LONGEST_PAUSE)
        if self.states[part.name].state != State.failed:
            self.change(part, State.stopped, pid=0, started=0)
        self.ended[part.name].set()

    async def live(self, part: Part) -> None:
        """One life of a part: returns when it was stopped on request, raises Died otherwise."""
        for need in part.needs:
            await self.unless_stopped(self.ready[need].wait())
        if self.stop.is_set():
            return
        self.change(part, State.starting)
        await asyncio.to_thread(part.prepare, self.settings)
        child = self.start(part)
        over = asyncio.create_task(exit_of(child))
        try:
            await self.unless_stopped(self.become_ready(part, child, over))
            if part.one_shot and not self.stop.is_set():
                self.change(part, State.done, pid=0, started=0)
                self.ready[part.name].set()
                await self.stop.wait()
                # What it needs must not stop before what needs it.
                await self.wait_for_dependents(part)
                return
            if not self.stop.is_set():
                self.change(part, State.ready, reason="")
                self.ready[part.name].set()
                await self.unless_stopped(asyncio.shield(over))
            if not self.stop.is_set():
                raise Died(f"its process ended with {words_for(child)}")
            await self.wait_for_dependents(part)
        finally:
            self.ready[part.name].clear()
            await self.end(part, child, over)

    def start(self, part: Part) -> subprocess.Popen[bytes]:
        child = process.start(
            part.argv(self.settings),
            environment=part.environment(self.settings),
            log=self.settings.logs / f"{part.name}.log",
            stop_signal=part.stop_signal,
            folder=self.settings.state,
        )
        if part.memory_share:
            shares.bound(self.groups, part.name, child.pid, part.memory_share)
        identity = process.identify(child.pid)
        self.change(part, State.starting, pid=child.pid, started=identity.started if identity else 0)
        return child

    async def become_ready(self, part: Part, child: subprocess.Popen[bytes], over: asyncio.Task[None]) -> None:
        """Returns when the part may be used; raises Died where it ends or takes too long."""
        until = time.monotonic() + part.start_seconds
        if part.one_shot:
            await asyncio.wait_for(asyncio.shield(over), part.start_seconds)
            if child.returncode:
                raise Died(f"it failed with {words_for(child)}: {last_line(self.log(part))}")
        else:
            if part.answers is not None:
                await self.probe(part, part.answers, child, until)
            await asyncio.to_thread(part.provision, self.settings)
            await self.probe(part, part.ready, child, until)

    async def probe(
        self, part: Part, ask: Callable[[Settings], bool], child: subprocess.Popen[bytes], until: float
    ) -> None:
        while not await asyncio.to_thread(ask, self.settings):
            if child.poll() is not None:
                raise Died(f"its process ended with {words_for(child)}: {last_line(self.log(part))}")
            if time.monotonic() > until:
                raise Died(f"it was not ready within {part.start_seconds:.0f} s")
            await asyncio.sleep(PROBE_SECONDS)

    async def wait_for_dependents(self, part: Part) -> None:
        for other in self.parts:
            if part.name in other.needs:
                await self.ended[other.name].wait()

    async def end(self, part: Part, child: subprocess.Popen[bytes], over: asyncio.Task[None]) -> None:
        if child.poll() is None:
            self.change(part, State.stopping)
            await asyncio.to_thread(process.stop, child, part.stop_signal, part.stop_seconds)
        process.kill_session(child.pid)
        await over

    async def unless_stopped(self, waiting: Awaitable[Any]) -> None:
        """Wait for something, or for the order to stop."""
        wanted = asyncio.ensure_future(waiting)
        stop = asyncio.ensure_future(self.stop.wait())
        done, _ = await asyncio.wait([wanted, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if wanted in done:
            await wanted
        else:
            wanted.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await wanted

    def change(self, part: Part, state: State, **more: object) -> None:
        self.states[part.name] = self.states[part.name].changed(state, **more)
        status.write(self.settings, self.identity, list(self.states.values()))
        self.report(self.states[part.name])

    def log(self, part: Part) -> Path:
        return self.settings.logs / f"{part.name}.log"


async def exit_of(child: subprocess.Popen[bytes]) -> None:
    """Wait for a process to end without asking again and again."""
    try:
        descriptor = os.pidfd_open(child.pid)
    except ProcessLookupError:
        child.wait()
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    child.wait()


def words_for(child: subprocess.Popen[bytes]) -> str:
    code = child.returncode or 0
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"


def last_line(log: Path) -> str:
    """The end of a log in one line of at most 300 characters."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace")[-4000:].splitlines() if line.strip()]
        return lines[-1].strip()[-300:] if lines else "no word in its log"
    return "no log"


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the state folder. Raises Conflict where another supervisor does; the kernel frees it with a killed one."""
    for folder in (settings.state, settings.run, settings.logs):
        make_private_folder(folder)
    with open(settings.state / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other, _ = status.read_raw(settings)
            who = f" (process {other.pid})" if other else ""
            raise Conflict(
                f"the platform of {settings.state} runs already{who}", hint="Stop it first, or set TRE_STATE."
            ) from None
        if (settings.state / RESTORING).exists():
            raise Broken(
                f"a restore into {settings.state} was broken off",
                hint="Empty the folder, restore again and start then.",
            )
        yield


def end_leftovers(settings: Settings, parts: tuple[Part, ...]) -> None:
    """Stop what a killed supervisor left running; the kernel told it to stop already."""
    signals = {part.name: part.stop_signal for part in parts}
    _, before = status.read_raw(settings)
    for found in reversed(before):
        if found.is_alive():
            number = signals.get(found.name, signal.SIGTERM)
            process.stop_foreign(process.Identity(found.pid, found.started), number)
