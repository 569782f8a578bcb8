"""Counting websocket frames by their heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.door.guard.frames import FrameCounter, MessageTooLong, close_frame


def frame(payload: bytes, *, opcode: int = 2, fin: bool = True, masked: bool = False) -> bytes:
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    mask = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask | size])
    elif size < 1 << 16:
        head += bytes([mask | 126]) + size.to_bytes(2)
    else:
        head += bytes([mask | 127]) + size.to_bytes(8)
    return head + (b"abcd" if masked else b"") + payload


@given(
    st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), min_size=1, max_size=6),
    st.lists(st.integers(1, 5000), min_size=1, max_size=20),
)
def test_cut_anywhere_gives_the_same_count(messages, cuts):
    data = b"".join(frame(b"x" * size, masked=masked) for size, masked in messages)
    counter = FrameCounter(100_000)
    position, turn = 0, 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        counter.feed(data[position : position + step])
        position, turn = position + step, turn + 1
    assert counter.payload == sum(size for size, _ in messages)
    assert counter.messages == len(messages)
    assert counter.at_boundary


def test_one_byte_at_a_time():
    counter = FrameCounter(10**6)
    for byte in frame(b"y" * 300, masked=True) + frame(b"", opcode=9):
        counter.feed(bytes([byte]))
    assert (counter.payload, counter.messages, counter.at_boundary) == (300, 1, True)


def test_a_long_message_is_seen_at_its_head():
    with pytest.raises(MessageTooLong):
        FrameCounter(1000).feed(frame(b"z" * 1001)[:4])


def test_fragments_add_up_and_control_frames_do_not_count():
    counter = FrameCounter(1000)
    counter.feed(frame(b"a" * 600, fin=False) + frame(b"p" * 100, opcode=9))
    with pytest.raises(MessageTooLong):
        counter.feed(frame(b"a" * 600, opcode=0))


def test_not_at_boundary_inside_a_frame():
    counter = FrameCounter(1000)
    counter.feed(frame(b"a" * 10)[:5])
    assert not counter.at_boundary


def test_close_frame_is_whole_and_short():
    assert close_frame(1008, "no") == b"\x88\x04\x03\xf0no"
    long = close_frame(1008, "ü" * 100)
    assert len(long) <= 127
    assert long[4:].decode()
