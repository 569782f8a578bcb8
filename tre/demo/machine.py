"""What of the journey is seen and done on the machine where the platform runs, and not by its people.

Decides it for one machine: the data that controllers bring, what a hand on the disk changes, where secrets might show,
what runs of a workspace and who is logged in. On a cluster it is `release_machine`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from tre.demo import datasets
from tre.demo.secrecy import DOOR_TOKENS, in_files, in_processes, platform_secrets
from tre.door.places import ROOT, Places
from tre.workspaces.runtime import SandboxRuntime

if TYPE_CHECKING:
    from tre.demo.stage import Stage

#: Logins of workspaces in projects' databases.
SESSIONS = """
select count(*) from pg_stat_activity where usename like 'w\\_%' and datname like 'p\\_%'
"""
#: As many kinds of attempts as there must be at least.
FEWEST_PROBES = 100


class Machine(Protocol):
    """A stage's, while the platform runs."""

    def bring_data(self) -> int:
        """Two controllers' data, where they place them; the rows of the first."""

    def allow_small_workspaces(self) -> None:
        """Where two of the usual size would not find room."""

    def wait_for_data(self, seconds: float) -> bool:
        """Until ready extracts are where workspaces see them."""

    def inside(self) -> tuple[str, int, str]:
        """Host and port of the platform, and its folder: what a workspace must not reach."""

    def change_stored(self, digest: str, old: bytes, new: bytes) -> bytes:
        """Puts bytes in the place of others in the one stored file of that digest; returns what it held."""

    def put_stored(self, digest: str, content: bytes) -> None: ...

    def secrets(self) -> dict[bytes, str]:
        """The platform's own, and what the door holds for running workspaces."""

    def shown(self, known: Mapping[bytes, str]) -> Iterator[str]:
        """Where a command line, an environment or a log shows one of them."""

    def hold(self, workspace: str) -> int:
        """Remembers everything that runs of a workspace; how much that is."""

    def left(self, seconds: float) -> list[str]:
        """What of it still runs after so long at most."""

    def sessions(self) -> int:
        """Logins of workspaces that are open in the data server."""

    def login_works(self, login: Mapping[str, str]) -> bool: ...

    def verify(self, workspace: str) -> tuple[int, Mapping[str, Any]]:
        """The fewest kinds of attempts there must be, and the report of `tre verify`."""


@dataclass
class OneMachine:
    """Everything runs here."""

    stage: Stage
    _held: list[psutil.Process] = field(default_factory=list)

    def bring_data(self) -> int:
        rows = datasets.load_rand(self.stage.settings.data_conninfo("tre_admin"), "rand")
        datasets.write_rossi(self.stage.settings.state / "incoming", "justice-lab")
        return rows

    def allow_small_workspaces(self) -> None:
        """Nothing is set aside for a workspace before it asks."""

    def wait_for_data(self, seconds: float) -> bool:
        return True

    def inside(self) -> tuple[str, int, str]:
        return "127.0.0.1", self.stage.settings.port, str(self.stage.settings.state)

    def change_stored(self, digest: str, old: bytes, new: bytes) -> bytes:
        path = self._stored(digest)
        kept = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(kept.replace(old, new, 1))
        return kept

    def put_stored(self, digest: str, content: bytes) -> None:
        self._stored(digest).write_bytes(content)

    def _stored(self, digest: str) -> Path:
        (found,) = [
            path
            for path in self.stage.settings.content.rglob("*")
            if path.is_file() and digest in "".join(path.parts[-2:])
        ]
        return found

    def secrets(self) -> dict[bytes, str]:
        routes = json.loads(Places(self.stage.settings).routes_file.read_text())
        held = {f"{name} of {route['user']}": route[name] for route in routes for name in DOOR_TOKENS}
        own = platform_secrets(self.stage.settings.state / "secrets")
        return own | {token.encode(): name for name, token in held.items()}

    def shown(self, known: Mapping[bytes, str]) -> Iterator[str]:
        state = self.stage.settings.state
        yield from in_processes(known)
        yield from in_files(known, [self.stage.settings.logs, state / "servers/openbao/audit.log"])
        yield from in_files(known, [state.parent / "up.log"])

    def hold(self, workspace: str) -> int:
        """The workspace's keeper and everything below it, sandbox included, as this machine sees them."""
        runtime = SandboxRuntime(Places(self.stage.settings).workspaces, ROOT / ".workspace-env")
        status = runtime.status({"workspace_id": workspace})
        keeper = psutil.Process(status.pid) if status else None
        self._held = [keeper, *keeper.children(recursive=True)] if keeper else []
        return len(self._held)

    def left(self, seconds: float) -> list[str]:
        _, left = psutil.wait_procs(self._held, timeout=seconds)
        return [str(process) for process in left]

    def sessions(self) -> int:
        import psycopg

        with psycopg.connect(self.stage.settings.data_conninfo("tre_admin"), autocommit=True) as connection:
            row = connection.execute(SESSIONS.encode()).fetchone()
        return int(row[0]) if row else 0

    def login_works(self, login: Mapping[str, str]) -> bool:
        """Tried from where the server's socket is in reach. Raises what is no refusal."""
        import psycopg
        from psycopg.conninfo import make_conninfo

        try:
            psycopg.connect(make_conninfo(**{**login, "host": str(self.stage.settings.data_database)})).close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                return False
            raise
        return True

    def verify(self, workspace: str) -> tuple[int, Mapping[str, Any]]:
        return FEWEST_PROBES, self.stage.tre("machine", "verify", workspace)


def wait_until_none(machine: Machine, start: float, seconds: float) -> float | None:
    """How long after `start` no login was open any more; None where one still is."""
    while time.monotonic() - start < seconds:
        if machine.sessions() == 0:
            return time.monotonic() - start
        time.sleep(0.05)
    return None
