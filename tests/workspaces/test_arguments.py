"""Bubblewrap's arguments, control group settings, resource limits: each as one whole object."""

import os
from pathlib import Path

import pytest

from tests.workspaces.conftest import ENVIRONMENT, make_plan
from tre.errors import Unavailable
from tre.workspaces.plan import DataMount, LaunchPlan, Limits
from tre.workspaces.sandbox import cgroups
from tre.workspaces.sandbox.arguments import Image, environment_variables, synthetic_files, workspace_arguments
from tre.workspaces.sandbox.checking import checking_arguments
from tre.workspaces.sandbox.host import HostSystem, PythonEnvironment, host_system, python_environment
from tre.workspaces.sandbox.launch import rlimits

SYSTEM = HostSystem(("/usr/bin", "/usr/lib"), (("/lib", "usr/lib"),), ("/proc/keys",), ("/proc/acpi",))
PYTHON = PythonEnvironment("/srv/env", "/opt/python3", "/opt/tre/python", "/opt/tre/python/bin/python3.11")
PLAN = LaunchPlan(
    workspace_id="w1",
    person="alice",
    project="rand",
    home="/state/homes/alice/rand",
    base_url="/user/alice/rand/",
    intake_socket="/run/tre/intake/w1/intake.sock",
    jupyter_token="j" * 40,
    data=(DataMount("hie", "/state/extracts/1"), DataMount("rossi", "/state/extracts/2")),
    secrets={"intake.token": "i" * 40, "pg_service.conf": "[project]\n"},
    postgres_socket_dir="/run/tre/data",
    limits=Limits(memory_bytes=4000, processes=10, cpus=1.5, file_bytes=50, home_bytes=60, open_files=70),
)
IMAGE = Image("/image/start", "/image/ipython", (("release", "/image/lib/release"),))
FILES = {"/etc/passwd": 10}
REST = {"secrets": "/dev/shm/tre/w1", "seccomp": 12}

WORKSPACE = """
--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup
--disable-userns --assert-userns-disabled --new-session --die-with-parent --as-pid-1 --clearenv
--hostname workspace --uid 1000 --gid 1000 --cap-drop ALL
--ro-bind /usr/bin /usr/bin --ro-bind /usr/lib /usr/lib --symlink usr/lib /lib
--proc /proc --ro-bind /dev/null /proc/keys --perms 0000 --size 4096 --tmpfs /proc/acpi --remount-ro /proc/acpi
--remount-ro /proc
--dev /dev --size 1000 --perms 1777 --tmpfs /dev/shm --remount-ro /dev
--ro-bind /opt/python3 /opt/tre/python
--ro-bind /srv/env/lib /opt/tre/env/lib --ro-bind-try /srv/env/share /opt/tre/env/share
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python3
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python3.11
--ro-bind /image/start /opt/tre/start --ro-bind /image/ipython /etc/ipython
--ro-bind /image/lib/release /opt/tre/lib/release
--perms 0444 --ro-bind-data 10 /etc/passwd
--size 1000 --perms 1777 --tmpfs /tmp --size 16777216 --perms 0700 --tmpfs /run/jupyter
--ro-bind /dev/shm/tre/w1 /run/tre/secrets
--symlink secrets/intake.token /run/tre/intake.token --symlink secrets/pg_service.conf /run/tre/pg_service.conf
--ro-bind /run/tre/intake/w1 /run/tre/intake --symlink intake/intake.sock /run/tre/intake.sock
--ro-bind /run/tre/data /run/tre/postgresql
--ro-bind /state/extracts/1 /data/hie --ro-bind /state/extracts/2 /data/rossi
--bind /state/homes/alice/rand /home/researcher
--remount-ro / --chdir /home/researcher
--setenv HOME /home/researcher --setenv JUPYTER_PREFER_ENV_PATH 1 --setenv JUPYTER_RUNTIME_DIR /run/jupyter
--setenv LANG C.UTF-8 --setenv LD_LIBRARY_PATH /opt/tre/python/lib --setenv LOGNAME researcher
--setenv MKL_NUM_THREADS 2 --setenv NUMEXPR_MAX_THREADS 2 --setenv OMP_NUM_THREADS 2 --setenv OPENBLAS_NUM_THREADS 2
--setenv PATH /opt/tre/env/bin:/usr/bin:/bin --setenv PGSERVICEFILE /run/tre/pg_service.conf
--setenv POLARS_MAX_THREADS 2 --setenv PYTHONPATH /opt/tre/lib --setenv SHELL /bin/sh
--setenv TRE_PROJECT rand --setenv TZ UTC --setenv USER researcher
--seccomp 12
"""

CHECKING = """
--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup
--disable-userns --assert-userns-disabled --new-session --die-with-parent --clearenv
--hostname checking --uid 1000 --gid 1000 --cap-drop ALL
--ro-bind /usr/bin /usr/bin --ro-bind /usr/lib /usr/lib --symlink usr/lib /lib
--proc /proc --ro-bind /dev/null /proc/keys --perms 0000 --size 4096 --tmpfs /proc/acpi --remount-ro /proc/acpi
--remount-ro /proc
--dev /dev --size 1000 --perms 1777 --tmpfs /dev/shm --remount-ro /dev
--ro-bind /opt/python3 /opt/tre/python
--ro-bind /srv/env/lib /opt/tre/env/lib --ro-bind-try /srv/env/share /opt/tre/env/share
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python3
--symlink /opt/tre/python/bin/python3.11 /opt/tre/env/bin/python3.11
--ro-bind /checkout/tre /opt/tre/lib/tre --ro-bind /checkout/output_checks /opt/tre/lib/output_checks
--perms 0444 --ro-bind-data 10 /etc/passwd
--size 2000 --perms 0700 --tmpfs /work --symlink /work /tmp --dir /input
--ro-bind /store/ab /input/table.csv
--remount-ro / --chdir /work
--setenv HOME /work --setenv LANG C.UTF-8 --setenv LD_LIBRARY_PATH /opt/tre/python/lib --setenv OMP_NUM_THREADS 1
--setenv OPENBLAS_NUM_THREADS 1 --setenv PATH /opt/tre/env/bin:/usr/bin:/bin --setenv POLARS_MAX_THREADS 2
--setenv PYTHONDONTWRITEBYTECODE 1 --setenv PYTHONPATH /opt/tre/lib --setenv TMPDIR /work --setenv TZ UTC
--seccomp 12
"""


def test_the_whole_workspace() -> None:
    made = workspace_arguments(PLAN, system=SYSTEM, environment=PYTHON, image=IMAGE, files=FILES, **REST)
    assert list(made) == WORKSPACE.split()


def test_the_whole_checking_sandbox() -> None:
    made = checking_arguments(
        system=SYSTEM,
        environment=PYTHON,
        packages=Path("/checkout"),
        inputs={"table.csv": "/store/ab"},
        files={"/etc/passwd": 10},
        seccomp=12,
        memory_bytes=8000,
    )
    assert list(made) == CHECKING.split()


def test_no_secret_is_an_argument_or_in_the_environment() -> None:
    made = workspace_arguments(PLAN, system=SYSTEM, environment=PYTHON, image=IMAGE, files=FILES, **REST)
    for secret in (PLAN.jupyter_token, *PLAN.secrets.values()):
        assert not any(secret in option for option in made)
        assert secret not in environment_variables(PLAN, PYTHON).values()


def test_the_last_word_on_the_root_is_read_only_and_on_the_filter_the_descriptor() -> None:
    """Mounts made after the root was closed would fail, and a second --seccomp would replace the first."""
    made = list(workspace_arguments(PLAN, system=SYSTEM, environment=PYTHON, image=IMAGE, files=FILES, **REST))
    assert made[-2:] == ["--seccomp", "12"]
    assert made.count("--seccomp") == 1
    closed = made.index("/", made.index("--bind"))
    assert made[closed - 1] == "--remount-ro"
    assert not {"--bind", "--ro-bind", "--tmpfs", "--dir", "--symlink"} & set(made[closed:])
    assert made.count("--bind") == 1, "the home is the only place that is shared for writing"


def test_files_made_in_memory() -> None:
    made = synthetic_files(PYTHON)
    assert list(made) == [
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/hosts",
        "/opt/tre/env/pyvenv.cfg",
    ]
    assert made["/opt/tre/env/pyvenv.cfg"] == "home = /opt/tre/python/bin\ninclude-system-site-packages = false\n"
    assert "root" not in made["/etc/passwd"]


def test_a_system_interpreter_is_not_mounted_twice() -> None:
    system = PythonEnvironment("/srv/env", "/usr", "/usr", "/usr/bin/python3.11")
    made = workspace_arguments(PLAN, system=SYSTEM, environment=system, image=IMAGE, files=FILES, **REST)
    assert "/opt/tre/python" not in made
    assert "LD_LIBRARY_PATH" not in made


@pytest.mark.parametrize(
    ("controller", "version", "expected"),
    [
        ("memory", 1, {"memory.limit_in_bytes": "4000", "memory.memsw.limit_in_bytes": "4000"}),
        ("memory", 2, {"memory.max": "4000", "memory.swap.max": "0"}),
        ("pids", 1, {"pids.max": "12"}),
        ("pids", 2, {"pids.max": "12"}),
        ("cpu", 1, {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}),
        ("cpu", 2, {"cpu.max": "150000 100000"}),
        ("rdma", 2, {}),
    ],
)
def test_control_group_settings(controller: str, version: int, expected: dict[str, str]) -> None:
    assert cgroups.settings(controller, version, PLAN.limits) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_control_groups_in_folders_that_stand_for_them(folder: Path, version: int) -> None:
    """A controller whose files cannot be written is not said to hold anything."""
    if version == 2:
        (folder / "cgroup.controllers").write_text("memory pids")
    made = cgroups.make("x", PLAN.limits, {"memory": str(folder), "pids": "/nowhere"})
    assert made == [], "there is no cgroup.procs in it, so nothing can join"
    (folder / "tre-x").mkdir(exist_ok=True)
    (folder / "tre-x" / "cgroup.procs").write_text("")
    (made_now,) = cgroups.make("x", PLAN.limits, {"memory": str(folder)})
    assert made_now.controllers == {"memory"}
    assert made_now.version == version
    for file, text in cgroups.settings("memory", version, PLAN.limits).items():
        assert (folder / "tre-x" / file).read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
def test_unreadable_word_about_control_groups_means_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(cgroups.VARIABLE, text)
    assert cgroups.handed_over() == {}


def test_resource_limits() -> None:
    expected = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 50,
        "RLIMIT_NOFILE": 70,
        "RLIMIT_NPROC": 10,
        "RLIMIT_MEMLOCK": 8388608,
        "RLIMIT_MSGQUEUE": 0,
    }
    assert rlimits(PLAN.limits, grouped=frozenset({"memory"})) == expected
    assert rlimits(PLAN.limits, grouped=frozenset({"pids"})) == expected | {"RLIMIT_DATA": 4000}


def test_this_machine() -> None:
    """What of this machine is shown: system folders only, and the workspace's own environment."""
    system = host_system()
    shown = (*system.folders, *(place for place, _ in system.links))
    assert set(shown) <= {
        *("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec"),
        *("/bin", "/lib", "/lib32", "/lib64", "/sbin"),
    }
    found = python_environment(ENVIRONMENT)
    assert found.folder == str(ENVIRONMENT.resolve())
    assert os.access(found.base, os.R_OK)


def test_a_missing_environment_says_what_to_do(folder: Path) -> None:
    with pytest.raises(Unavailable) as error:
        python_environment(folder / "nothing")
    assert "make install" in error.value.hint


def test_plans_of_two_workspaces_share_no_path(folder: Path) -> None:
    """The builder shows nothing that the plan does not name: two plans meet only in what is everyone's."""
    one, two = (
        {part for part in workspace_arguments(
            make_plan(folder, name), system=SYSTEM, environment=PYTHON, image=IMAGE, files={}, **REST
        ) if part.startswith(str(folder))}
        for name in ("one", "two")
    )  # fmt: skip
    assert one
    assert not one & two
