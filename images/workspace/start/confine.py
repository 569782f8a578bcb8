"""What a pod cannot express, for this process and all that it starts: limits, and our own filter of system calls.

Decides that both hold before anything of the researcher's runs. The container runtime's filter is another with each
version, and lets sockets through that no network policy sees (AF_VSOCK); ours is the sandbox's, and may only tighten.
Standard library only, with `-I -S`.
"""

from __future__ import annotations

import ctypes
import os
import resource

FILTERS = "/opt/tre/filter"
#: The plan's word for a limit, and the kernel's.
LIMITS = {"processes": "RLIMIT_NPROC", "file_bytes": "RLIMIT_FSIZE", "open_files": "RLIMIT_NOFILE"}
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
INSTRUCTION_BYTES = 8


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine(settings: dict) -> None:
    """A missing or unknown setting, or a filter that the kernel does not take, is an error: nothing may run then."""
    for name, value in {
        **{LIMITS[name]: value for name, value in settings["limits"].items()},
        "RLIMIT_CORE": 0,
    }.items():
        limit(getattr(resource, name), value)
    # The group is every workspace's, and nobody else is in this pod: a home stays open to its person, whose user may be
    # another next time.
    os.umask(0o007)
    keep_to("devices.bpf" if settings["devices"] else "calls.bpf")


def limit(number: int, value: int) -> None:
    """Never above what is allowed already."""
    _, hard = resource.getrlimit(number)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def keep_to(name: str) -> None:
    """This thread makes no other system calls from now on, nor does any that it starts."""
    with open(f"{FILTERS}/{name}", "rb") as stream:
        content = stream.read()
    program = Program(len(content) // INSTRUCTION_BYTES, content)
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl: the filter of system calls")
