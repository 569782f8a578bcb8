"""Lock files, read."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name


def locked(file: Path) -> dict[str, str]:
    """{name: version} of a lock file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", file.read_text(), re.MULTILINE)
    return {str(canonicalize_name(name)): version for name, version in lines}
