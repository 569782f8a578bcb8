"""Attempts that end a workspace, made in one of nobody's: to fill its disk, and to go on after its end.

Decides that the limit of the home counts as held if the workspace was ended for it, with that reason. Others are asked
all the while whether they still answer. Leaves judging them to `pulse`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from tre.errors import TreError
from tre.workspaces.probes import nobody
from tre.workspaces.probes.pulse import Others, watching
from tre.workspaces.probes.report import Result, Subject, Verdict
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox.host import ENVIRONMENT
from tre.workspaces.sandbox.secret_files import folder_of

# What is written over the limit: several looks of the watchdog's worth.
OVER_BYTES = 192 << 20
END_SECONDS = 15.0
AFTER_SECONDS = 1.0
BEAT, CREDENTIAL = "beat", "intake.token"

FILL_MEMORY = """
import os, sys
held, size = [], 8 << 20
try:
    for number in range(int(sys.argv[1]) // size):
        with open(f"/tmp/probe-{number}", "wb") as stream:
            held.append(stream.name)
            stream.write(bytes(size))
    print("all of it was written")
finally:
    for name in held:
        os.unlink(name)
"""
FILL_HOME = """
import sys, time
size = 8 << 20
for number in range(int(sys.argv[1]) // size):
    with open(f"/home/researcher/probe-{number}", "wb") as stream:
        stream.write(bytes(size))
    time.sleep(0.02)
print("all of it was written")
"""
# Leaves everything that started it, heeds no signal, and goes on writing down of its own secret what it can still read,
# or what it remembers.
READ_ON = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
for number in range(1, signal.NSIG):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for descriptor in (0, 1, 2):
    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
beat = os.open("/home/researcher/beat", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
held = b""
while True:
    try:
        with open("/run/tre/intake.token", "rb") as stream:
            held = stream.read()[:1] or held
    except OSError:
        pass
    os.write(beat, held)
    time.sleep(0.05)
"""
TRIES = {
    "fill-memory-folder": "write more into /tmp than it may hold",
    "fill-home": "fill the disk with its home",
    "credentials-after-stop": "go on with its own credentials after its end",
}


def endings(runtime: SandboxRuntime, folder: Path, others: Others) -> list[Result]:
    """All of them in one new workspace, whose host folders are made below `folder`."""
    name = f"probe-{secrets.token_hex(6)}"
    try:
        with nobody.running(runtime, nobody.plan(folder, name, limits=nobody.SMALL)) as subject:
            return _endings(runtime, subject, others)
    except TreError as error:
        return [_result(name, tries, "could_not_run", error.message) for tries in TRIES]


def _endings(runtime: SandboxRuntime, subject: Subject, others: Others) -> list[Result]:
    beat = Path(subject.home) / BEAT
    _run(runtime, subject, READ_ON)
    reads = _within(END_SECONDS, lambda: beat.exists() and beat.stat().st_size > 0)
    results = [_fill_memory(runtime, subject)]
    with watching(others, "fill-home", subject.workspace_id) as watched:
        results.append(_fill_home(runtime, subject))
    runtime.stop(subject.state)
    results.append(_after_stop(runtime, subject, beat, reads=reads))
    return [*results, *watched]


def _fill_memory(runtime: SandboxRuntime, subject: Subject) -> Result:
    done, problem = _run(runtime, subject, FILL_MEMORY, str(subject.limits.memory_bytes))
    if "No space left" in problem:
        return _result(subject.workspace_id, "fill-memory-folder", "refused", "ENOSPC")
    verdict: Verdict = "reached" if "all of it" in done else "could_not_run"
    return _result(subject.workspace_id, "fill-memory-folder", verdict, done or problem)


def _fill_home(runtime: SandboxRuntime, subject: Subject) -> Result:
    wanted = subject.limits.home_bytes + OVER_BYTES
    done, problem = _run(runtime, subject, FILL_HOME, str(wanted))
    _within(END_SECONDS, lambda: runtime.poll(subject.state) is not None)
    reason = runtime.poll(subject.state)
    if reason is None and "all of it" in done:
        return _result(subject.workspace_id, "fill-home", "reached", f"{wanted} bytes, and it still runs")
    if reason is None or "its home holds" not in reason:
        return _result(subject.workspace_id, "fill-home", "could_not_run", f"{reason or problem}")
    return _result(subject.workspace_id, "fill-home", "refused", f"it was ended: {reason}")


def _after_stop(runtime: SandboxRuntime, subject: Subject, beat: Path, *, reads: bool) -> Result:
    name = "credentials-after-stop"
    if not reads:
        return _result(subject.workspace_id, name, "could_not_run", "it could not read them before, either")
    if folder_of(runtime.run_dir, subject.workspace_id).exists():
        return _result(subject.workspace_id, name, "reached", "its secrets still lie in the machine's memory")
    before = beat.stat().st_size
    time.sleep(AFTER_SECONDS)
    read = beat.stat().st_size - before
    if read:
        return _result(subject.workspace_id, name, "reached", f"written down {read} times after the end")
    return _result(subject.workspace_id, name, "refused", f"written down {before} times before, never afterwards")


def _run(runtime: SandboxRuntime, subject: Subject, code: str, *arguments: str) -> tuple[str, str]:
    """What a program inside printed, and its complaint; a workspace that ended meanwhile is one."""
    try:
        done = runtime.exec_in(subject.state, [f"{ENVIRONMENT}/bin/python", "-I", "-c", code, *arguments], seconds=60)
    except TreError as error:
        return "", error.message
    return done.stdout.decode(errors="replace").strip(), done.stderr.decode(errors="replace").strip()[-300:]


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _result(workspace_id: str, name: str, verdict: Verdict, detail: str) -> Result:
    wall = "nothing stays" if name == "credentials-after-stop" else "limits"
    return Result(name, workspace_id, wall, TRIES[name], verdict, detail)
