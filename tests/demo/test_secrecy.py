"""A secret that slipped out is seen where it did, and is named without being repeated."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tre.demo.secrecy import in_files, in_processes, platform_secrets, secrets_of

SECRET = "Zk3-slipped-out-Qx9"
KNOWN = {SECRET.encode(): "rhea's token"}


def with_argument(program: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*program, SECRET], stdin=subprocess.PIPE)


def with_environment(program: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(program, stdin=subprocess.PIPE, env={**os.environ, "TOKEN": SECRET})


@pytest.mark.parametrize(("start", "part"), [(with_argument, "cmdline"), (with_environment, "environ")])
def test_a_process_that_shows_one_is_named(start: Callable[[list[str]], subprocess.Popen[bytes]], part: str):
    with start([sys.executable, "-c", "print(flush=True); input()"]) as process:
        seen = [words for words in in_processes(KNOWN) if f"({process.pid})" in words]
        process.communicate(b"\n")
    assert len(seen) == 1
    assert seen[0].startswith(f"rhea's token in the {part} of ")
    assert SECRET not in seen[0]


def test_a_file_that_shows_one_is_named(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_bytes(b"\xff" + SECRET.encode())
    (tmp_path / "logs" / "hub.log").write_text("nothing")
    (tmp_path / "up.log").write_text("nothing")
    seen = list(in_files(KNOWN, [tmp_path / "logs", tmp_path / "up.log"]))
    assert seen == [f"rhea's token in {tmp_path}/logs/api.log"]


def test_every_kind_of_secret_file_is_read(tmp_path: Path):
    (tmp_path / "a.pgpass").write_text("*:*:*:tre_app:password-of-app\n")
    (tmp_path / "b.token").write_text("token-of-the-hub\n")
    (tmp_path / "c.json").write_text('{"keys": ["first-recovery-key"], "short": "no"}')
    (tmp_path / "d.key").write_bytes(b"\x00\xff" * 16)
    (tmp_path / "e.url").write_text("postgresql://tre_hub@/tre_hub?passfile=/elsewhere\n")
    assert platform_secrets(tmp_path) == {
        b"password-of-app": "a.pgpass",
        b"token-of-the-hub": "b.token",
        b"first-recovery-key": "c.json",
        b"\x00\xff" * 16: "d.key",
    }


def test_a_service_file_gives_its_password_alone():
    text = "[project]\nuser=w_0123456789abcdef\npassword=long-random-words\n"
    assert secrets_of({"pg_service.conf": text}, "a workspace") == {b"long-random-words": "a workspace"}
