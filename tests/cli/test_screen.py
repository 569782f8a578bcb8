"""What `tre up` shows, where nobody looks any more."""

import os
import pty
import subprocess
import sys

SAYS = "from tre.cli.up import Screen; screen = Screen(); screen.say('api: ready'); screen.say('hub: ready')"


def test_a_terminal_that_is_closed_fails_nothing() -> None:
    """Also not at the end, when what was kept would be written."""
    master, terminal = pty.openpty()
    os.close(master)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    program = [sys.executable, "-c", SAYS]
    done = subprocess.run(program, env=buffered, stdout=terminal, stderr=subprocess.PIPE, text=True, check=False)
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, "")
