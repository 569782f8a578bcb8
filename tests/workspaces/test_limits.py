"""Limits hold: with the control groups that were handed over, and without any."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workspaces.conftest import ENVIRONMENT, LIMITS, Plan, stop_all
from tests.workspaces.test_keeper import wait_for
from tre.errors import TreError, Unavailable
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox import usage
from tre.workspaces.sandbox.cgroups import handed_over

SMALL = replace(LIMITS, memory_bytes=200 << 20, processes=40)
MEGABYTES_300 = "x = [bytearray(b'x') * (10 << 20) for _ in range(30)]; import time; time.sleep(2); print('had it')"


# Control groups and the process's own means are both tried where they differ most, everywhere in the long run.
EVERY = ["control groups", "none"]
ONE = EVERY if os.environ.get("TRE_TEST_LONG") == "1" else [EVERY[0] if handed_over() else EVERY[1]]


def limited_by(means: str, folder: Path, image: Path) -> Iterator[SandboxRuntime]:
    if means == "control groups" and not handed_over():
        pytest.skip("no control groups were handed to this user (started as root, `tre` hands some over)")
    groups = handed_over() if means == "control groups" else {}
    found = SandboxRuntime(folder / "run", ENVIRONMENT, image=image, groups=groups)
    yield found
    stop_all(found)


@pytest.fixture(params=EVERY)
def limited(request: pytest.FixtureRequest, folder: Path, quick_image: Path) -> Iterator[SandboxRuntime]:
    """The same limits, held by whatever this machine hands over, and by nothing but the process's own means."""
    yield from limited_by(request.param, folder, quick_image)


@pytest.fixture(params=ONE)
def held(request: pytest.FixtureRequest, folder: Path, quick_image: Path) -> Iterator[SandboxRuntime]:
    """The means of this machine."""
    yield from limited_by(request.param, folder, quick_image)


def python(runtime: SandboxRuntime, state: dict[str, Any], code: str, seconds: float = 30) -> str:
    done = runtime.exec_in(state, ["python", "-I", "-c", code], seconds=seconds)
    return done.stdout.decode().strip() + (f" [{done.returncode}]" if done.returncode else "")


def test_memory_of_one_process(limited: SandboxRuntime, plan: Plan) -> None:
    state = limited.start(plan(limits=SMALL))
    assert "had it" not in python(limited, state, MEGABYTES_300)
    assert limited.poll(state) is None, "the workspace itself goes on"
    assert python(limited, state, "print(1)") == "1"


def test_memory_of_many_processes_together(limited: SandboxRuntime, plan: Plan) -> None:
    state = limited.start(plan(limits=SMALL))
    code = (
        "import os, sys, time\n"
        "for _ in range(10):\n"
        "    if os.fork() == 0:\n"
        "        x = bytearray(b'x') * (60 << 20); time.sleep(4); os._exit(0)\n"
        "statuses = [os.wait()[1] for _ in range(10)]\n"
        "print(sum(status == 0 for status in statuses))\n"
    )
    assert int(python(limited, state, code).split()[0]) <= 3
    assert limited.poll(state) is None


def test_memory_in_files_without_a_name(limited: SandboxRuntime, plan: Plan) -> None:
    """Counted for no process: the workspace may end, but it never holds more."""
    state = limited.start(plan(limits=replace(SMALL, file_bytes=40 << 20)))
    code = (
        "import os, time\n"
        "held = []\n"
        "for _ in range(10):\n"
        "    held.append(os.memfd_create('x')); os.write(held[-1], bytes(40 << 20))\n"
        "time.sleep(8); print('had it')\n"
    )
    try:
        assert "had it" not in python(limited, state, code)
    except Unavailable:
        assert wait_for(lambda: limited.poll(state))


def test_memory_in_temporary_folders(held: SandboxRuntime, plan: Plan) -> None:
    state = held.start(plan(limits=SMALL))
    code = "import os\nfor n in range(30): open(f'/tmp/{n}', 'wb').write(bytes(10 << 20))"
    assert "No space left" in held.exec_in(state, ["python", "-c", code]).stderr.decode()


def test_processes(limited: SandboxRuntime, plan: Plan) -> None:
    state = limited.start(plan(limits=SMALL))
    code = (
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 200:\n"
        "        if os.fork() == 0: time.sleep(1); os._exit(0)\n"
        "        made += 1\n"
        "except BlockingIOError: pass\n"
        "print(made)\n"
    )
    assert 10 < int(python(limited, state, code)) <= SMALL.processes


def test_threads_count_as_processes(held: SandboxRuntime, plan: Plan) -> None:
    state = held.start(plan(limits=SMALL))
    code = (
        "import threading, time\nmade = 0\n"
        "try:\n    while made < 200: threading.Thread(target=time.sleep, args=(2,), daemon=True).start(); made += 1\n"
        "except RuntimeError: pass\nprint(made)\n"
    )
    assert 10 < int(python(held, state, code)) <= SMALL.processes


def test_processes_of_another_workspace_do_not_count(held: SandboxRuntime, plan: Plan) -> None:
    one, two = held.start(plan("one", limits=SMALL)), held.start(plan("two", limits=SMALL))
    held.exec_in(one, ["python", "-c", "import os, time\nfor _ in range(34):\n  if os.fork() == 0: time.sleep(5); os._exit(0)"], seconds=1)  # fmt: skip  # noqa: E501
    assert python(held, two, "import os; print(os.fork() >= 0 and 'made')").startswith("made")


def test_cpus(limited: SandboxRuntime, plan: Plan) -> None:
    """One CPU is allowed: two busy processes together get about as much as one."""
    state = limited.start(plan(limits=replace(SMALL, cpus=1)))
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "end = time.monotonic() + 2\n"
        "while time.monotonic() < end: pass\n"
        "if child == 0: os._exit(0)\n"
        "os.wait(); used = os.times(); print(used.user + used.system + used.children_user + used.children_system)\n"
    )
    assert float(python(limited, state, code)) < 3.0
    assert "PermissionError" in limited.exec_in(
        state, ["python", "-c", "import os; os.sched_setaffinity(0, range(os.cpu_count()))"]
    ).stderr.decode()  # fmt: skip


def test_one_file(held: SandboxRuntime, plan: Plan) -> None:
    state = held.start(plan(limits=SMALL))
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); open('x', 'wb').write(bytes(65 << 20))"
    assert "File too large" in held.exec_in(state, ["python", "-c", code]).stderr.decode()


def test_open_files(held: SandboxRuntime, plan: Plan) -> None:
    state = held.start(plan(limits=SMALL))
    code = "held = [open('/dev/null') for _ in range(600)]"
    assert "Too many open files" in held.exec_in(state, ["python", "-c", code]).stderr.decode()


def test_no_limit_can_be_raised(held: SandboxRuntime, plan: Plan) -> None:
    state = held.start(plan(limits=SMALL))
    for flag in ("-u", "-n", "-f", "-c"):
        done = held.exec_in(state, ["/bin/bash", "-c", f"ulimit -H {flag} unlimited"])
        assert b"not permitted" in done.stderr, flag


FILL = "import time\nfor n in range(40): open(f'{n}', 'wb').write(bytes(8 << 20))\ntime.sleep(60)"


def test_a_home_that_grows_too_large_ends_the_workspace_with_a_reason(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan(limits=replace(LIMITS, home_bytes=64 << 20))
    state = runtime.start(made)
    with pytest.raises(TreError):
        python(runtime, state, FILL, seconds=20)
    assert "its home holds" in str(wait_for(lambda: runtime.poll(state)))
    state = runtime.start(made)
    time.sleep(1.5)
    assert runtime.poll(state) is None, "it starts again, so that room can be made"
    python(runtime, state, "import os\nfor name in os.listdir('.'): os.unlink(name)")
    assert runtime.poll(state) is None


def test_a_home_filled_with_files_that_have_no_name(runtime: SandboxRuntime, plan: Plan) -> None:
    code = (
        "import os, time\nheld = []\n"
        "for n in range(40):\n"
        "    held.append(open('x', 'wb')); os.unlink('x'); held[-1].write(bytes(8 << 20)); held[-1].flush()\n"
        "time.sleep(60)"
    )
    state = runtime.start(plan(limits=replace(LIMITS, home_bytes=64 << 20)))
    with pytest.raises(TreError):
        python(runtime, state, code, seconds=20)
    assert "its home holds" in str(wait_for(lambda: runtime.poll(state)))


def test_measuring_tolerates_processes_that_are_gone() -> None:
    assert usage.private_bytes(1 << 22) == 0
    assert usage.descendants(1 << 22) == []
    assert usage.total_bytes([1 << 22, 1 << 22], ("tmp",), 0) == 0
    usage.kill(1 << 22)


def test_other_workspaces_answer_while_one_is_at_its_limits(limited: SandboxRuntime, plan: Plan) -> None:
    one, two = limited.start(plan("one", limits=SMALL)), limited.start(plan("two", limits=SMALL))
    code = (
        "import os\n"
        "for _ in range(30):\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            while True: x = bytearray(b'x') * (20 << 20)\n"
        "    except BlockingIOError: pass\n"
    )
    # Without control groups the watchdog may end the whole workspace in the middle of it: that is a limit that holds.
    with contextlib.suppress(Unavailable):
        limited.exec_in(one, ["python", "-c", code], seconds=2)
    assert python(limited, two, "print(1)") == "1"
