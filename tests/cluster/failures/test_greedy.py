"""One workspace takes all that it can get of what its node has for everybody; who works beside it is not disturbed.

Each attack runs in a kernel of a project of its own, and holds what it got while the others are asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.cluster.chart.researcher import Researcher
from tests.cluster.machine import network
from tre.workspaces.kubernetes.names import namespace_of

from .scene import Scene

pytestmark = pytest.mark.timeout(400)
#: What a neighbour needs in order to work: processes, threads, timers, files.
WORKS = """
import ctypes, os, subprocess, sys, threading
code = "import threading; one = threading.Thread(target=int); one.start(); one.join(); print(41)"
done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
libc = ctypes.CDLL(None, use_errno=True)
timer = ctypes.c_void_p()
assert libc.timer_create(0, None, ctypes.byref(timer)) == 0, "timer: " + os.strerror(ctypes.get_errno())
libc.timer_delete(timer)
with open("beat", "w") as file:
    file.write("x" * 100_000)
print(done.stdout.strip() or done.stderr[-300:])
"""
#: Takes until it is refused, and says how much it got.
HELD = {
    "processes": """
import threading
end, held = threading.Event(), 0
try:
    while held < 5_000:
        threading.Thread(target=end.wait, daemon=True).start()
        held += 1
except RuntimeError:
    pass
print(held)
""",
    "timers": """
import ctypes
libc, held = ctypes.CDLL(None), []
while len(held) < 1_000_000:
    timer = ctypes.c_void_p()
    if libc.timer_create(0, None, ctypes.byref(timer)) != 0:
        break
    held.append(timer)
print(len(held))
""",
}
#: Uses up what is its own, and says how that ended.
USED_UP = {
    "memory": (
        """
import subprocess, sys
code = "held = []\\nwhile True: held.append(bytearray(b'x') * (16 << 20))"
print(subprocess.run([sys.executable, "-I", "-c", code], capture_output=True).returncode)
""",
        "-9",
    ),
    "temporary files": (
        """
import errno, os
for name in ("/tmp/much", "/dev/shm/much", "/run/jupyter/much"):
    with open(name, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError as error:
            print(errno.errorcode[error.errno])
    os.unlink(name)
""",
        "ENOSPC\nENOSPC\nENOSPC",
    ),
}
#: What a kernel printed went here before it was a cell's.
FLOOD = """
import os, sys, threading
out, written = sys.stdout._original_stdstream_copy, [0]
def flood():
    while True:
        written[0] += os.write(out, b"x" * 65535 + b"\\n")
threading.Thread(target=flood, daemon=True).start()
print(out > 2)
"""
#: The kubelet looks every ten seconds, and keeps as much as this of a container's log until then.
LOOKED, KEPT_BYTES = 25, 16 << 20


@pytest.fixture
def greedy(scene: Scene, newcomer: Researcher) -> Iterator[Researcher]:
    newcomer.start()
    yield newcomer
    newcomer.leave()


@pytest.mark.parametrize("what", HELD)
def test_it_takes_what_the_kernel_counts_by_user(scene: Scene, greedy: Researcher, what: str) -> None:
    assert int(greedy.says(HELD[what])) > 50
    assert scene.researcher.says(WORKS) == "41"
    scene.nothing_is_lost()


@pytest.mark.parametrize("what", USED_UP)
def test_it_uses_up_what_is_its_own(scene: Scene, greedy: Researcher, what: str) -> None:
    code, ended = USED_UP[what]
    assert greedy.says(code) == ended
    assert greedy.says("print(41)") == "41"
    assert scene.researcher.says(WORKS) == "41"
    scene.nothing_is_lost()


def test_it_floods_the_log_on_the_nodes_disk(scene: Scene, greedy: Researcher) -> None:
    assert greedy.says(FLOOD) == "True"
    time.sleep(LOOKED)
    assert 0 < log_bytes(scene, greedy) < KEPT_BYTES
    assert int(greedy.says("print(written[0])")) > KEPT_BYTES, "who floods it does not wait"
    assert scene.researcher.says(WORKS) == "41"
    scene.nothing_is_lost()


def log_bytes(scene: Scene, greedy: Researcher) -> int:
    """As the kubelet counts them."""
    said = json.loads(scene.release.kubectl("get", "--raw", f"/api/v1/nodes/{network.NODE}/proxy/stats/summary"))
    space = namespace_of(scene.release.space.name, greedy.project)
    return sum(
        container["logs"]["usedBytes"]
        for pod in said["pods"]
        if pod["podRef"]["namespace"] == space
        for container in pod["containers"]
    )
