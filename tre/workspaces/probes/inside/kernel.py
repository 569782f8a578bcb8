"""Attempts by system calls: new namespaces, other processes' memory, keys, and parts of the kernel nobody inside
needs."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import signal

from tre.workspaces.probes.inside.attempt import Given, Killed, attempt

FILTER = "system call filter"
Calls = dict[str, tuple[int | bytes | None, ...]]
NEW_USER, NEW_NET, NEW_NS = 0x10000000, 0x40000000, 0x00020000
F_SETLEASE, F_NOTIFY = 1024, 1026
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def call(given: Given, name: str, *arguments: int | bytes | None) -> int:
    """Make a system call by name; raises OSError with its error number."""
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(LIBC.syscall(ctypes.c_long(given["calls"][name]), *values))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _stopped_by_filter(given: Given, calls: Calls) -> str | None:
    """Make each call; an answer other than EPERM or ENOSYS came from behind the filter."""
    behind = []
    for name, arguments in calls.items():
        if name not in given["calls"]:
            continue  # this architecture has no such call
        try:
            call(given, name, *arguments)
            behind.append(name)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOSYS):
                behind.append(f"{name} ({errno.errorcode[error.errno or 0]})")
    return f"the kernel answered {', '.join(behind)}" if behind else None


@attempt(FILTER, "mount a file system, if need be in a user namespace of its own")
def mount(given: Given) -> str | None:
    with contextlib.suppress(OSError):
        call(given, "unshare", NEW_USER | NEW_NS)
    call(given, "mount", b"none", b"/tmp", b"tmpfs", 0, None)
    return "a tmpfs on /tmp"


@attempt(FILTER, "use the newer mount calls")
def new_mount_calls(given: Given) -> str | None:
    names = ("fsopen", "open_tree", "move_mount", "fsmount", "fspick", "mount_setattr")
    calls: Calls = dict.fromkeys(names, (-1, 0, 0, 0, 0))
    older: Calls = {"pivot_root": (b"/", b"/"), "chroot": (b"/tmp",), "umount2": (b"/tmp", 0)}
    return _stopped_by_filter(given, calls | older)


@attempt("no user namespaces", "make a user namespace with unshare")
def unshare_user(given: Given) -> str | None:
    call(given, "unshare", NEW_USER)
    return "a user namespace of its own"


@attempt("no user namespaces", "make a user namespace with clone")
def clone_user(given: Given) -> str | None:
    child = call(given, "clone", NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a process in a user namespace of its own"


@attempt("no user namespaces", "make a user namespace with clone3")
def clone3_user(given: Given) -> str | None:
    arguments = (ctypes.c_uint64 * 11)(NEW_USER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call(given, "clone3", bytes(arguments), ctypes.sizeof(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a process in a user namespace of its own"


@attempt(FILTER, "make any other namespace, or ask for none at all")
def unshare_any(given: Given) -> str | None:
    return _stopped_by_filter(given, {"unshare": (0,)})


@attempt(FILTER, "enter a namespace")
def setns(given: Given) -> str | None:
    descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
    return _stopped_by_filter(given, {"setns": (descriptor, 0)})


@attempt(FILTER, "trace a process, or let one be traced")
def ptrace(given: Given) -> str | None:
    call(given, "ptrace", 0, 0, 0, 0)
    return "this process is traced"


@attempt(FILTER, "read and write another process's memory, descriptors and identity")
def other_process_memory(given: Given) -> str | None:
    mine = os.getpid()
    names = ("process_vm_readv", "process_vm_writev", "process_madvise", "kcmp")
    calls: Calls = dict.fromkeys(names, (mine, 0, 0, 0, 0, 0))
    return _stopped_by_filter(given, calls | {"pidfd_getfd": (-1, 0, 0)})


@attempt("hidden processes", "read the memory of process 1 and of the Jupyter server, which the guard's token passes")
def memory_of_server(given: Given) -> str | None:
    for process in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/{process}/cmdline", "rb") as stream:
                ours = process == 1 or b"/opt/tre/start/serve.py" in stream.read()
            if ours and (path := _opened(process)):
                return f"{path} can be opened"
    return None


def _opened(process: int) -> str | None:
    for part in ("mem", "environ", "fd"):
        path = f"/proc/{process}/{part}"
        with contextlib.suppress(PermissionError):
            if part == "fd":
                os.listdir(path)
            else:
                os.close(os.open(path, os.O_RDONLY))
            return path
    return None


@attempt(FILTER, "use the kernel's key rings")
def key_rings(given: Given) -> str | None:
    calls: Calls = {"keyctl": (0, -3, 0), "request_key": (b"user", b"probe", None, -3)}
    return _stopped_by_filter(given, calls | {"add_key": (b"user", b"probe", b"x", 1, -3)})


@attempt(FILTER, "load a BPF program or map")
def bpf(given: Given) -> str | None:
    return _stopped_by_filter(given, {"bpf": (0, bytes(128), 128)})


@attempt(FILTER, "hear what others open in the files that all workspaces share, or use up the platform's own watches")
def watch_shared_files(given: Given) -> str | None:
    folder = os.open("/opt/tre/env/lib", os.O_RDONLY)
    calls: Calls = {"inotify_init": (), "inotify_init1": (0,), "fcntl": (folder, F_NOTIFY, 1)}
    return _stopped_by_filter(given, calls)


@attempt(FILTER, "take a lease on a file, so that the platform waits when it opens it")
def lease_file(given: Given) -> str | None:
    path = "/home/researcher/.probe-lease"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        return _stopped_by_filter(given, {"fcntl": (descriptor, F_SETLEASE, 1)})
    finally:
        os.unlink(path)


@attempt(FILTER, "use io_uring")
def io_uring(given: Given) -> str | None:
    return _stopped_by_filter(given, {"io_uring_setup": (1, bytes(120)), "io_uring_enter": (-1, 0, 0, 0, 0, 0)})


@attempt(FILTER, "measure with perf events")
def perf(given: Given) -> str | None:
    return _stopped_by_filter(given, {"perf_event_open": (bytes(128), 0, -1, -1, 0)})


@attempt(FILTER, "handle page faults itself, a help in attacks on the kernel")
def userfaultfd(given: Given) -> str | None:
    return _stopped_by_filter(given, {"userfaultfd": (1,)})


@attempt(FILTER, "load a kernel or a module")
def kernel_modules(given: Given) -> str | None:
    kernels: Calls = {"kexec_load": (0, 0, 0, -1), "kexec_file_load": (-1, -1, 0, 0, -1)}
    modules: Calls = {"init_module": (b"", 0, b""), "finit_module": (-1, b"", -1), "delete_module": (b"x", 0)}
    return _stopped_by_filter(given, kernels | modules)


@attempt(FILTER, "open files by handle, past all mounts")
def file_handles(given: Given) -> str | None:
    calls: Calls = {"open_by_handle_at": (-1, bytes(16), 0)}
    return _stopped_by_filter(given, {**calls, "name_to_handle_at": (-1, b"", bytes(16), bytes(8), 0)})


@attempt(FILTER, "read the kernel's log, change its clocks, swap, accounting, quotas and ports")
def machine_administration(given: Given) -> str | None:
    calls: Calls = {
        "syslog": (10, 0, 0),
        "clock_adjtime": (0, bytes(208)),
        "swapon": (b"/nowhere", 0),
        "acct": (b"/nowhere",),
        "quotactl": (0, None, 0, None),
        "iopl": (0,),
        "ioperm": (0, 0, 0),
        "fanotify_init": (0, 0),
        "lookup_dcookie": (0, bytes(8), 0),
        "vhangup": (),
    }
    return _stopped_by_filter(given, calls)


@attempt(FILTER, "share memory and queues of System V with others")
def system_v_ipc(given: Given) -> str | None:
    return _stopped_by_filter(given, {"shmget": (0, 4096, 0o1600), "semget": (0, 1, 0o1600), "msgget": (0, 0o1600)})


@attempt(FILTER, "type into a terminal as if it were its user (TIOCSTI)")
def terminal_injection(given: Given) -> str | None:
    import fcntl

    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5412, b"x")
    return "a character was typed"


@attempt(FILTER, "turn off the randomised layout of memory")
def personality(given: Given) -> str | None:
    return _stopped_by_filter(given, {"personality": (0x0040000,)})


@attempt(FILTER, "call the kernel by the x32 convention, past the numbers that the filter knows")
def x32_calls(given: Given) -> str | None:
    if platform.machine() != "x86_64":
        return None
    return _in_child(lambda: int(LIBC.syscall(ctypes.c_long(0x40000000 | 39))) > 0)


@attempt(FILTER, "call the kernel by the 32-bit convention")
def compatibility_calls(given: Given) -> str | None:
    if platform.machine() != "x86_64":
        return None
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return _in_child(lambda: function() == os.getpid())


def _in_child(succeeds: object) -> str | None:
    """Whether a call that may be deadly succeeds."""
    child = os.fork()
    if child == 0:
        os._exit(42 if succeeds() else 1)  # type: ignore[operator]
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Killed(f"killed by {signal.Signals(os.WTERMSIG(status)).name}")
    return "the call was answered" if os.WEXITSTATUS(status) == 42 else None
