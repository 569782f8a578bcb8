"""The last step of `tre.stack.ordinary`: root becomes an ordinary user inside the mount view, then runs the command.

Decides only that nothing of root remains. Runs as a script of its own with the standard library alone, because at this
point it still holds CAP_SETUID and CAP_SETGID. Usage: `drop.py UID PID_FD -- COMMAND…`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    uid, report = int(arguments[0]), int(arguments[1])
    command = arguments[3:]
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change of user clears the death signal, so it is set after it; the parent is bubblewrap's waiting process.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    drop_inheritable()
    os.makedirs(os.environ["HOME"], mode=0o700, exist_ok=True)
    os.write(report, str(os.getpid()).encode())
    os.close(report)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(127)


def drop_inheritable() -> None:
    """Clear every capability set, the inheritable one too, which a change of user leaves as it was (man 2 capset)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    main(sys.argv[1:])
