"""A keeper that leaves out one wall, for the probes' self-test: `python -m tests.workspaces.weakened WALL FOLDER`.

The product has no such switch. Each entry takes one wall out of what the product built, by name.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tre.workspaces.sandbox import arguments, keeper, launch
from tre.workspaces.sandbox.watch import Watch

Options = list[str]


def drop(options: Options, *gone: str) -> Options:
    """Without these options, each of which stands alone."""
    assert set(gone) <= set(options), gone
    return [option for option in options if option not in gone]


def drop_run(options: Options, *run: str) -> Options:
    """Without each place where these words follow each other; `*` is any word."""
    result, place, found = [], 0, False
    while place < len(options):
        piece = options[place : place + len(run)]
        if len(piece) == len(run) and all(want in ("*", have) for want, have in zip(run, piece, strict=True)):
            place, found = place + len(run), True
        else:
            result.append(options[place])
            place += 1
    assert found, run
    return result


def change(options: Options, old: Options, new: Options) -> Options:
    """With the first run of `old` replaced by `new`."""
    for place in range(len(options)):
        if options[place : place + len(old)] == old:
            return options[:place] + new + options[place + len(old) :]
    raise AssertionError(old)


def closing(options: Options, *more: str) -> Options:
    """With more mounts just before the root is made read-only."""
    return change(options, ["--remount-ro", "/"], [*more, "--remount-ro", "/"])


def writable(options: Options, place: str) -> Options:
    at = options.index(place) - 2
    assert options[at] == "--ro-bind"
    return [*options[:at], "--bind", *options[at + 1 :]]


def without_filter(options: Options) -> Options:
    return drop_run(options, "--seccomp", "*")


def all_capabilities(options: Options) -> Options:
    return change(options, ["--cap-drop", "ALL"], ["--cap-add", "ALL"])


def unbounded(options: Options) -> Options:
    return change(
        drop_run(options, "--size", "*", "--perms", "1777"), ["--tmpfs", "/tmp"], ["--perms", "1777", "--tmpfs", "/tmp"]
    )


def without_user_namespace_wall(options: Options) -> Options:
    return drop(without_filter(options), "--disable-userns", "--assert-userns-disabled")


ARGUMENTS: dict[str, Callable[[Options, str], Options]] = {
    "network namespace": lambda options, _: drop(options, "--unshare-net"),
    "process namespace": lambda options, _: drop(options, "--unshare-pid", "--as-pid-1"),
    "ipc namespace": lambda options, _: drop(options, "--unshare-ipc"),
    "uts namespace": lambda options, _: drop_run(drop(options, "--unshare-uts"), "--hostname", "*"),
    "cgroup namespace": lambda options, _: drop(options, "--unshare-cgroup"),
    "filter": lambda options, _: without_filter(options),
    "filter and user namespaces": lambda options, _: without_user_namespace_wall(options),
    "capabilities": lambda options, _: all_capabilities(options),
    "read-only data": lambda options, _: writable(options, "/data/data-one"),
    "read-only environment": lambda options, _: writable(options, "/opt/tre/env/lib"),
    "read-only programs": lambda options, _: writable(options, "/opt/tre/start"),
    "read-only root": lambda options, _: drop_run(options, "--remount-ro", "/"),
    "read-only /proc": lambda options, _: drop_run(options, "--remount-ro", "/proc"),
    "hidden /proc": lambda options, _: drop_run(options, "--ro-bind", "/dev/null", "*"),
    "own /etc": lambda options, _: [*options, "--ro-bind", "/etc", "/etc"],
    "own /home": lambda options, _: closing(options, "--dir", "/home/someone"),
    "no /root": lambda options, _: closing(options, "--dir", "/root"),
    "no /var": lambda options, _: closing(options, "--dir", "/var/log"),
    "no /srv": lambda options, _: closing(options, "--dir", "/srv"),
    "own /tmp": lambda options, _: [*options, "--bind", "/tmp", "/tmp"],
    "own devices": lambda options, _: change(options, ["--dev", "/dev"], ["--dev-bind", "/dev", "/dev"]),
    "own data only": lambda options, folder: closing(options, "--ro-bind", f"{folder}/two/data", "/data/other"),
    "no system sockets": lambda options, folder: closing(
        options, "--ro-bind", f"{folder}/bus.sock", "/run/dbus/system_bus_socket"
    ),
    "bounded /tmp": lambda options, _: unbounded(options),
    "end of everything": lambda options, _: drop(options, "--die-with-parent"),
}


def no_resource_limits() -> None:
    launch.rlimits = lambda limits, *, grouped: {}


def no_memory_limit() -> None:
    made = launch.rlimits
    launch.rlimits = lambda limits, *, grouped: made(limits, grouped=grouped | {"memory"})
    Watch._memory = lambda self, processes: None  # type: ignore[method-assign]


def no_home_limit() -> None:
    Watch._home = lambda self, processes: None  # type: ignore[method-assign]


def no_end_of_everything() -> None:
    launch.Sandbox.kill = lambda self: None  # type: ignore[method-assign]


def no_lower_priority() -> None:
    launch._join = lambda groups: None


def secrets_in_environment() -> None:
    made = arguments.environment_variables

    def more(plan, environment):
        return made(plan, environment) | {"TOKEN": plan.secrets["intake.token"]}

    arguments.environment_variables = more


CODE: dict[str, Callable[[], None]] = {
    "resource limits": no_resource_limits,
    "memory limit": no_memory_limit,
    "home limit": no_home_limit,
    "end of everything": no_end_of_everything,
    "lower priority": no_lower_priority,
    "secrets in memory only": secrets_in_environment,
}

# Walls inside: file of the image, what stands there, what stands there instead.
IMAGE: dict[str, tuple[str, str, str]] = {
    "hidden processes": ("start/supervisor.py", "    hide()\n", ""),
    "closed descriptors": (
        "start/supervisor.py",
        "            start_new_session=True,",
        "            start_new_session=not os.set_inheritable(connection.fileno(), True), close_fds=False,",
    ),
    "process 1": (
        "start/supervisor.py",
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))",
    ),
    "end of everything": ("start/supervisor.py", "            if key.fd == life:", "            if False:"),
    "regular outputs": ("lib/release/files.py", "if not stat.S_ISREG(held.st_mode):", "if False:"),
    "careful client": ("lib/release/files.py", "os.O_RDONLY | os.O_NOFOLLOW", "os.O_RDONLY"),
}


def main() -> None:
    wall, folder = sys.argv[1:3]
    assert wall in {*ARGUMENTS, *CODE, *IMAGE}, wall
    if wall in ARGUMENTS:
        made = launch.workspace_arguments
        launch.workspace_arguments = lambda *args, **names: tuple(ARGUMENTS[wall](list(made(*args, **names)), folder))
    if wall in CODE:
        CODE[wall]()
    if wall in IMAGE:
        file, old, new = IMAGE[wall]
        path = Path(folder) / "image" / file
        text = path.read_text()
        assert old in text, wall
        path.write_text(text.replace(old, new))
    os.environ.pop("PYTHONPATH", None)
    keeper.main()


if __name__ == "__main__":
    main()
