"""A backup of real servers, restored to another folder; and backups that were cut, changed or made to break out."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.folders import new_settings
from tests.stack.test_servers import NAMES, SERVERS, write_facts
from tests.stack.toys import is_ready, supervising, wait_until
from tests.workspaces.test_home import deep, remove_deep
from tre.credentials import Secrets
from tre.errors import Broken, Conflict
from tre.settings import Settings
from tre.stack import backup
from tre.stack.supervisor import only_one

LOGINS = "SELECT 1 FROM pg_roles WHERE rolname = %s"


@pytest.fixture
def other_settings():
    found = new_settings("tre-other-")
    yield found
    shutil.rmtree(found.state.parent)


def test_a_backup_restored_elsewhere_has_everything(fresh_settings: Settings, other_settings: Settings):
    file = io.BytesIO()
    with supervising(fresh_settings, SERVERS):
        wait_until(lambda: is_ready(fresh_settings, *NAMES), 120)
        key = write_facts(fresh_settings)
        signature = Secrets.from_settings(fresh_settings).sign("audit", b"head")
        username = Secrets.from_settings(fresh_settings).lease("kept", "w-before").username
        with pytest.raises(Conflict, match="runs already"):
            backup.backup(fresh_settings, file)
    made = backup.backup(fresh_settings, file)
    shutil.rmtree(fresh_settings.state)
    file.seek(0)
    assert backup.restore(other_settings, file) == made.entries
    assert made.left_out == []
    with supervising(other_settings, SERVERS):
        wait_until(lambda: is_ready(other_settings, *NAMES), 120)
        secrets = Secrets.from_settings(other_settings)
        assert secrets.pseudonym_key("kept") == key
        assert secrets.verify("audit", b"head", signature)
        for conninfo in (other_settings.state_conninfo("tre_owner"), other_settings.data_conninfo("tre_admin")):
            with psycopg.connect(conninfo) as db:
                assert db.execute("SELECT count(*) FROM fact").fetchone() == (1,)
        secrets.reconnect()
        (before,) = [held for held in secrets.list_leases() if held.workspace == "w-before"]
        secrets.revoke(before.id)
        with psycopg.connect(other_settings.data_conninfo("tre_admin")) as db:
            wait_until(lambda: db.execute(LOGINS, [username]).fetchone() is None)
        lease = secrets.lease("kept", "w-restored")
        host = str(other_settings.data_database)
        with psycopg.connect(host=host, user=lease.username, password=lease.password, dbname=lease.database) as db:
            assert db.execute("SELECT current_user").fetchone() == (lease.username,)


def left(settings: Settings) -> list[str]:
    """What a refused restore left behind."""
    beside = [path.name for path in settings.state.parent.iterdir() if path not in (settings.state, settings.run)]
    return beside + [path.name for path in settings.state.iterdir() if path.name not in backup.LEFT_OUT]


def a_state(settings: Settings) -> bytes:
    """A small state folder and its backup."""
    for name, text in (("content/ab", "bytes"), ("secrets/key", "secret"), ("logs/x.log", "log"), ("run/x", "x")):
        path = settings.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    (settings.state / "link").symlink_to("content/ab")
    (settings.state / "empty").mkdir(mode=0o700)
    file = io.BytesIO()
    backup.backup(settings, file)
    return file.getvalue()


def test_files_links_folders_and_modes_are_kept_logs_and_sockets_are_not(
    fresh_settings: Settings, other_settings: Settings
):
    data = a_state(fresh_settings)
    backup.restore(other_settings, io.BytesIO(data))
    assert (other_settings.state / "content" / "ab").read_text() == "bytes"
    assert (other_settings.state / "secrets" / "key").stat().st_mode & 0o777 == 0o600
    assert (other_settings.state / "link").readlink() == Path("content/ab")
    assert sorted(path.name for path in other_settings.state.iterdir()) == [
        *("content", "empty", "link", "lock", "logs", "secrets")
    ]


def test_a_home_made_to_hinder_the_backup_does_not(fresh_settings: Settings, other_settings: Settings):
    """Closed files and folders, names of any bytes, a file of a thousand names, folders too deep for any path."""
    home = fresh_settings.homes / "heart" / "rhea"
    home.mkdir(parents=True)
    (home / "large").write_bytes(bytes(1 << 20))
    for number in range(1000):
        os.link(home / "large", home / f"name-{number}")
    (home / "closed").mkdir()
    for name in ("file", "new\nline", "\udcff", "\u202etxt"):
        (home / "closed" / name).write_text(name, errors="surrogateescape")
        (home / "closed" / name).chmod(0)
    (home / "closed").chmod(0)
    (home / "out").symlink_to("/etc")
    os.mkfifo(home / "waiting")
    deep(home)
    file = io.BytesIO()
    made = backup.backup(fresh_settings, file)
    assert file.tell() < 1 << 20, "what has a thousand names is kept once"
    assert len(made.left_out) == 1
    assert made.left_out[0].startswith("homes/heart/rhea/d/d/d")
    file.seek(0)
    assert backup.restore(other_settings, file) == made.entries
    found = other_settings.homes / "heart" / "rhea"
    assert (found / "name-999").stat().st_nlink == 1001
    assert (found / "out").readlink() == Path("/etc")
    assert sorted(os.listdir(found / "closed")) == sorted(os.listdir(home / "closed"))
    assert (found / "closed" / "file").stat().st_mode & 0o777 == 0
    for folder in (found, home):
        remove_deep(folder)


def test_a_restore_never_overwrites(fresh_settings: Settings):
    data = a_state(fresh_settings)
    with pytest.raises(Conflict, match="is not empty"):
        backup.restore(fresh_settings, io.BytesIO(data))
    assert (fresh_settings.state / "content" / "ab").read_text() == "bytes"


def test_a_backup_cut_anywhere_is_refused_and_leaves_nothing(fresh_settings: Settings, other_settings: Settings):
    data = a_state(fresh_settings)
    for length in [0, 1, 20, *range(40, len(data) - 8, 37)]:
        with pytest.raises(Broken):
            backup.restore(other_settings, io.BytesIO(data[:length]))
        assert left(other_settings) == []


def test_nothing_starts_after_a_restore_that_was_broken_off(other_settings: Settings):
    (other_settings.state / "restoring").mkdir(parents=True)
    with pytest.raises(Broken, match="broken off"), only_one(other_settings):
        pass


def test_a_changed_file_is_found(fresh_settings: Settings, other_settings: Settings):
    plain = gzip.decompress(a_state(fresh_settings))
    assert plain.count(b"bytes\0") == 1
    with pytest.raises(Broken, match="was changed"):
        backup.restore(other_settings, io.BytesIO(gzip.compress(plain.replace(b"bytes\0", b"bytez\0"))))
    assert left(other_settings) == []


@pytest.mark.parametrize("kind", ["above", "absolute", "through link", "device", "fifo", "hard link", "twice"])
def test_a_hostile_backup_does_not_break_out(other_settings: Settings, tmp_path: Path, kind: str):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w|gz") as archive:

        def member(name: str, **more) -> None:
            info = tarfile.TarInfo(name)
            for key, value in more.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(b""))

        if kind == "above":
            member("../outside")
        elif kind == "absolute":
            member(str(tmp_path / "outside"))
        elif kind == "through link":
            member("way", type=tarfile.SYMTYPE, linkname=str(tmp_path))
            member("way/outside")
        elif kind == "device":
            member("outside", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        elif kind == "fifo":
            member("outside", type=tarfile.FIFOTYPE)
        elif kind == "hard link":
            member("outside", type=tarfile.LNKTYPE, linkname="/etc/passwd")
        else:
            member("a")
            member("a")
    file.seek(0)
    with pytest.raises(Broken):
        backup.restore(other_settings, file)
    assert left(other_settings) == []
    assert list(tmp_path.iterdir()) == []


def test_by_command_as_a_file_and_through_pipes(fresh_settings: Settings, other_settings: Settings, tmp_path: Path):
    a_state(fresh_settings)
    here, there = ({**os.environ, **found.environment()} for found in (fresh_settings, other_settings))
    file = tmp_path / "backup"

    def tre(*arguments: str, env: dict[str, str], **more: object) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "tre.cli.main", "backup", *arguments]
        return subprocess.run(argv, env=env, capture_output=True, check=False, **more)

    done = tre("save", str(file), "--json", env=here)
    assert json.loads(done.stdout) == {"file": str(file), "bytes": file.stat().st_size, "entries": 6, "left_out": 0}, (
        done.stderr
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert tre("save", str(file), env=here).returncode == 2, "what is there is kept"
    piped = tre("save", "-", env=here).stdout
    (other_settings.state / "content").mkdir(parents=True)
    assert b"is not empty" in tre("load", "-", env=there, input=piped).stderr
    (other_settings.state / "content").rmdir()
    assert tre("load", "-", env=there, input=piped[:-100]).returncode == 20
    assert tre("load", "-", env=there, input=piped).returncode == 0
    assert (other_settings.state / "content" / "ab").read_text() == "bytes"
    assert tre("load", str(file), env=there).returncode == 4
    assert tre("load", str(tmp_path / "none"), env=there).returncode == 2
    with only_one(fresh_settings):
        assert tre("save", str(tmp_path / "second"), env=here).returncode == 4
    assert not (tmp_path / "second").exists(), "nothing is left of a backup that failed"
