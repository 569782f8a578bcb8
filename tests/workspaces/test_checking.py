"""The checking sandbox: what it gives back, what it refuses, and that a hostile file gains nothing by it."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.workspaces.checks import ENDLESS, NOT_PLAIN, REACHING, READERS
from tests.workspaces.conftest import processes_with
from tre.errors import InvalidInput, LimitExceeded
from tre.workspaces.sandbox.cgroups import handed_over
from tre.workspaces.sandbox.checking import CheckFailed, run_checked


@pytest.fixture
def table(folder: Path) -> Path:
    path = folder / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def check(code: str, table: Path, **changes: object) -> bytes:
    bounds: dict[str, object] = {"memory_bytes": 400 << 20, "seconds": 20.0, "output_bytes": 1 << 16}
    return run_checked(
        argv=["python", "-c", code], files={"table.csv": table}, stdin=b"from outside", **(bounds | changes)
    )  # type: ignore[arg-type]


def test_it_reads_inputs_and_standard_input(table: Path) -> None:
    assert check("print(open('/input/table.csv').read(), input())", table) == b"a,b\n1,2\n from outside\n"


@pytest.mark.parametrize("code", READERS)
def test_the_platforms_readers_work_in_it(table: Path, code: str) -> None:
    assert check(code, table) == b"1\n"


@pytest.mark.parametrize(
    "code",
    [
        *REACHING,
        "open('/input/table.csv', 'a')",
        "open('/opt/tre/lib/tre/errors.py', 'a')",
        "import os; os.listdir('/root')",
        "import os; os.listdir('/home')",
        "import os; os.listdir('/var')",
        "import os; os.mknod('/work/x', 0o60600, 1)",
    ],
)
def test_it_reaches_nothing(table: Path, code: str) -> None:
    with pytest.raises(CheckFailed):
        check(code, table)


def test_nothing_of_the_platform_is_in_its_environment(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of-the-platform")
    assert b"of-the-platform" not in check("import os; print(os.environ)", table)


def test_memory_is_bounded(table: Path) -> None:
    with pytest.raises(LimitExceeded) as refused:
        check("x = bytearray(1 << 30)", table)
    assert refused.value.field == "memory_bytes"


def test_memory_of_several_processes_is_bounded_together(table: Path) -> None:
    code = (
        "import os, time\nfor _ in range(8):\n"
        "    if os.fork() == 0: x = bytearray(b'x') * (150 << 20); time.sleep(5); os._exit(0)\n"
        "print(sum(os.wait()[1] == 0 for _ in range(8)))"
    )
    # The kernel ends some of them where control groups are at hand, else the watchdog ends all.
    try:
        finished = int(check(code, table))
    except LimitExceeded:
        finished = 0
    assert finished <= 3


def test_its_working_folder_is_bounded(table: Path) -> None:
    with pytest.raises((CheckFailed, LimitExceeded)):
        check("open('/work/x', 'wb').write(bytes(300 << 20))", table)


@pytest.mark.parametrize("code", ENDLESS)
def test_time_is_bounded(table: Path, code: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        check(code, table, seconds=1.0)
    assert refused.value.field == "seconds"


def test_output_is_bounded(table: Path) -> None:
    with pytest.raises(LimitExceeded) as refused:
        check("while True: print('x' * 1000)", table)
    assert refused.value.field == "output_bytes"
    with pytest.raises(CheckFailed):
        check("import sys\nfor _ in range(1000): sys.stderr.write('x' * 10000)\nsys.exit(1)", table)


def test_a_failure_says_its_last_line(table: Path) -> None:
    with pytest.raises(CheckFailed, match="no such column"):
        check("raise SystemExit('no such column')", table)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_names_are_plain(table: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        run_checked(argv=["true"], files={name: table}, memory_bytes=1 << 28, seconds=5, output_bytes=10)


def test_inputs_are_regular_files(folder: Path, table: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to(table)
    for name in ("fifo", "link", "missing", "."):
        with pytest.raises(InvalidInput):
            run_checked(argv=["true"], files={"x": folder / name}, memory_bytes=1 << 28, seconds=5, output_bytes=10)


def test_nothing_is_left_running(table: Path) -> None:
    marker = f"marker-{os.getpid()}"
    code = f"import os, time\nif os.fork() == 0: os.setsid(); time.sleep(600)\nprint('{marker}')"
    assert marker.encode() in check(code, table)
    end = time.monotonic() + 5
    while processes_with(marker) and time.monotonic() < end:
        time.sleep(0.02)
    assert processes_with(marker) == []
    left = [path for folder in set(handed_over().values()) for path in Path(folder).glob("tre-check-*")]
    assert left == []


def test_many_at_once_from_threads(table: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(check("print(7)", table))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"7\n"] * 6


def test_a_program_killed_by_a_signal_failed(table: Path) -> None:
    with pytest.raises(CheckFailed):
        check(f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", table)
