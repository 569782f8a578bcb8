"""Counting websocket messages without unpacking them (RFC 6455, section 5.2).

Decides how long messages are and where frames begin, from the frame heads alone; payloads pass untouched. Leaves to
others what to do about a message that is too long.
"""

from __future__ import annotations

SMALL, MEDIUM = 126, 127
CLOSE = 0x8


class MessageTooLong(Exception):
    """One message is longer than the cap."""


class FrameCounter:
    """Feed it every byte of one direction.

    `payload` is the sum of payload bytes announced so far, `messages` the number of finished messages; `at_boundary`
    says whether a frame of our own could be inserted now. Raises MessageTooLong before the message has passed.
    """

    __slots__ = ("_current", "_head", "_skip", "cap", "messages", "payload")

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.payload = 0
        self.messages = 0
        self._current = 0
        self._skip = 0
        self._head = b""

    @property
    def at_boundary(self) -> bool:
        return not self._skip and not self._head

    def feed(self, data: bytes) -> None:
        position, end = 0, len(data)
        while position < end:
            if self._skip:
                step = min(self._skip, end - position)
                self._skip -= step
                position += step
                continue
            taken = self._take_head(data, position)
            if not taken:
                return
            position += taken

    def _take_head(self, data: bytes, position: int) -> int:
        """Read one frame head at `position`; the number of bytes taken from `data`, 0 where it is not complete."""
        kept = len(self._head)
        head = self._head + data[position : position + 14 - kept]
        size = head_size(head)
        if len(head) < size:
            self._head = head
            return 0
        self._head = b""
        self._begin_frame(head)
        return size - kept

    def _begin_frame(self, head: bytes) -> None:
        length = payload_length(head)
        self.payload += length
        self._skip = length
        if head[0] & 0x08:  # control frames stand between the frames of a message
            return
        self._current += length
        if self._current > self.cap:
            raise MessageTooLong(f"{self._current} bytes, allowed are {self.cap}")
        if head[0] & 0x80:
            self.messages += 1
            self._current = 0


def head_size(head: bytes) -> int:
    """How long the frame head is that starts with `head` (2 until that can be said)."""
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    return 2 + (2 if short == SMALL else 8 if short == MEDIUM else 0) + (4 if head[1] & 0x80 else 0)


def payload_length(head: bytes) -> int:
    short = head[1] & 0x7F
    if short == SMALL:
        return int.from_bytes(head[2:4])
    return int.from_bytes(head[2:10]) if short == MEDIUM else short


def close_frame(code: int, reason: str) -> bytes:
    """A whole unmasked close frame, as a server sends it; the reason is cut to the 123 bytes that fit."""
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return bytes([0x80 | CLOSE, 2 + len(text)]) + code.to_bytes(2) + text
