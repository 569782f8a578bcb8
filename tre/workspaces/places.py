"""Where a workspace's things lie on the host: the folders that a plan names. What is in them is others' to decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tre.data.sources import Places as DataPlaces
from tre.settings import PostgresServer


@dataclass(frozen=True)
class Places:
    """Host folders that a plan names."""

    homes: Path
    intake_sockets: Path
    data_server: PostgresServer
    data: DataPlaces
    on_cluster: bool = False

    def home(self, project: str, username: str) -> Path:
        return self.homes / project / username

    def intake_socket(self, workspace_id: str) -> Path:
        """In a folder of its own, so that the folder can be shown inside and the socket be made anew."""
        return self.intake_sockets / workspace_id / "intake.sock"
