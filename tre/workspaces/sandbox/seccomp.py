"""Which system calls a workspace may make: an allowlist, as a pure function of the architecture.

Decides the answer for every call number and checked argument. What is not named here does not exist for the workspace
(ENOSYS, so that libraries fall back), what would mislead as missing is refused (EPERM), a foreign call convention kills
the process. Leaves encoding to `bpf`, numbers to `syscalls`, namespaces and mounts to `arguments`. This is the only
wall before AF_VSOCK and other socket families that no network namespace isolates.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from tre.workspaces.sandbox import syscalls
from tre.workspaces.sandbox.bpf import (
    ALLOW,
    AND,
    ARCHITECTURE,
    JUMP_AT_LEAST,
    JUMP_BITS,
    JUMP_EQUAL,
    JUMP_GREATER,
    KILL_PROCESS,
    NUMBER,
    Block,
    Instruction,
    give,
    load,
    load_argument,
    refuse,
    unless,
    when,
)

AUDIT_ARCHITECTURE = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})
TABLES: Mapping[str, Mapping[str, int]] = MappingProxyType({"x86_64": syscalls.X86_64, "aarch64": syscalls.AARCH64})
X32_BIT = 0x40000000


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALLOWED = _names(
    """
    accept accept4 access alarm arch_prctl bind brk cachestat capget chdir chown clock_getres clock_gettime
    clock_nanosleep close close_range connect copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
    epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
    fadvise64 fallocate fchdir fchown fchownat fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr
    fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat
    get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername
    getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid
    getsockname getsockopt gettid gettimeofday getuid getxattr kill lchown lgetxattr link linkat listen
    listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir
    mkdirat mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap nanosleep newfstatat
    pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll pread64 preadv
    preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom
    recvmmsg recvmsg removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_setscheduler sched_yield select sendfile sendmmsg sendmsg
    sendto set_robust_list set_tid_address setitimer setpgid setpriority setrlimit setsid setsockopt setxattr
    shutdown sigaltstack signalfd signalfd4 splice stat statfs statx symlink symlinkat sync sync_file_range
    syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
    timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat utime
    utimensat utimes vfork vmsplice wait4 waitid write writev
    """
)

# `inotify_*` is not among the allowed: the environment's files are one for all workspaces, and who watches them learns
# what the neighbours open; instances are counted for the platform's user, whose own parts would get none.
# `sched_setscheduler` is among the allowed: libzmq sets the ordinary policy on each of its threads and aborts on any
# refusal, and without CAP_SYS_NICE the kernel grants nothing but ordinary and lower policies.
# Known calls that libraries make in good faith: "not permitted" is the answer they understand. Setting the affinity is
# refused because affinity is how CPUs are limited where no control group is writable.
NOT_PERMITTED = _names(
    """
    add_key bpf capset chroot ioprio_set keyctl mount open_by_handle_at perf_event_open pivot_root
    process_vm_readv process_vm_writev ptrace request_key sched_setaffinity sched_setattr sched_setparam setgid
    setgroups setns setregid setresgid setresuid setreuid setuid umount2 unshare
    """
)

NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCKET_TYPE_MASK, SOCKET_TYPES = 0xF, (1, 2, 5)  # stream, datagram, seqpacket
SOCKET_PROTOCOLS = (0, 6, 17)  # the default, TCP, UDP
SOCKET_CALLS = frozenset({"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"})
SET_USER, SET_GROUP = 0o4000, 0o2000
CREATES = 0o100 | 0o20000000  # O_CREAT, __O_TMPFILE: only then is there a mode argument
FILE_TYPE_MASK, NODE_TYPES = 0o170000, (0, 0o100000, 0o010000, 0o140000)  # regular, FIFO, socket
QUERY_PERSONALITY = 0xFFFFFFFF

# What terminals, pipes and files need; TIOCSTI, TIOCLINUX, TIOCSETD and network configuration are not among them.
IOCTLS = (
    *range(0x5401, 0x540C),  # TCGETS ... TCFLSH
    0x540E,  # TIOCSCTTY
    0x540F,  # TIOCGPGRP
    0x5410,  # TIOCSPGRP
    0x5411,  # TIOCOUTQ
    0x5413,  # TIOCGWINSZ
    0x5414,  # TIOCSWINSZ
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5422,  # TIOCNOTTY
    0x5429,  # TIOCGSID
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0x5452,  # FIOASYNC
    0x5441,  # TIOCGPTPEER
    0x802C542A,  # TCGETS2
    0x402C542B,  # TCSETS2
    0x402C542C,  # TCSETSW2
    0x402C542D,  # TCSETSF2
    0x80045430,  # TIOCGPTN
    0x40045431,  # TIOCSPTLCK
    0x40049409,  # FICLONE
    0x4020940D,  # FICLONERANGE
)

# What is refused by name where the rest is a driver's: typing as somebody else, consoles, line disciplines; and all of
# sockets and networks (SIOC...).
TERMINAL_IOCTLS = (0x5412, 0x541C, 0x5423)
NETWORK_IOCTLS = (0x8900, 0x89FF)

# What descriptors and locks need. Not among them: leases (F_SETLEASE), on which the platform's own opening of a file
# waits, and notes about folders (F_NOTIFY), which tell what others open.
DESCRIPTOR_CONTROLS = (
    *range(12),  # F_DUPFD ... F_GETSIG, record locks and owner of signals among them
    15,  # F_SETOWN_EX
    16,  # F_GETOWN_EX
    *range(36, 39),  # F_OFD_GETLK ... F_OFD_SETLKW
    1025,  # F_GETLEASE
    1030,  # F_DUPFD_CLOEXEC
    *range(1032, 1041),  # F_GETPIPE_SZ, seals, write hints
)

PROCESS_CONTROLS = (
    *range(1, 5),  # parent-death signal, dumpable
    15,  # PR_SET_NAME
    16,  # PR_GET_NAME
    21,  # PR_GET_SECCOMP
    22,  # PR_SET_SECCOMP: may only tighten
    23,  # PR_CAPBSET_READ
    29,  # PR_SET_TIMERSLACK
    30,  # PR_GET_TIMERSLACK
    *range(36, 43),  # child subreaper, no_new_privs, thread id address, transparent huge pages
    0x53564D41,  # PR_SET_VMA: names of memory areas
)


def program(
    architecture: str, *, sockets: bool = True, devices: bool = False, group_folders: bool = False
) -> tuple[Instruction, ...]:
    """The filter for `x86_64` or `aarch64`; KeyError for any other: there is no filter, so nothing may run.

    `sockets=False` is for code that needs none at all, such as what reads a submitted file; `devices=True` for
    accelerators, whose drivers have controls of their own; `group_folders=True` is for pods, whose volumes are their
    group's: every folder in them says so (S_ISGID), and who copies one says it again. A program gains nothing by it
    there: there are no new privileges, and the group is every workspace's.
    """
    numbers = {name: number for name, number in TABLES[architecture].items() if sockets or name not in SOCKET_CALLS}
    checked = {**_CHECKED, **_modes(SET_USER if group_folders else SET_USER | SET_GROUP)}
    return (
        load(ARCHITECTURE),
        *unless(JUMP_EQUAL, AUDIT_ARCHITECTURE[architecture], [give(KILL_PROCESS)]),
        load(NUMBER),
        *when(JUMP_AT_LEAST, X32_BIT, [give(KILL_PROCESS)]),
        *_plain(numbers),
        *_with_arguments(numbers, checked | {"ioctl": _OF_DEVICES} if devices else checked),
        *_refused(numbers),
        refuse(errno.ENOSYS),
    )


def _plain(numbers: Mapping[str, int]) -> Iterator[Instruction]:
    for low, high in _runs(numbers[name] for name in ALLOWED if name in numbers):
        yield from when(JUMP_AT_LEAST, low, unless(JUMP_GREATER, high, [give(ALLOW)]))


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _refused(numbers: Mapping[str, int]) -> Iterator[Instruction]:
    for name in sorted(NOT_PERMITTED & set(numbers)):
        yield from when(JUMP_EQUAL, numbers[name], [refuse(errno.EPERM)])


def _with_arguments(numbers: Mapping[str, int], checked: Mapping[str, Block]) -> Iterator[Instruction]:
    for name, block in checked.items():
        if name in numbers:
            yield from when(JUMP_EQUAL, numbers[name], block)


def _one_of(argument: int, allowed: Iterable[int], otherwise: int, *, mask: int | None = None) -> list[Instruction]:
    """Go on if the argument (masked) is one of these, else fail with `otherwise`."""
    values = list(allowed)
    prepare = [load_argument(argument)] + ([Instruction(AND, mask)] if mask is not None else [])
    compare = [Instruction(JUMP_EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [*prepare, *compare, refuse(otherwise)]


def _no_bits(argument: int, bits: int) -> list[Instruction]:
    return [load_argument(argument), *when(JUMP_BITS, bits, [refuse(errno.EPERM)])]


def _modes(bits: int) -> Mapping[str, Block]:
    """Every call that gives a mode: none of these bits in it."""

    def mode(argument: int) -> Block:
        return [*_no_bits(argument, bits), give(ALLOW)]

    def opened(flags: int) -> Block:
        return [load_argument(flags), *unless(JUMP_BITS, CREATES, [give(ALLOW)]), *mode(flags + 1)]

    def node(argument: int) -> Block:
        return [*_one_of(argument, NODE_TYPES, errno.EPERM, mask=FILE_TYPE_MASK), *mode(argument)]

    return {
        "open": opened(1),
        "openat": opened(2),
        "creat": mode(1),
        "chmod": mode(1),
        "fchmod": mode(1),
        "fchmodat": mode(2),
        "fchmodat2": mode(2),
        "mknod": node(1),
        "mknodat": node(2),
    }


_CHECKED: Mapping[str, Block] = MappingProxyType(
    {
        "clone": [*_no_bits(0, NEW_NAMESPACES), give(ALLOW)],
        # Not EAFNOSUPPORT: where asking for interfaces by netlink fails, ZeroMQ goes on with this error only.
        "socket": [
            *_one_of(0, (AF_UNIX, AF_INET, AF_INET6), errno.EOPNOTSUPP),
            *_one_of(1, SOCKET_TYPES, errno.EPROTONOSUPPORT, mask=SOCKET_TYPE_MASK),
            *_one_of(2, SOCKET_PROTOCOLS, errno.EPROTONOSUPPORT),
            give(ALLOW),
        ],
        "socketpair": [*_one_of(0, (AF_UNIX,), errno.EOPNOTSUPP), give(ALLOW)],
        "fcntl": [*_one_of(1, DESCRIPTOR_CONTROLS, errno.EPERM), give(ALLOW)],
        "ioctl": [*_one_of(1, IOCTLS, errno.ENOTTY), give(ALLOW)],
        "prctl": [*_one_of(0, PROCESS_CONTROLS, errno.EINVAL), give(ALLOW)],
        "personality": [*_one_of(0, (0, QUERY_PERSONALITY), errno.EPERM), give(ALLOW)],
    }
)
_OF_DEVICES: Block = [
    load_argument(1),
    *(step for control in TERMINAL_IOCTLS for step in when(JUMP_EQUAL, control, [refuse(errno.ENOTTY)])),
    *when(JUMP_AT_LEAST, NETWORK_IOCTLS[0], unless(JUMP_GREATER, NETWORK_IOCTLS[1], [refuse(errno.ENOTTY)])),
    give(ALLOW),
]
