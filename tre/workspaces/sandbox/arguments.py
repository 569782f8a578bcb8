"""Bubblewrap's arguments for one workspace: a pure function of the plan.

Decides every wall that namespaces and mounts make: own user, process, network, mount, IPC, host name and cgroup
namespace, no way to new ones, no capability, a read-only root that holds only what is listed here. Leaves system
calls to `seccomp`, descriptors and starting to `keeper`, memory and counts to `limits`. Paths travel by `--args`
descriptor: no process list, inside or outside, shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename, dirname

from tre.workspaces.plan import LaunchPlan, Limits
from tre.workspaces.sandbox.host import ENVIRONMENT, HostSystem, PythonEnvironment

HOME = "/home/researcher"
START = "/opt/tre/start"
LIBRARY = "/opt/tre/lib"
SECRETS = "/run/tre"
UID = GID = 1000

WALLS = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup",
    "--disable-userns",
    "--assert-userns-disabled",
    "--new-session",
    "--die-with-parent",
    "--as-pid-1",
    "--clearenv",
)

ETC = {
    "/etc/passwd": f"researcher:x:{UID}:{GID}:researcher:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": f"researcher:x:{GID}:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/hosts": "127.0.0.1 localhost workspace\n::1 localhost\n",
}


@dataclass(frozen=True)
class Image:
    """Host folders with our own files for the inside: start programs, IPython configuration, library packages."""

    start: str
    ipython: str
    packages: tuple[tuple[str, str], ...]  # name below /opt/tre/lib, host folder


def synthetic_files(environment: PythonEnvironment) -> dict[str, str]:
    """Path inside → text of every file that is made for the inside and stays as it is."""
    return {**ETC, f"{ENVIRONMENT}/pyvenv.cfg": environment.configuration}


def workspace_arguments(
    plan: LaunchPlan,
    *,
    system: HostSystem,
    environment: PythonEnvironment,
    image: Image,
    files: Mapping[str, int],
    secrets: str,
    seccomp: int,
) -> tuple[str, ...]:
    """The whole argument list. `files` maps each path of `synthetic_files` to the descriptor that holds its bytes,
    `secrets` is the host folder with the plan's secret files (`secret_files`).
    """
    return (
        *WALLS,
        *("--hostname", "workspace", "--uid", str(UID), "--gid", str(GID), "--cap-drop", "ALL"),
        *system_arguments(system),
        *devices(shared_bytes=plan.limits.memory_bytes // 4),
        *python_arguments(environment),
        *_image(image),
        *_memory_files(files),
        *_temporary(plan.limits),
        *_secrets(plan, secrets),
        *_project(plan),
        *("--remount-ro", "/", "--chdir", HOME),
        *_environment(plan, environment),
        *("--seccomp", str(seccomp)),
    )


def system_arguments(system: HostSystem) -> Iterator[str]:
    """System folders, and a /proc of its own with kernel-wide entries hidden: a device file that may not be opened."""
    for folder in system.folders:
        yield from ("--ro-bind", folder, folder)
    for place, target in system.links:
        yield from ("--symlink", target, place)
    yield from ("--proc", "/proc")
    for path in system.hidden_files:
        yield from ("--ro-bind", "/dev/null", path)
    for path in system.hidden_folders:
        yield from ("--perms", "0000", "--size", "4096", "--tmpfs", path, "--remount-ro", path)
    yield from ("--remount-ro", "/proc")


def devices(*, shared_bytes: int) -> tuple[str, ...]:
    """Null, zero, full, random, urandom, tty, own pseudo-terminals; nothing of it may be added to but /dev/shm."""
    shm = ("--size", str(shared_bytes), "--perms", "1777", "--tmpfs", "/dev/shm")  # noqa: S108
    return ("--dev", "/dev", *shm, "--remount-ro", "/dev")


def python_arguments(environment: PythonEnvironment) -> Iterator[str]:
    """The environment read-only at /opt/tre/env, its interpreter at /opt/tre/python unless that is a system folder."""
    if environment.shown_base != "/usr":
        yield from ("--ro-bind", environment.base, environment.shown_base)
    yield from ("--ro-bind", f"{environment.folder}/lib", f"{ENVIRONMENT}/lib")
    yield from ("--ro-bind-try", f"{environment.folder}/share", f"{ENVIRONMENT}/share")
    for name in ("python", "python3", basename(environment.program)):
        if name != basename(environment.program) or name not in ("python", "python3"):
            yield from ("--symlink", environment.program, f"{ENVIRONMENT}/bin/{name}")


def _image(image: Image) -> Iterator[str]:
    yield from ("--ro-bind", image.start, START, "--ro-bind", image.ipython, "/etc/ipython")
    for name, folder in image.packages:
        yield from ("--ro-bind", folder, f"{LIBRARY}/{name}")


def _memory_files(files: Mapping[str, int]) -> Iterator[str]:
    for path, descriptor in files.items():
        yield from ("--perms", "0444", "--ro-bind-data", str(descriptor), path)


def _temporary(limits: Limits) -> tuple[str, ...]:
    tmp = ("--size", str(limits.memory_bytes // 4), "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108
    return (*tmp, "--size", str(16 << 20), "--perms", "0700", "--tmpfs", "/run/jupyter")


def _secrets(plan: LaunchPlan, folder: str) -> Iterator[str]:
    """The folder itself, so that a file replaced outside is replaced inside."""
    yield from ("--ro-bind", folder, f"{SECRETS}/secrets")
    for name in sorted(plan.secrets):
        yield from ("--symlink", f"secrets/{name}", f"{SECRETS}/{name}")


def _project(plan: LaunchPlan) -> Iterator[str]:
    yield from ("--ro-bind", dirname(plan.intake_socket), f"{SECRETS}/intake")
    yield from ("--symlink", f"intake/{basename(plan.intake_socket)}", f"{SECRETS}/intake.sock")
    if plan.postgres_socket_dir is not None:
        yield from ("--ro-bind", plan.postgres_socket_dir, f"{SECRETS}/postgresql")
    for mount in plan.data:
        yield from ("--ro-bind", mount.path, f"/data/{mount.name}")
    yield from ("--bind", plan.home, HOME)


def _environment(plan: LaunchPlan, environment: PythonEnvironment) -> Iterator[str]:
    for name, value in sorted(environment_variables(plan, environment).items()):
        yield from ("--setenv", name, value)


def environment_variables(plan: LaunchPlan, environment: PythonEnvironment) -> dict[str, str]:
    """The workspace's whole environment: paths and counts, never a secret."""
    threads = str(max(1, round(plan.limits.cpus)))
    values = {
        "HOME": HOME,
        "USER": "researcher",
        "LOGNAME": "researcher",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin",
        "PYTHONPATH": LIBRARY,
        "PGSERVICEFILE": f"{SECRETS}/pg_service.conf",
        "JUPYTER_RUNTIME_DIR": "/run/jupyter",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "TRE_PROJECT": plan.project,
        **dict.fromkeys(_thread_pools(), threads),
    }
    if environment.library_path is not None:
        values["LD_LIBRARY_PATH"] = environment.library_path
    return values


def _thread_pools() -> Iterable[str]:
    """Libraries would start a thread per CPU of the machine, not of the workspace."""
    return ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMEXPR_MAX_THREADS")
