"""A part whose work strangers decide gets its share, also of a platform that gave turns away before."""

import os
import resource
import subprocess
import time

import pytest

from tre.stack import shares


@pytest.mark.parametrize(("before", "after"), [(0, shares.NICENESS), (10, 10)])
def test_a_part_comes_behind_and_no_turns_are_taken_back(before: int, after: int):
    child = subprocess.Popen(["nice", "-n", str(before), "sleep", "60"])
    try:
        while os.getpriority(os.PRIO_PROCESS, child.pid) < before:
            time.sleep(0.01)
        shares.bound({}, "data", child.pid, 0.25)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == after
        limit, _ = resource.prlimit(child.pid, resource.RLIMIT_DATA)
        assert 0 < limit <= shares.total_memory() // 4
    finally:
        child.kill()
        child.wait()
