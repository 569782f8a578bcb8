"""What a machine lacks is named with its remedy; each lack is made here as far as a test can."""

import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from tre.settings import Settings
from tre.stack import doctor


def test_every_finding_says_what_is_there_and_a_lack_says_how_to_mend_it(fresh_settings: Settings):
    found = doctor.examine(fresh_settings)
    assert len({one.name for one in found}) == len(found) == 14
    for one in found:
        assert one.found
        assert bool(one.remedy) != one.ok, one


def test_this_machine_can_run_it(fresh_settings: Settings):
    lacks = {one.name for one in doctor.examine(fresh_settings) if not one.ok}
    assert lacks <= {"control groups", "Chromium (for tests only)", "memory"}


def test_looking_changes_nothing(fresh_settings: Settings):
    doctor.examine(fresh_settings)
    assert not fresh_settings.state.exists()
    assert not fresh_settings.run.exists()


@pytest.mark.parametrize(("release", "ok"), [("5.8.0-1", False), ("5.9", True), ("6.18.4-x", True), ("4.19.0", False)])
def test_kernel(release: str, ok: bool):
    assert doctor.kernel(release).ok is ok


def test_a_taken_port_is_named(fresh_settings: Settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", fresh_settings.port + 2))
        other.listen()
        found = doctor.ports(fresh_settings)
    assert (found.ok, found.found) == (False, f"in use: {fresh_settings.port + 2}")
    assert "TRE_PORT" in found.remedy


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 10 * 1024**2))
    found = doctor.disk(tmp_path / "not" / "yet")
    assert (found.ok, found.found) == (False, f"10 MiB free at {tmp_path}")
    assert not doctor.shared_memory().ok


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("apparmor_restrict_unprivileged_userns", "1", "AppArmor profile"),
        ("max_user_namespaces", "0", "max_user_namespaces=10000"),
        ("", "", "in a container"),
    ],
)
def test_the_switch_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str):
    monkeypatch.setattr(doctor, "read", lambda path: value if path.name == name else "")
    assert words in doctor.namespaces_remedy()


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(doctor.postgres, "BIN", tmp_path)
    found = doctor.programs()
    assert not found.ok
    assert found.found.startswith("postgres: ")
    assert found.remedy == "Run `make install` again."


def test_what_cannot_be_read_is_a_lack(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "read", lambda path: "")
    assert not any(check().ok for check in (doctor.seccomp, doctor.memory, doctor.watches))
