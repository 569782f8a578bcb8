"""The system call filter, run by an interpreter of its own: each number and checked argument, on both architectures."""

import errno
import fcntl
import os
import platform
import random
import re
from pathlib import Path

import pytest

from tre.workspaces.sandbox import bpf
from tre.workspaces.sandbox.bpf import ALLOW, ERRNO, KILL_PROCESS, Instruction
from tre.workspaces.sandbox.seccomp import (
    ALLOWED,
    AUDIT_ARCHITECTURE,
    IOCTLS,
    NOT_PERMITTED,
    SOCKET_CALLS,
    TABLES,
    X32_BIT,
    program,
)

ARCHITECTURES = ("x86_64", "aarch64")
CHECKED = {
    *("clone", "socket", "socketpair", "ioctl", "prctl", "personality", "open", "openat", "creat"),
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "mknod", "mknodat", "fcntl"),
}
MISSING = ERRNO | errno.ENOSYS
NOT_ALLOWED = ERRNO | errno.EPERM


def interpret(code: tuple[Instruction, ...], architecture: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Run the program as the kernel would (net/core/filter.c, kernel/seccomp.c)."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    words = {0: number & 0xFFFFFFFF, 4: architecture}
    for at, value in enumerate(values):
        words[16 + 8 * at] = value & 0xFFFFFFFF
        words[20 + 8 * at] = (value >> 32) & 0xFFFFFFFF
    accumulator, place = 0, 0
    while True:
        one = code[place]
        place += 1
        if one.code == bpf.LOAD:
            accumulator = words[one.operand]
        elif one.code == bpf.AND:
            accumulator &= one.operand
        elif one.code == bpf.RETURN:
            return one.operand
        else:
            holds = {
                bpf.JUMP_EQUAL: accumulator == one.operand,
                bpf.JUMP_GREATER: accumulator > one.operand,
                bpf.JUMP_AT_LEAST: accumulator >= one.operand,
                bpf.JUMP_BITS: bool(accumulator & one.operand),
            }[one.code]
            place += one.if_true if holds else one.if_false


def answer(name: str, *arguments: int, on: str = "x86_64") -> int:
    return interpret(program(on), AUDIT_ARCHITECTURE[on], TABLES[on][name], arguments)


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_every_number_has_the_answer_that_its_name_has(on: str) -> None:
    code = program(on)
    names = {number: name for name, number in TABLES[on].items()}
    for number in range(1024):
        name = names.get(number, "")
        if name in CHECKED:
            continue
        expected = ALLOW if name in ALLOWED else NOT_ALLOWED if name in NOT_PERMITTED else MISSING
        assert interpret(code, AUDIT_ARCHITECTURE[on], number) == expected, name or number


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_other_conventions_kill(on: str) -> None:
    code = program(on)
    for number in (X32_BIT, X32_BIT | 39, X32_BIT | 521, 0xFFFFFFFF):
        assert interpret(code, AUDIT_ARCHITECTURE[on], number) == KILL_PROCESS
    for other in (0x40000003, 0x40000028, 0, *(value for key, value in AUDIT_ARCHITECTURE.items() if key != on)):
        for number in (0, 1, 39, 172):
            assert interpret(code, other, number) == KILL_PROCESS


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_socket_families_types_and_protocols(on: str) -> None:
    for family in range(70):
        expected = ALLOW if family in (1, 2, 10) else ERRNO | errno.EOPNOTSUPP
        assert answer("socket", family, 1, on=on) == expected
        assert answer("socket", family | (7 << 32), 1, on=on) == expected, "the upper half counts for nothing"
        assert answer("socketpair", family, 1, on=on) == (ALLOW if family == 1 else ERRNO | errno.EOPNOTSUPP)
    for kind in range(16):
        expected = ALLOW if kind in (1, 2, 5) else ERRNO | errno.EPROTONOSUPPORT
        assert answer("socket", 2, kind, on=on) == expected
        assert answer("socket", 2, kind | 0o2000000 | 0o4000, on=on) == expected, "close-on-exec and non-blocking"
    for protocol in range(300):
        expected = ALLOW if protocol in (0, 6, 17) else ERRNO | errno.EPROTONOSUPPORT
        assert answer("socket", 10, 1, protocol, on=on) == expected


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_drivers_of_accelerators_have_controls_and_terminals_and_networks_have_none_more(on: str) -> None:
    code, number = program(on, devices=True), TABLES[on]["ioctl"]

    def control(wanted: int) -> int:
        return interpret(code, AUDIT_ARCHITECTURE[on], number, (3, wanted))

    for wanted in (0xC020462A, 0x30000001, 27, 0xC0404B02, *IOCTLS):
        assert control(wanted) == ALLOW
    for refused in (0x5412, 0x541C, 0x5423, 0x8900, 0x8914, 0x8946, 0x89FF):
        assert control(refused) == control(refused | 1 << 40) == ERRNO | errno.ENOTTY
    other = program(on)
    for name, own in TABLES[on].items():
        if name != "ioctl":
            assert interpret(code, AUDIT_ARCHITECTURE[on], own) == interpret(other, AUDIT_ARCHITECTURE[on], own), name


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_descriptors_are_duplicated_locked_and_sealed_but_neither_leased_nor_watched(on: str) -> None:
    wanted = ("F_DUPFD", "F_GETFD", "F_SETFD", "F_GETFL", "F_SETFL", "F_GETLK", "F_SETLK", "F_SETLKW", "F_OFD_SETLK")
    for name in (*wanted, "F_OFD_GETLK", "F_DUPFD_CLOEXEC", "F_ADD_SEALS", "F_GET_SEALS", "F_GETPIPE_SZ", "F_SETOWN"):
        assert answer("fcntl", 3, getattr(fcntl, name), on=on) == ALLOW, name
    for name in ("F_SETLEASE", "F_NOTIFY", "F_SETPIPE_SZ"):
        assert answer("fcntl", 3, getattr(fcntl, name), on=on) == NOT_ALLOWED, name
        assert answer("fcntl", 3, getattr(fcntl, name) | 1 << 40, on=on) == NOT_ALLOWED, "the upper half counts nothing"
    assert answer("inotify_init1", 0, on=on) == answer("inotify_add_watch", 3, on=on) == MISSING


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_clone_makes_threads_and_processes_but_no_namespace(on: str) -> None:
    assert answer("clone", 0x3D0F00, on=on) == ALLOW  # as pthread_create calls it
    assert answer("clone", 0x1200011, on=on) == ALLOW  # as fork calls it
    for bit in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer("clone", 0x3D0F00 | bit, on=on) == NOT_ALLOWED
        assert answer("clone", bit | (1 << 40), on=on) == NOT_ALLOWED


def test_set_user_id_bits_are_refused_wherever_a_mode_is_given() -> None:
    for bits in (0o4000, 0o2000, 0o6755):
        assert answer("chmod", 0, bits) == NOT_ALLOWED
        assert answer("fchmodat", 0, 0, bits) == NOT_ALLOWED
        assert answer("fchmodat2", 0, 0, bits) == NOT_ALLOWED
        assert answer("creat", 0, bits) == NOT_ALLOWED
        assert answer("open", 0, os.O_CREAT, bits) == NOT_ALLOWED
        assert answer("openat", 0, 0, os.O_TMPFILE, bits) == NOT_ALLOWED
        assert answer("openat", 0, 0, os.O_RDONLY, bits) == ALLOW, "without O_CREAT there is no mode"
    assert answer("chmod", 0, 0o755) == ALLOW


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_in_pods_folders_are_their_groups_and_no_file_is_another_users(on: str) -> None:
    code, table = program(on, group_folders=True), TABLES[on]

    def allowed(name: str, *arguments: int) -> bool:
        return interpret(code, AUDIT_ARCHITECTURE[on], table[name], arguments) == ALLOW

    assert allowed("fchmodat", 0, 0, 0o2755)
    assert allowed("mknodat", 0, 0, 0o102755)
    for bits in (0o4000, 0o4755, 0o6755):
        assert not allowed("fchmodat", 0, 0, bits)
        assert not allowed("openat", 0, 0, os.O_CREAT, bits)
        assert not allowed("mknodat", 0, 0, 0o100000 | bits)


def test_nodes_are_files_fifos_and_sockets() -> None:
    for kind, expected in {0o100000: ALLOW, 0o010000: ALLOW, 0o140000: ALLOW, 0o020000: NOT_ALLOWED}.items():
        assert answer("mknod", 0, kind | 0o600) == expected
        assert answer("mknodat", 0, 0, kind | 0o600) == expected
    assert answer("mknod", 0, 0o060600) == NOT_ALLOWED
    assert answer("mknod", 0, 0o104755) == NOT_ALLOWED


def test_terminal_injection_and_unknown_requests_are_refused() -> None:
    for request in IOCTLS:
        assert answer("ioctl", 0, request) == ALLOW
        assert answer("ioctl", 0, request | (1 << 32)) == ALLOW, "the kernel ignores the upper half, so do we"
    for request in (0x5412, 0x541C, 0x541D, 0x5423, 0x8914, 0x8924, 0x5412 | (1 << 32), 0xC0045878):
        assert answer("ioctl", 0, request) == ERRNO | errno.ENOTTY


def test_process_controls() -> None:
    assert answer("prctl", 4) == ALLOW
    for option in (8, 24, 26, 28, 35, 47, 53, 59, 0x59616D61):
        assert answer("prctl", option) == ERRNO | errno.EINVAL
    assert answer("personality", 0xFFFFFFFF) == ALLOW
    assert answer("personality", 0x0040000) == NOT_ALLOWED


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_without_sockets_there_is_none(on: str) -> None:
    code = program(on, sockets=False)
    for name in SOCKET_CALLS:
        if name in TABLES[on]:
            assert interpret(code, AUDIT_ARCHITECTURE[on], TABLES[on][name], (1, 1)) == MISSING


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_fuzz_answers_are_never_wider_than_the_rule(on: str) -> None:
    """Random numbers and arguments: an allowed call is one whose name is allowed or checked."""
    code = program(on)
    names = {number: name for name, number in TABLES[on].items()}
    chance = random.Random(7)
    for _ in range(20000 if os.environ.get("TRE_TEST_LONG") == "1" else 2000):
        number = chance.choice([chance.randrange(1200), chance.getrandbits(32), X32_BIT | chance.randrange(600)])
        arguments = tuple(chance.getrandbits(64) for _ in range(6))
        given = interpret(code, AUDIT_ARCHITECTURE[on], number, arguments)
        if given == ALLOW:
            assert names[number] in ALLOWED | CHECKED
        else:
            assert given == KILL_PROCESS or given & 0xFFFF0000 == ERRNO


@pytest.mark.parametrize("on", ARCHITECTURES)
def test_the_kernel_would_take_it(on: str) -> None:
    """Length, jumps inside the program, every path ends (kernel: bpf_check_classic)."""
    code = program(on)
    assert len(code) <= bpf.MAXIMUM_LENGTH
    for place, one in enumerate(code):
        assert 0 <= one.if_true <= 255
        assert 0 <= one.if_false <= 255
        assert place + 1 + max(one.if_true, one.if_false) < len(code) or one.code == bpf.RETURN
    assert code[-1].code == bpf.RETURN
    assert len(bpf.encoded(code)) == 8 * len(code)


def test_encoding_is_the_kernels() -> None:
    assert bpf.encoded([Instruction(0x15, 0xC000003E, 1, 2)]) == bytes.fromhex("1500 01 02 3e0000c0".replace(" ", ""))


def test_names_are_real() -> None:
    """A misspelt name would silently be no rule at all."""
    known = set(TABLES["x86_64"]) | set(TABLES["aarch64"])
    assert known >= ALLOWED
    assert known >= NOT_PERMITTED
    assert known >= CHECKED
    assert not ALLOWED & NOT_PERMITTED
    assert not (ALLOWED | NOT_PERMITTED) & CHECKED


def test_numbers_are_those_of_this_machines_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if platform.machine() != "x86_64" or not header.exists():
        samples = {"read": 0, "socket": 41, "clone": 56, "clone3": 435, "openat": 257, "prctl": 157}
        assert {name: TABLES["x86_64"][name] for name in samples} == samples
        return
    found = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    assert {name: number for name, number in TABLES["x86_64"].items() if name in found} == {
        name: number for name, number in found.items() if name in TABLES["x86_64"]
    }


def test_no_other_architecture() -> None:
    with pytest.raises(KeyError):
        program("riscv64")
