"""What was set up outside the cluster's own namespaces. Decides the order: written down before it is done.

One JSON object per line. What is written may not have been done yet (the start was killed between the two), so undoing
must bear that a thing is not there. Almost everything that a cluster makes (mounts, links, firewall rules, routes,
network settings, processes) lives in namespaces of the kernel that end with their first process; what is left to undo
is the control groups, which hold every process, and the run folder.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """`kind` is "group" (a control group) or "folder" (the run folder)."""

    kind: str
    path: str


class Journal:
    """Append-only; each entry is on the disk before `write` returns."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, entry: Entry) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Entry]:
        """Oldest first. A last line that was cut short was never acted upon."""
        try:
            text = self.file.read_text()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        return [Entry(**json.loads(line)) for line in whole.splitlines()]
