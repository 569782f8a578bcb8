"""The one object through which the platform speaks to its secrets server.

Decides nothing: names the operations there are. The rest of the platform uses `Secrets` and never the server's own API.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from tre.credentials import keys, leases, projects
from tre.credentials.leases import Held, Lease
from tre.credentials.login import AppRoleLogin, KubernetesLogin
from tre.credentials.projects import ProjectDatabase
from tre.credentials.server import Server
from tre.settings import Settings

LOGIN_FILE = "openbao-login.json"
HOUR = 3600
DAY = 24 * HOUR


class Secrets:
    """Keys, records and leases. Connects when first asked; may be shared by threads.

    Every method raises Unavailable where the secrets server is absent, sealed or refuses us.
    """

    def __init__(self, settings: Settings, server: Server) -> None:
        self.settings = settings
        self.server = server

    @classmethod
    def from_settings(cls, settings: Settings) -> Secrets:
        """On one machine by the pair in a file, on a cluster as its service account."""
        address = settings.openbao
        if isinstance(address, Path):
            return cls(settings, Server(address, AppRoleLogin(settings.secret_file(LOGIN_FILE))))
        return cls(settings, Server(address, KubernetesLogin.of(address)))

    # Signing: `key` is one of policies.SIGNING_KEYS.

    def sign(self, key: str, data: bytes) -> bytes:
        """64-byte Ed25519 signature."""
        return keys.sign(self.server, key, data)

    def verify(self, key: str, data: bytes, signature: bytes) -> bool:
        """Is it a signature by any version of `key`?"""
        return any(keys.verifies(public, data, signature) for public in self.public_keys(key).values())

    def public_key(self, key: str) -> bytes:
        """The newest version's 32 bytes."""
        found = self.public_keys(key)
        return found[max(found)]

    def public_keys(self, key: str) -> dict[int, bytes]:
        return keys.public_keys(self.server, key)

    def public_pem(self, key: str) -> str:
        return keys.pem(self.public_key(key))

    def public_pems(self, key: str) -> str:
        """Every version, the newest first, one PEM block after the other."""
        return "".join(keys.pem(public) for _, public in sorted(self.public_keys(key).items(), reverse=True))

    def rotate(self, key: str) -> int:
        """The new version's number."""
        return keys.rotate(self.server, key)

    # Wrapping: one key per project.

    def wrap(self, project: str, plain: bytes) -> str:
        return keys.wrap(self.server, project, plain)

    def unwrap(self, project: str, wrapped: str) -> bytes:
        return keys.unwrap(self.server, project, wrapped)

    def pseudonym_key(self, project: str) -> bytes:
        """32 bytes, the same each time, different for each project. Keep it in memory only and briefly."""
        return keys.pseudonym_key(self.server, project)

    def pseudonym_key_destroy(self, project: str) -> None:
        """For ever; the project gets no other one. May be called again."""
        keys.destroy_pseudonym_key(self.server, project)

    # Records.

    def kv_get(self, path: str) -> dict[str, Any] | None:
        return self.server.get_value(path)

    def kv_put(self, path: str, values: dict[str, Any], *, create_only: bool = False) -> None:
        """With `create_only` raises Conflict where the record exists."""
        self.server.put_value(path, values, create_only=create_only)

    def kv_delete(self, path: str) -> None:
        self.server.delete_value(path)

    # A project's database and logins to it.

    def project_prepare(self, project: str) -> ProjectDatabase:
        """Make the project's database and what leases need. May be called again."""
        return projects.prepare(self.settings, self.server, project)

    def reconnect(self) -> None:
        """Connect the secrets server to every project's database again where the sockets lie elsewhere by now."""
        for project in self.server.list_values("databases"):
            projects.prepared(self.settings, self.server, project)

    def project_database(self, project: str) -> ProjectDatabase:
        """Raises NotFound where the project has none."""
        return projects.names(self.server, project)

    def project_remove(self, project: str) -> None:
        """Drop the project's database, its logins, its roles."""
        projects.remove(self.settings, self.server, project)

    def lease(self, project: str, workspace: str, ttl: int = HOUR, longest: int = DAY) -> Lease:
        """A login for one workspace, `ttl` seconds at a time up to `longest`. Raises NotFound without a database."""
        database = projects.prepared(self.settings, self.server, project).database
        return leases.issue(self.server, database, project, workspace, ttl, longest)

    def renew(self, lease_id: str, ttl: int = HOUR) -> datetime.datetime:
        return leases.renew(self.server, lease_id, ttl)

    def revoke(self, lease_id: str) -> None:
        """End the login and its open sessions, now; `lease_id` is a Lease's or a Held's id."""
        leases.revoke(self.server, lease_id)

    def list_leases(self) -> list[Held]:
        return leases.held(self.server)

    def end_orphaned_sessions(self) -> int:
        """End database sessions whose login is gone; how many there were."""
        return projects.end_orphaned_sessions(self.settings)
