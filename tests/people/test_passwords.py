"""Passwords: what they are hashed with, what matches nothing, and how many are hashed at once."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tre.people import passwords

HASH = "$argon2id$v=19$m=65536,t=3,p=4$"


@dataclass
class Watching:
    """Stands in the place of the password hash."""

    watch: Callable[[], None]

    def verify(self, stored: str, password: str) -> bool:
        self.watch()
        return False


def test_a_stored_text_that_is_no_hash_matches_nothing():
    assert not passwords.password_matches("", "")
    assert not passwords.password_matches("plain", "plain")
    assert not passwords.password_matches(None, "nobody has this password")


def test_passwords_are_hashed_as_rfc_9106_says():
    """argon2id with 64 MiB, 3 passes and 4 lanes, asked of a fresh process: the fixtures make it cheap in this one."""
    program = "from tre.people import passwords; print(passwords.hash_password('x'), passwords._NOBODY)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [text[: len(HASH)] for text in printed] == [HASH, HASH]


def test_a_flood_of_guesses_takes_four_hashes_at_once(monkeypatch: pytest.MonkeyPatch, at_once: Callable[..., list]):
    """Four meet inside, and a fifth would be seen."""
    inside, most, lock, meeting = [0], [0], threading.Lock(), threading.Barrier(4)

    def watch() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        meeting.wait(30)
        with lock:
            inside[0] -= 1

    monkeypatch.setattr(passwords, "_hasher", Watching(watch))
    assert at_once(*[lambda: passwords.password_matches(None, "x")] * 12) == [False] * 12
    assert most == [4]
