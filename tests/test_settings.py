"""Where things lie: paths that sockets bear, and files that must not be silently without effect."""

import os
from pathlib import Path

import pytest

from tre.errors import InvalidInput
from tre.settings import Settings, default_run, make_private_folder


def test_defaults_lie_below_the_home():
    found = Settings.load({"HOME": "/home/alice"})
    assert found == Settings(Path("/home/alice/.local/state/tre"), Path("/home/alice/.local/state/tre/run"), 8000)


def test_the_environment_wins_over_the_file(tmp_path: Path):
    (tmp_path / "tre.toml").write_text('port = 9001\nrun = "/tmp/r"\n')
    assert Settings.load({"TRE_STATE": str(tmp_path)}) == Settings(tmp_path, Path("/tmp/r"), 9001)
    given = {"TRE_STATE": str(tmp_path), "TRE_RUN": "/tmp/s", "TRE_PORT": "9002"}
    assert Settings.load(given) == Settings(tmp_path, Path("/tmp/s"), 9002)


def test_a_child_loads_the_same(tmp_path: Path):
    found = Settings.load({"TRE_STATE": str(tmp_path), "TRE_PORT": "9003"})
    assert Settings.load(found.environment()) == found


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "1.5"])
def test_a_bad_port_is_named(tmp_path: Path, port: str):
    if port == "":
        assert Settings.load({"TRE_STATE": str(tmp_path), "TRE_PORT": port}).port == 8000
        return
    with pytest.raises(InvalidInput, match="port"):
        Settings.load({"TRE_STATE": str(tmp_path), "TRE_PORT": port})


@pytest.mark.parametrize("text", ["prot = 1", "port = ", "\xff", "[tre]\nport = 1"])
def test_a_bad_file_is_refused(tmp_path: Path, text: str):
    (tmp_path / "tre.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"tre\.toml"):
        Settings.load({"TRE_STATE": str(tmp_path)})


def test_the_longest_socket_path_fits_and_one_more_byte_is_refused(tmp_path: Path):
    longest = "/" + "r" * 57
    found = Settings(tmp_path, Path(longest))
    assert len(os.fsencode(found.intake_sockets / ("0" * 32 + ".sock"))) <= 107
    with pytest.raises(InvalidInput, match="leave room for 58"):
        Settings(tmp_path, Path(longest + "r"))


@pytest.mark.parametrize("name", ["a b", "a'b", "a,b", "a?b", "a&b", "a%b", "a\nb", 'a"b', "a\\b"])
def test_a_run_folder_that_needs_quoting_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InvalidInput, match="special sign"):
        Settings(tmp_path, Path("/tmp") / name)


def test_a_long_state_folder_gets_a_short_run_folder_of_its_own():
    long, other = Path("/" + "s" * 80), Path("/" + "t" * 80)
    found = default_run(long, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert found.parent == Path("/run/user/1000")
    assert found != default_run(other, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert default_run(long, {}) == default_run(long, {})


def test_a_private_folder_is_made_ours_or_refused(tmp_path: Path):
    make_private_folder(tmp_path / "a" / "b")
    (tmp_path / "open").mkdir(mode=0o777)
    make_private_folder(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(InvalidInput, match="not a folder that belongs"):
        make_private_folder(tmp_path / "link")
    with pytest.raises(InvalidInput, match="not a folder that belongs"):
        make_private_folder(Path("/usr"))


def test_no_connection_string_holds_a_password(tmp_path: Path):
    found = Settings(tmp_path, Path("/tmp/r"))
    assert found.state_conninfo("tre_app") == (
        f"host='/tmp/r/pg-state' user='tre_app' dbname='tre' passfile='{tmp_path}/secrets/state-tre_app.pgpass'"
    )
    assert found.data_url("tre_admin") == (
        f"postgresql+psycopg://tre_admin@/datasets?host=/tmp/r/pg-data&passfile={tmp_path}/secrets/data-tre_admin.pgpass"
    )
