"""The mount view in which root's command runs as an ordinary user: bubblewrap's arguments as one pure function.

Decides what of the machine is visible: system folders read-only, copies of the files that lie in /etc itself, the
checkout read-only except its `build`, the state and run folders, an empty private /tmp, nothing of people's homes.
Leaves making folders and running to `ordinary`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: The ordinary user that root becomes. High enough to meet no account of a distribution, below the ranges of subuids.
ORDINARY_UID = 64321
ORDINARY_NAME = "tre"
HOME = "/tmp/home"  # noqa: S108 (the view's own, private /tmp)
SYSTEM_FOLDERS = tuple(Path(f"/{name}") for name in ("usr", "lib", "lib32", "lib64", "bin", "sbin"))
ETC = Path("/etc")


@dataclass(frozen=True)
class View:
    """What to show. Paths are absolute; `read_only` and `writable` exist; later ones cover earlier ones.

    `files` are copied from their descriptors. A file that was bound instead would be gone from the view as soon as the
    machine replaces it, as every new account does with /etc/passwd.
    """

    bwrap: Path
    system: tuple[Path, ...]
    links: tuple[tuple[str, Path], ...]
    read_only: tuple[Path, ...]
    writable: tuple[Path, ...]
    files: tuple[tuple[Path, int], ...]
    folder: Path

    def arguments(self) -> list[str]:
        """The whole bubblewrap command line up to and with the closing `--`."""
        args = [str(self.bwrap), "--die-with-parent", "--tmpfs", "/"]
        args += ["--perms", "0755", "--dir", str(ETC)]
        for path in self.system:
            args += ["--ro-bind", str(path), str(path)]
        for target, path in self.links:
            args += ["--symlink", target, str(path)]
        for path, descriptor in self.files:
            args += ["--perms", "0644", "--file", str(descriptor), str(path)]
        # /proc as a bind: the kernel refuses a new proc in a nested user namespace where the outer one is covered.
        args += ["--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc", "--bind", "/sys", "/sys"]
        args += ["--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108
        for path in parents(self.read_only + self.writable):
            args += ["--perms", "0755", "--dir", str(path)]
        for path in self.read_only:
            args += ["--ro-bind", str(path), str(path)]
        for path in self.writable:
            args += ["--bind", str(path), str(path)]
        args += ["--remount-ro", "/"]
        args += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--chdir", str(self.folder), "--"]
        return args


def parents(paths: Iterable[Path]) -> list[Path]:
    """Every folder above `paths`, outermost first, each once: made by hand, since bubblewrap would make them 0700."""
    found = {parent for path in paths for parent in path.parents if parent not in (Path("/"), Path("/tmp"))}  # noqa: S108
    return sorted(found, key=lambda path: (len(path.parts), path))


def system_folders() -> tuple[tuple[Path, ...], tuple[tuple[str, Path], ...]]:
    """(folders to bind, symbolic links to repeat) of this machine: /bin is a link to usr/bin on most."""
    present = [path for path in (*SYSTEM_FOLDERS, *sorted(ETC.iterdir())) if path.is_symlink() or path.is_dir()]
    links = tuple((str(path.readlink()), path) for path in present if path.is_symlink())
    return tuple(path for path in present if not path.is_symlink()), links


def system_files() -> dict[Path, bytes]:
    """The files of /etc that everybody may read, with the ordinary user among the accounts."""
    found = {path: path.read_bytes() for path in sorted(ETC.iterdir()) if is_public_file(path)}
    passwd, group = ETC / "passwd", ETC / "group"
    found[passwd], found[group] = account_files(found[passwd].decode(), found[group].decode())
    return found


def is_public_file(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def account_files(passwd: str, group: str) -> tuple[bytes, bytes]:
    """(/etc/passwd, /etc/group) with the ordinary user added: `initdb` asks for the name of who runs it."""
    user = f"{ORDINARY_NAME}:x:{ORDINARY_UID}:{ORDINARY_UID}:tre:{HOME}:/bin/sh\n"
    return (with_newline(passwd) + user).encode(), (
        with_newline(group) + f"{ORDINARY_NAME}:x:{ORDINARY_UID}:\n"
    ).encode()


def with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
