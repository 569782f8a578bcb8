"""Classic BPF as the kernel's system call filter reads it: instructions, and their bytes.

Decides the encoding only. Leaves what to allow to `seccomp`. Source: `linux/filter.h`, `linux/bpf_common.h`,
`linux/seccomp.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOAD, JUMP_EQUAL, JUMP_GREATER, JUMP_AT_LEAST, JUMP_BITS, AND, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
KILL_PROCESS, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
# struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
MAXIMUM_LENGTH = 4096


@dataclass(frozen=True)
class Instruction:
    """One `struct sock_filter`: operation, distance to jump when true and when false, operand."""

    code: int
    operand: int
    if_true: int = 0
    if_false: int = 0

    def encoded(self) -> bytes:
        """Eight bytes, little-endian as on both architectures."""
        return struct.pack("<HBBI", self.code, self.if_true, self.if_false, self.operand)


Block = Sequence[Instruction]


def encoded(program: Iterable[Instruction]) -> bytes:
    """The whole program as bubblewrap's `--seccomp` reads it from a descriptor."""
    return b"".join(instruction.encoded() for instruction in program)


def load(offset: int) -> Instruction:
    """Load 32 bits of the call's description."""
    return Instruction(LOAD, offset)


def load_argument(index: int) -> Instruction:
    """Load the low half of an argument.

    Every argument checked here is an `int` or narrower to the kernel, which ignores the high half; comparing all 64
    bits would let a caller set a high bit and slip past (CVE-2019-10063).
    """
    return Instruction(LOAD, ARGUMENTS + 8 * index)


def give(answer: int) -> Instruction:
    """End the program with this answer."""
    return Instruction(RETURN, answer)


def refuse(errno: int) -> Instruction:
    """End the program: the call fails with this error number."""
    return give(ERRNO | errno)


def when(code: int, operand: int, block: Block) -> list[Instruction]:
    """Run the block if the comparison holds, else go on behind it. The block must end in `give` or `refuse`."""
    return [Instruction(code, operand, 0, len(block)), *block]


def unless(code: int, operand: int, block: Block) -> list[Instruction]:
    """Run the block if the comparison does not hold, else go on behind it."""
    return [Instruction(code, operand, len(block), 0), *block]
