"""Where the door's parts find each other.

Decides ports (from the port for people on), files and the names of the door's secrets, all from `Settings`: everything
on this machine, or each part behind its Service of a cluster. Leaves to who starts the parts what runs where.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tre.settings import INTAKE_PORT, Settings, make_private_folder

ROOT = Path(__file__).resolve().parents[2]

LOOPBACK = "127.0.0.1"

#: Random 32 bytes in hex each, made once. The internal API compares `internal-<client>.token`.
GENERATED_SECRETS = (
    "guard-admin.token",
    "guard-cookie",
    "hub-cookie",
    "hub-crypt-key",
    "internal-guard.token",
    "internal-hub.token",
    "internal-intake.token",
    "internal-machine.token",
    "traefik-api.password",
    "tre-web.secret",
)


@dataclass(frozen=True)
class Places:
    settings: Settings

    @property
    def listen(self) -> str:
        """The address that parts listen on: loopback here, the pod's own on a cluster, where policies say who comes."""
        return "0.0.0.0" if self.settings.cluster else LOOPBACK  # noqa: S104

    def host(self, part: str) -> str:
        """Where others find a part: `api`, `hub`, `guard` or `intake`."""
        return str(getattr(self.settings.cluster.hosts, part)) if self.settings.cluster else LOOPBACK

    # Ports. Traefik reaches its backends over TCP only.

    @property
    def public_port(self) -> int:
        """Traefik: the one port for people."""
        return self.settings.port

    @property
    def hub_port(self) -> int:
        return self.settings.port + 1

    @property
    def guard_port(self) -> int:
        return self.settings.port + 2

    @property
    def web_port(self) -> int:
        """The api process: everything below `/tre/`."""
        return self.settings.port + 3

    @property
    def traefik_api_port(self) -> int:
        return self.settings.port + 4

    # Ports that only a cluster has: on one machine these are Unix sockets.

    @property
    def internal_port(self) -> int:
        return self.settings.port + 5

    @property
    def guard_admin_port(self) -> int:
        return self.settings.port + 6

    @property
    def intake_port(self) -> int:
        return self.settings.port + INTAKE_PORT

    # Addresses: a URL, or the path of a socket.

    @property
    def internal(self) -> Path | str:
        """The internal API."""
        here = self.settings.internal_socket
        return f"http://{self.host('api')}:{self.internal_port}" if self.settings.cluster else here

    @property
    def guard_admin(self) -> Path | str:
        """Where the guard learns its routes; on a cluster each of the guards behind this name."""
        here = self.settings.guard_socket
        return f"http://{self.host('guard')}:{self.guard_admin_port}" if self.settings.cluster else here

    @property
    def hub_api_url(self) -> str:
        return f"http://{self.host('hub')}:{self.hub_port}/hub/api"

    @property
    def guard_url(self) -> str:
        return f"http://{self.host('guard')}:{self.guard_port}"

    @property
    def web_url(self) -> str:
        return f"http://{self.host('api')}:{self.web_port}"

    # Files. The folder holds the routes' tokens: 0700.

    @property
    def folder(self) -> Path:
        return self.settings.state / "door"

    @property
    def routes_file(self) -> Path:
        return self.folder / "routes.json"

    @property
    def lab_settings(self) -> Path:
        return self.folder / "lab"

    @property
    def traefik_static(self) -> Path:
        return self.folder / "traefik.toml"

    @property
    def traefik_rules(self) -> Path:
        return self.folder / "rules.toml"

    @property
    def hub_database_url(self) -> Path:
        """Secret file with the SQLAlchemy URL of the Hub's own database."""
        return self.settings.secret_file("hub-database.url")

    @property
    def workspaces(self) -> Path:
        """The runtime's folder: one below it per running workspace."""
        return self.settings.run / "workspaces"

    @property
    def intake_admin(self) -> Path:
        """The intake's socket for the spawner."""
        return self.settings.run / "intake.sock"

    def secret(self, name: str) -> Path:
        return self.settings.secret_file(name)

    def prepare(self) -> None:
        """Make the folders and every secret that is missing; what exists is left alone."""
        for folder in (self.settings.state, self.folder, self.secret("x").parent, self.settings.run):
            make_private_folder(folder)
        for name in GENERATED_SECRETS:
            make_secret(self.secret(name))


def make_secret(path: Path) -> None:
    """A new random secret in a 0600 file, unless there is one. Whole or not at all."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
