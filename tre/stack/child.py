"""Run as a script between the supervisor and a part: asks the kernel for a signal when the supervisor dies, then execs.

A script of its own, because nothing may safely run between fork and exec in a process with threads. Usage:
`child.py SUPERVISOR_PID SIGNAL -- COMMAND…`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    supervisor, number, command = int(arguments[0]), int(arguments[1]), arguments[3:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != supervisor:
        sys.exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
