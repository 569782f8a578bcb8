"""The log of a workspace's pod lies on the node's disk: who is inside may write without end, and waits."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from images.builder.place import CHECKOUT

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


def test_of_a_flood_a_pipes_fill_is_kept_now_and_then(out: Path):
    from log import PIECE, Log

    with out.open("wb") as file:
        log = Log(file.fileno())
        written = 0

        def flood() -> None:
            nonlocal written
            while True:
                written += os.write(log.writing, bytes(PIECE))

        threading.Thread(target=flood, daemon=True).start()
        until(out, bytes(PIECE))
        time.sleep(0.5)
        kept, taken = out.stat().st_size, written
        log.end()
    assert PIECE <= kept <= 4 * PIECE
    assert taken <= kept + 2 * PIECE, "who floods it waits"


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
