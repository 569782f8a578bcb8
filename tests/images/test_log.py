"""The log of a workspace's pod lies on the node's disk: who is inside may write without end, and little is kept."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from images.builder.place import CHECKOUT

#: What a pipe holds.
PIPE = 1 << 16
START = CHECKOUT / "images" / "workspace" / "start"


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(START), *sys.path])
    return tmp_path / "out"


def until(path: Path, words: bytes) -> None:
    end = time.monotonic() + 20
    while words not in path.read_bytes():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_of_a_flood_so_much_is_kept_in_a_second_and_who_floods_does_not_wait(out: Path):
    from log import MOST, Log

    with out.open("wb") as file:
        log = Log(file.fileno())
        for _ in range(64):
            os.write(log.writing, bytes(MOST))
        log.end()
        assert not log.thread.is_alive()
    kept = out.read_bytes()
    left_out = sum(int(number) for number in re.findall(rb"\[(\d+) bytes were left out\]", kept))
    zeros = kept.count(b"\0")
    assert MOST <= zeros <= 16 * MOST
    assert zeros + left_out >= 64 * MOST - PIPE, "but for what stayed in the pipe at the end"


def test_the_last_words_are_told(out: Path):
    from log import Log

    with out.open("wb") as file:
        log = Log(file.fileno())
        os.write(log.writing, b"first\n")
        until(out, b"first\n")
        os.write(log.writing, b"last\n")
        log.end()
        assert not log.thread.is_alive()
    assert out.read_bytes() == b"first\nlast\n"


def test_where_nobody_takes_it_whoever_writes_goes_on(out: Path):
    from log import MOST, Log

    reading, writing = os.pipe()
    os.close(reading)
    log = Log(writing)
    for _ in range(64):
        os.write(log.writing, bytes(MOST))
    assert log.thread.is_alive()
    log.end()
    assert not log.thread.is_alive()
    os.close(writing)
