"""A workspace's life: how it starts, what ends it, and that nothing of it is left."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workspaces.conftest import ENVIRONMENT, LIMITS, Plan, processes_with
from tre.errors import Conflict, InvalidInput, Unavailable
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime
from tre.workspaces.sandbox import usage
from tre.workspaces.sandbox.cgroups import handed_over


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> object:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    assert found, "it did not come to that"
    return found


def control_groups(name: str) -> list[Path]:
    return [path for folder in set(handed_over().values()) for path in Path(folder).glob(f"tre-{name}")]


def sh(runtime: SandboxRuntime, state: dict[str, str], script: str) -> str:
    done = runtime.exec_in(state, ["/bin/sh", "-c", script])
    return done.stdout.decode().strip()


def test_start_run_stop(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan()
    state = runtime.start(made)
    assert state == {"workspace_id": "one"}, "no secret in what callers keep"
    assert runtime.poll(state) is None
    status = runtime.status(state)
    assert status is not None
    assert status.state == "running"
    assert set(status.held_by) == {"memory", "processes", "cpus", "home"}
    assert sh(runtime, state, "id -un; pwd") == "researcher\n/home/researcher"
    begun = time.monotonic()
    runtime.stop(state)
    assert time.monotonic() - begun < 5
    assert runtime.poll(state) == "not running"
    runtime.stop(state)
    assert os.listdir(runtime.run_dir) == []
    assert control_groups("one") == []
    assert processes_with(made.home) == []
    assert Path(made.home).is_dir(), "the home survives"


def test_the_home_survives_and_nothing_else(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    sh(runtime, state, "echo kept > kept.txt; echo gone > /tmp/gone.txt; echo gone > /dev/shm/gone.txt")
    runtime.stop(state)
    state = runtime.start(plan())
    assert sh(runtime, state, "cat kept.txt; ls /tmp /dev/shm") == "kept\n/dev/shm:\n\n/tmp:"


def test_killing_the_keeper_kills_the_workspace(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan()
    state = runtime.start(made)
    runtime.exec_in(state, ["/bin/sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo started"])
    status = runtime.status(state)
    assert status is not None
    inside = usage.descendants(status.pid)
    assert len(inside) >= 3
    os.kill(status.pid, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in inside))
    assert runtime.poll(state) == "its keeper was killed"
    runtime.stop(state)
    assert os.listdir(runtime.run_dir) == []
    assert control_groups("one") == []
    state = runtime.start(made)
    assert runtime.poll(state) is None, "it can be started again"


def test_killing_bubblewrap_ends_it_with_a_reason(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    status = runtime.status(state)
    assert status is not None
    inside = usage.descendants(status.pid)
    os.kill(inside[0], signal.SIGKILL)
    assert "ended by itself" in str(wait_for(lambda: runtime.poll(state)))
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in inside))


def test_it_survives_whoever_started_it(runtime: SandboxRuntime, plan: Plan, folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tre.workspaces.plan import LaunchPlan\n"
        "from tre.workspaces.runtime import SandboxRuntime\n"
        "run, env, image = map(Path, sys.argv[1:])\n"
        "SandboxRuntime(run, env, image=image).start(LaunchPlan.from_json(sys.stdin.read()))\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    argv = [sys.executable, "-c", program, str(runtime.run_dir), str(ENVIRONMENT), str(folder / "image")]
    done = subprocess.run(argv, input=plan().to_json().encode(), cwd=REPOSITORY, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    state = {"workspace_id": "one"}
    assert runtime.poll(state) is None
    assert sh(runtime, state, "echo here") == "here"


def test_the_servers_end_is_the_workspaces_end(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    sh(runtime, state, "pkill -KILL -f serve.py || kill -9 2")
    assert wait_for(lambda: runtime.poll(state)) == "the workspace ended by itself with status 137"


def test_maximum_age(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan(limits=replace(LIMITS, max_age_seconds=1)))
    assert wait_for(lambda: runtime.poll(state)) == "the maximum age of 1 s is over"


def test_twice_is_a_conflict_and_harms_nothing(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    with pytest.raises(Conflict):
        runtime.start(plan())
    assert runtime.poll(state) is None
    assert sh(runtime, state, "echo here") == "here"


def test_two_workspaces_at_once(runtime: SandboxRuntime, plan: Plan) -> None:
    one, two = runtime.start(plan("one")), runtime.start(plan("two"))
    assert sh(runtime, one, "ls /data") == "data-one"
    assert sh(runtime, two, "ls /data") == "data-two"
    runtime.stop(one)
    assert runtime.poll(two) is None


def test_host_paths_are_in_no_command_line(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan()
    runtime.start(made)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert made.home.encode() not in Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue


def test_sockets_are_outside_and_private(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    path = runtime.jupyter_socket(state)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sh(runtime, state, f"ls -la {path.parent} 2>&1 | head -1; grep -c jupyter.sock /proc/net/unix").startswith(
        "ls:"
    )


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_lies_where_a_socket_belongs_is_not_followed(
    runtime: SandboxRuntime, plan: Plan, folder: Path, kind: str
) -> None:
    """Left by an attack or an accident: a link to another socket, a FIFO that would block, a folder."""
    place = runtime.run_dir / "one"
    place.mkdir(parents=True)
    victim = folder / "victim.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(victim))
        if kind == "symlink":
            (place / "jupyter.sock").symlink_to(victim)
            (place / "status.json").symlink_to(folder / "elsewhere")
        elif kind == "fifo":
            os.mkfifo(place / "jupyter.sock")
            os.mkfifo(place / ".status.new")
            os.mkfifo(place / "status.json")
        else:
            (place / "jupyter.sock").mkdir()
        if kind == "folder":
            with pytest.raises(Unavailable):
                runtime.start(plan())
            assert runtime.poll({"workspace_id": "one"}) == "not running"
        else:
            state = runtime.start(plan())
            assert stat.S_ISSOCK(runtime.jupyter_socket(state).lstat().st_mode)
            assert not (folder / "elsewhere").exists()
            assert victim.exists()


def test_a_home_that_is_a_link_is_refused(runtime: SandboxRuntime, plan: Plan, folder: Path) -> None:
    made = plan()
    Path(made.home).symlink_to("/")
    with pytest.raises(Unavailable, match="is not a folder of this user"):
        runtime.start(made)
    assert processes_with(made.home) == []


def test_an_intake_folder_with_others_in_it_is_refused(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan()
    (Path(made.intake_socket).parent / "another.sock").touch()
    with pytest.raises(Unavailable, match="folder of its own"):
        runtime.start(made)


def test_the_intake_may_be_restarted(runtime: SandboxRuntime, plan: Plan) -> None:
    made = plan()
    state = runtime.start(made)
    probe = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(5); "
        "s.connect('/run/tre/intake.sock'); print(s.recv(9).decode())"
    )
    for word in (b"first", b"second"):
        with socket.socket(socket.AF_UNIX) as intake:
            Path(made.intake_socket).unlink(missing_ok=True)
            intake.bind(made.intake_socket)
            intake.listen()
            intake.settimeout(10)
            inside = subprocess.Popen(
                [sys.executable, "-c", CALL, str(runtime.run_dir), str(ENVIRONMENT), probe], cwd=REPOSITORY,
                stdout=subprocess.PIPE,
            )  # fmt: skip
            connection, _ = intake.accept()
            connection.sendall(word)
            connection.close()
            assert inside.communicate(timeout=20)[0].strip() == word
    assert runtime.poll(state) is None


CALL = (
    "import sys; from pathlib import Path\n"
    "from tre.workspaces.runtime import SandboxRuntime\n"
    "runtime = SandboxRuntime(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    "done = runtime.exec_in({'workspace_id': 'one'}, ['python', '-c', sys.argv[3]])\n"
    "sys.stdout.write(done.stdout.decode() + done.stderr.decode())\n"
)


def test_a_run_folder_that_is_too_deep_says_so(plan: Plan, folder: Path) -> None:
    deep = SandboxRuntime(folder / ("d" * 90), ENVIRONMENT)
    with pytest.raises(Unavailable, match="Choose a shorter run folder"):
        deep.start(plan())


def test_a_server_that_does_not_come_up_says_why(runtime: SandboxRuntime, plan: Plan, folder: Path) -> None:
    (folder / "image" / "start" / "serve.py").write_text("raise SystemExit('no kernel today')")
    with pytest.raises(Unavailable, match="no kernel today"):
        runtime.start(plan())
    assert os.listdir(runtime.run_dir) == []


def test_a_server_that_never_answers_is_stopped(plan: Plan, folder: Path, quick_image: Path) -> None:
    (quick_image / "start" / "serve.py").write_text("import time; time.sleep(600)")
    slow = SandboxRuntime(folder / "run", ENVIRONMENT, image=quick_image, start_seconds=1)
    made = plan()
    with pytest.raises(Unavailable, match="not ready within"):
        slow.start(made)
    assert os.listdir(slow.run_dir) == []
    assert processes_with(made.home) == []


def test_names_that_would_leave_the_run_folder(runtime: SandboxRuntime) -> None:
    for name in ("..", "../x", "a/b", "", ".", "a\n"):
        with pytest.raises(InvalidInput):
            runtime.poll({"workspace_id": name})


def test_exec_in_returns_output_input_and_status(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    done = runtime.exec_in(state, ["/bin/sh", "-c", "cat; echo no >&2; exit 3"], b"yes")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"yes", b"no\n")
    assert runtime.exec_in(state, ["/bin/sleep", "60"], seconds=0.2).returncode == 124
    assert runtime.exec_in(state, ["/no/such"]).returncode == 127
    assert len(runtime.exec_in(state, ["/usr/bin/head", "-c", "20000000", "/dev/zero"]).stdout) == 16 << 20
    with pytest.raises(Unavailable):
        runtime.exec_in({"workspace_id": "nobody"}, ["/bin/true"])


def test_exec_in_has_the_same_walls(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    status = sh(runtime, state, "cat /proc/self/status")
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert sh(runtime, state, "readlink /proc/self/ns/net /proc/1/ns/net 2>/dev/null | sort -u | wc -l") == "1"
