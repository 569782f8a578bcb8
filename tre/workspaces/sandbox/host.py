"""What a sandbox is shown of this machine's system: the interpreter, its libraries, and nothing that is this machine's.

Decides which system folders appear (programs and libraries, read-only; no `/etc`, `/var`, `/home`, `/root`,
`/usr/local` of the host), where the Python environment appears, and which kernel-wide files of `/proc` are hidden. It
reads the machine once and hands plain values to the pure builder in `arguments`.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path

from tre.errors import Unavailable

SYSTEM_FOLDERS = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec")
ROOT_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
# Kernel-wide, not bounded by a namespace: keys, addresses, and lists through which two workspaces could signal.
HIDDEN_IN_PROC = (
    "acpi",
    "bus/input",
    "cmdline",
    "config.gz",
    "diskstats",
    "fs",
    "interrupts",
    "iomem",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "locks",
    "modules",
    "pagetypeinfo",
    "pressure",
    "sched_debug",
    "schedstat",
    "scsi",
    "slabinfo",
    "softirqs",
    "swaps",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
    "vmstat",
    "zoneinfo",
)
ENVIRONMENT = "/opt/tre/env"
INTERPRETER = "/opt/tre/python"


@dataclass(frozen=True)
class HostSystem:
    """Folders bound read-only at their own place, links (place, target) beside them, and hidden entries of /proc."""

    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    hidden_files: tuple[str, ...]
    hidden_folders: tuple[str, ...]


@dataclass(frozen=True)
class PythonEnvironment:
    """A virtual environment on the host and the interpreter below it.

    `folder` is shown in parts at `/opt/tre/env`, `base` (the interpreter's own prefix) at `shown_base`; `program` is
    the interpreter's path inside.
    """

    folder: str
    base: str
    shown_base: str
    program: str

    @property
    def library_path(self) -> str | None:
        """Where the dynamic linker finds libpython, unless that is a system folder anyhow."""
        return None if self.shown_base.startswith("/usr") else f"{self.shown_base}/lib"

    @property
    def configuration(self) -> str:
        """The text of `pyvenv.cfg` as it must read inside."""
        return f"home = {os.path.dirname(self.program)}\ninclude-system-site-packages = false\n"


def host_system() -> HostSystem:
    """What this machine has of the system folders."""
    links = tuple((place, os.readlink(place)) for place in ROOT_FOLDERS if os.path.islink(place))
    linked = {place for place, _ in links}
    folders = tuple(place for place in (*SYSTEM_FOLDERS, *ROOT_FOLDERS) if place not in linked and _plain_folder(place))
    hidden = [Path("/proc") / name for name in HIDDEN_IN_PROC]
    return HostSystem(
        folders=folders,
        links=links,
        hidden_files=tuple(str(path) for path in hidden if path.is_file()),
        hidden_folders=tuple(str(path) for path in hidden if path.is_dir()),
    )


def _plain_folder(place: str) -> bool:
    return os.path.isdir(place) and not os.path.islink(place)


def python_environment(folder: Path) -> PythonEnvironment:
    """The environment at `folder`; raises Unavailable where it or its interpreter is missing or unreadable."""
    try:
        interpreter = (folder / "bin" / "python").resolve(strict=True)
        settings = configparser.ConfigParser(strict=False)
        settings.read_string("[env]\n" + (folder / "pyvenv.cfg").read_text())
        base = Path(settings["env"]["home"]).resolve(strict=True).parent
    except (OSError, KeyError, configparser.Error) as error:
        raise Unavailable(
            f"the Python environment {folder} cannot be read", hint="Run `make install` as the user who runs tre."
        ) from error
    if not os.access(interpreter, os.R_OK | os.X_OK):
        raise Unavailable(f"the interpreter of {folder} cannot be run", hint="Make it readable for this user.")
    shown = str(base) if base.is_relative_to("/usr") else INTERPRETER
    return PythonEnvironment(
        folder=str(folder.resolve()),
        base=str(base),
        shown_base=shown,
        program=f"{shown}/{interpreter.relative_to(base)}",
    )
