"""Where everything lies, on this machine or on a cluster.

Decides the state folder (what must survive), the run folder (sockets, short path), the port for people and every path
below them, and that TRE_CLUSTER makes the difference: with it, servers and neighbours are reached over the network.
Leaves to others what is written there. Nothing secret is ever in it: passwords and keys are in 0600 files that
`secret_file` only names.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tre.errors import InvalidInput
from tre.settings.bucket import Bucket
from tre.settings.cluster import VARIABLE as CLUSTER_VARIABLE
from tre.settings.cluster import OnCluster, PostgresServer, SecretsServer
from tre.settings.cluster import load as load_cluster
from tre.settings.identity import TABLE as PROVIDER_TABLE
from tre.settings.identity import IdentityProvider, load_provider

__all__ = [
    "Bucket",
    "IdentityProvider",
    "OnCluster",
    "PostgresServer",
    "SecretsServer",
    "Settings",
    "make_private_folder",
]
DEFAULT_PORT = 8000
#: Counted from the port for people.
INTAKE_PORT = 7
#: `sockaddr_un.sun_path` holds 108 bytes with the closing zero (man 7 unix).
SOCKET_PATH_BYTES = 107
#: The longest name below the run folder: `intake/<32 hex digits>.sock` and as much again to spare.
SOCKET_NAME_BYTES = 48
CONFIG_FILE = "tre.toml"
KNOWN_KEYS = frozenset({"port", "run", PROVIDER_TABLE})


@dataclass(frozen=True)
class Settings:
    """The folders and the port. `load` reads them; the tests build them."""

    state: Path
    run: Path
    port: int = DEFAULT_PORT
    #: The file of a cluster, and what it says; None on one machine.
    cluster_file: Path | None = None
    cluster: OnCluster | None = None
    #: Where people sign in; None: by password and one-time code alone.
    identity_provider: IdentityProvider | None = None

    def __post_init__(self) -> None:
        check_run_folder(self.run)
        if not 0 < self.port < 65536:
            raise InvalidInput(f"port {self.port} is not between 1 and 65535", field="port")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """TRE_STATE, TRE_RUN and TRE_PORT, else `tre.toml` in the state folder, else the defaults. TRE_CLUSTER names
        the file of a cluster.

        Raises InvalidInput naming the variable or key that cannot be used.
        """
        env = os.environ if environment is None else environment
        state = Path(env.get("TRE_STATE") or default_state(env)).absolute()
        config = read_config(state / CONFIG_FILE)
        run = Path(env.get("TRE_RUN") or str(config.get("run") or default_run(state, env))).absolute()
        port = to_port(env.get("TRE_PORT") or config.get("port", DEFAULT_PORT))
        file = Path(env[CLUSTER_VARIABLE]).absolute() if env.get(CLUSTER_VARIABLE) else None
        cluster = load_cluster(file) if file else None
        provider = cluster.identity_provider if cluster else load_provider(config.get(PROVIDER_TABLE))
        return cls(state, run, port, cluster_file=file, cluster=cluster, identity_provider=provider)

    @property
    def local_accounts(self) -> bool:
        """Whether who has an identity may sign in by password as well."""
        return self.identity_provider is None or self.identity_provider.local_accounts

    def environment(self) -> dict[str, str]:
        """What a child process needs to load the same settings."""
        cluster = {CLUSTER_VARIABLE: str(self.cluster_file)} if self.cluster_file else {}
        return {"TRE_STATE": str(self.state), "TRE_RUN": str(self.run), "TRE_PORT": str(self.port), **cluster}

    # What must survive.

    @property
    def content(self) -> Path:
        """The content store where it is a folder: submitted and released bytes by their hash."""
        return self.state / "content"

    @property
    def arriving(self) -> Path:
        """Bytes on their way in, of the moment: nothing of it survives who takes them in."""
        return self.state / "arriving"

    @property
    def extracts(self) -> Path:
        return self.state / "extracts"

    @property
    def homes(self) -> Path:
        return self.state / "homes"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def servers(self) -> Path:
        """The servers' own data: `postgres-state`, `postgres-data`, `openbao`."""
        return self.state / "servers"

    def secret_file(self, name: str) -> Path:
        """The 0600 file that holds one secret; `name` is for example `state-tre_app.pgpass`."""
        return self.state / "secrets" / name

    # Sockets and other things of the moment.

    @property
    def state_database(self) -> Path:
        """Socket folder of the platform's own PostgreSQL. Never shown to a workspace."""
        return self.run / "pg-state"

    @property
    def data_database(self) -> Path:
        """Socket folder of the PostgreSQL with shared datasets and project databases. Workspaces see this folder."""
        return self.run / "pg-data"

    @property
    def openbao_socket(self) -> Path:
        return self.run / "openbao.sock"

    @property
    def api_socket(self) -> Path:
        return self.run / "api.sock"

    @property
    def internal_socket(self) -> Path:
        return self.run / "internal.sock"

    @property
    def guard_socket(self) -> Path:
        return self.run / "guard.sock"

    @property
    def worker_ready(self) -> Path:
        """An empty file that is there while the worker works; it listens on nothing."""
        return self.run / "worker.ready"

    @property
    def intake_sockets(self) -> Path:
        """Folder with one intake socket per workspace."""
        return self.run / "intake"

    # Servers: sockets here, or wherever the cluster's file says.

    @property
    def state_server(self) -> PostgresServer:
        """The platform's own PostgreSQL."""
        return self.cluster.state if self.cluster else PostgresServer(str(self.state_database))

    @property
    def data_server(self) -> PostgresServer:
        """The PostgreSQL with shared datasets and project databases."""
        return self.cluster.data if self.cluster else PostgresServer(str(self.data_database))

    @property
    def openbao(self) -> Path | SecretsServer:
        return self.cluster.openbao if self.cluster else self.openbao_socket

    @property
    def bucket(self) -> Bucket | None:
        """Where the content store lies; None: in the folder `content`."""
        return self.cluster.bucket if self.cluster else None

    @property
    def intake_url(self) -> str:
        """Where a pod submits. In a sandbox it is a socket, and this is empty."""
        return f"http://{self.cluster.hosts.intake}:{self.port + INTAKE_PORT}" if self.cluster else ""

    def state_conninfo(self, role: str, database: str = "tre") -> str:
        """libpq connection string to the state server; the password stays in the role's pgpass file."""
        return conninfo(self.state_server, self.secret_file(f"state-{role}.pgpass"), role, database)

    def data_conninfo(self, role: str, database: str = "datasets") -> str:
        """libpq connection string to the data server; the password stays in the role's pgpass file."""
        return conninfo(self.data_server, self.secret_file(f"data-{role}.pgpass"), role, database)

    def state_url(self, role: str, database: str = "tre") -> str:
        """The same for SQLAlchemy."""
        return url(self.state_server, self.secret_file(f"state-{role}.pgpass"), role, database)

    def data_url(self, role: str, database: str = "datasets") -> str:
        return url(self.data_server, self.secret_file(f"data-{role}.pgpass"), role, database)


def conninfo(server: PostgresServer, passfile: Path, role: str, database: str) -> str:
    """Whole connection string without a secret in it, so that it may be logged."""
    parts = {"host": server.host, "user": role, "dbname": database, "passfile": str(passfile), **server.options()}
    return " ".join(f"{name}='{value}'" for name, value in parts.items())


def url(server: PostgresServer, passfile: Path, role: str, database: str) -> str:
    parts = {"host": server.host, "passfile": str(passfile), **server.options()}
    return f"postgresql+psycopg://{role}@/{database}?" + "&".join(f"{name}={value}" for name, value in parts.items())


def default_state(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(base) / "tre"


def default_run(state: Path, env: Mapping[str, str]) -> Path:
    """`run` in the state folder where its path is short enough, else a folder named by the state's path."""
    inside = state / "run"
    if fits(inside):
        return inside
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:8]
    runtime = env.get("XDG_RUNTIME_DIR")
    return Path(runtime) / f"tre-{digest}" if runtime else Path(f"/tmp/tre-{os.getuid()}-{digest}")  # noqa: S108


def fits(run: Path) -> bool:
    return len(os.fsencode(run)) + 1 + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES


def check_run_folder(run: Path) -> None:
    """Raise InvalidInput where a Unix socket below `run` would have too long a path, or the path needs quoting."""
    if not fits(run):
        most = SOCKET_PATH_BYTES - SOCKET_NAME_BYTES - 1
        raise InvalidInput(
            f"the run folder's path {run} has {len(os.fsencode(run))} bytes; Unix sockets leave room for {most}",
            field="TRE_RUN",
            hint="Set TRE_RUN to a short path that only you can write, for example ~/.tre-run.",
        )
    if any(character in str(run) for character in "'\\\"?&%\n, "):
        raise InvalidInput(
            f"the run folder's path {run} has a blank, quote, comma or other special sign",
            field="TRE_RUN",
            hint="Choose a path of letters, digits, dots, hyphens and slashes.",
        )


def read_config(path: Path) -> dict[str, object]:
    """The TOML file, {} where there is none. Unknown keys are refused: a mistyped one must not be without effect."""
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", field=CONFIG_FILE) from error
    for key in sorted(found.keys() - KNOWN_KEYS):
        raise InvalidInput(
            f"{path} has an unknown key {key!r}", field=key, hint=f"Known: {', '.join(sorted(KNOWN_KEYS))}."
        )
    return found


def to_port(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InvalidInput(f"{value!r} is not a port number", field="TRE_PORT") from None


def make_private_folder(path: Path) -> None:
    """Make `path` with mode 0700, or check that it is ours alone; raises InvalidInput where it is not."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise InvalidInput(
            f"{path} is not a folder that belongs to this user", field=str(path), hint="Remove it or choose another."
        )
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)
