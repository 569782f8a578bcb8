"""What pip is told on this machine about the way to its registry: for steps of a build, and never in an image."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

#: Nothing else of a machine's settings has a place in a build.
KEYS = frozenset({"cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host"})
LINE = re.compile(r"[^.]+\.(?P<key>[a-z-]+)='(?P<value>.*)'")
CONFIGURATION = Path("/etc/pip.conf")


def settings(listed: str) -> dict[str, str]:
    """Of `pip config list`, whose later lines win."""
    found = (LINE.fullmatch(line) for line in listed.splitlines())
    pairs = ((each["key"].removeprefix("default-"), each["value"]) for each in found if each)
    return {key: value for key, value in pairs if key in KEYS}


def text(found: dict[str, str]) -> str:
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in sorted(found.items()))]) + "\n"


def shown(folder: Path) -> dict[Path, Path]:
    """{path in a step: path here}: a configuration made for it in `folder`, and the authorities that it names."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    found = settings(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "pip.conf").write_text(text(found))
    authorities = {Path(found["cert"]): Path(found["cert"])} if "cert" in found else {}
    return {CONFIGURATION: folder / "pip.conf", **authorities}
