"""`python -m images.workspace.write_filter FOLDER`, while an image is built: its filter of system calls.

Decides only where the files lie. `calls.bpf` is every workspace's, `devices.bpf` that of those with accelerators.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from tre.workspaces.sandbox import bpf, seccomp


def files(architecture: str) -> dict[str, bytes]:
    """KeyError for an architecture that has no filter."""
    each = {"calls.bpf": False, "devices.bpf": True}
    return {name: _encoded(architecture, devices=devices) for name, devices in each.items()}


def _encoded(architecture: str, *, devices: bool) -> bytes:
    return bpf.encoded(seccomp.program(architecture, devices=devices, group_folders=True))


if __name__ == "__main__":
    for name, content in files(platform.machine()).items():
        (Path(sys.argv[1]) / name).write_bytes(content)
