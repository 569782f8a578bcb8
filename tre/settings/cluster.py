"""How the platform's processes find each other and their servers on a cluster: one TOML file, named by TRE_CLUSTER.

Decides the file's form: every key is known, every value of its kind, a mistake is named by its key. Without the
variable the platform is embedded. Nothing secret is in it. Leaves `[projects]` to `tre.workspaces.kubernetes.cluster`,
which checks it where it is used.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from tre.errors import InvalidInput
from tre.settings.bucket import TABLE as BUCKET
from tre.settings.bucket import Bucket
from tre.settings.identity import TABLE, IdentityProvider, load_provider

VARIABLE = "TRE_CLUSTER"
SSL_MODES = frozenset({"disable", "require", "verify-ca", "verify-full"})
#: What libpq's connection strings, or a URL's query, would read as something else.
SPECIAL = "'\\\"?&%\n, "
Part = TypeVar("Part")


@dataclass(frozen=True)
class PostgresServer:
    """`host` is a name, an address, or the folder of a Unix socket. `sslmode` is libpq's."""

    host: str
    port: int = 5432
    sslmode: str = "verify-full"
    sslrootcert: str = ""

    def options(self) -> dict[str, str]:
        """What libpq must be told besides host, role and database. Of a socket: nothing."""
        if self.host.startswith("/"):
            return {}
        more = {"sslrootcert": self.sslrootcert} if self.sslrootcert else {}
        return {"port": str(self.port), "sslmode": self.sslmode, **more}

    def check(self, name: str) -> None:
        if self.sslmode not in SSL_MODES:
            raise InvalidInput(f"sslmode is one of {', '.join(sorted(SSL_MODES))}.", field=f"{name}.sslmode")
        check_port(self.port, f"{name}.port")
        for key in ("host", "sslrootcert"):
            if any(sign in getattr(self, key) for sign in SPECIAL):
                raise InvalidInput("No blanks, quotes or other special signs.", field=f"{name}.{key}")


@dataclass(frozen=True)
class SecretsServer:
    """Vault or OpenBao, where a process shows its service account's token: a projected one with an audience, which the
    kubelet renews. `ca` is a PEM file; `mount` the path of the auth method, `role` its role. `database_ca` is a file of
    the server's own machine, with the authority that it holds the data server to; empty: those that the machine trusts.
    """

    url: str
    ca: str = ""
    mount: str = "kubernetes"
    role: str = "control-plane"
    token_file: str = "/var/run/secrets/tre/openbao/token"  # noqa: S105
    database_ca: str = ""

    def check(self, name: str) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise InvalidInput("A URL, as in https://openbao.example:8200.", field=f"{name}.url")
        if any(sign in self.database_ca for sign in SPECIAL):
            raise InvalidInput("No blanks, quotes or other special signs.", field=f"{name}.database_ca")


@dataclass(frozen=True)
class Hosts:
    """The DNS names of our own Services. The guard's is headless: the hub tells every guard. The intake's is what
    workspaces ask: whole, and among the names that the projects' DNS answers.
    """

    api: str = "tre-api"
    hub: str = "tre-hub"
    guard: str = "tre-guard"
    intake: str = "tre-intake"
    checker: str = "tre-checker"

    def check(self, name: str) -> None:
        """Names cannot be wrong in a way that is seen here."""


@dataclass(frozen=True)
class OnCluster:
    """The whole file. Without an identity provider people sign in by password and code, without a bucket the content
    store is a folder. `projects` are the values of
    `tre.workspaces.kubernetes.cluster.Cluster`.
    """

    state: PostgresServer
    data: PostgresServer
    openbao: SecretsServer
    hosts: Hosts = field(default_factory=Hosts)
    identity_provider: IdentityProvider | None = None
    bucket: Bucket | None = None
    projects: Mapping[str, Any] = field(default_factory=dict, hash=False)


def load(path: Path) -> OnCluster:
    """Raises `InvalidInput` that names the key which is missing, unknown or of the wrong kind."""
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read: {error}", field=VARIABLE, hint="It names the TOML file of docs/kubernetes.md."
        ) from error
    known = {"state": PostgresServer, "data": PostgresServer, "openbao": SecretsServer, "hosts": Hosts}
    if unknown := sorted(found.keys() - known.keys() - {"projects", TABLE, BUCKET}):
        raise InvalidInput(f"{path} has an unknown table {unknown[0]!r}.", field=unknown[0])
    parts: dict[str, Any] = {name: read(kind, found.get(name, {}), name) for name, kind in known.items()}
    parts[TABLE] = load_provider(found.get(TABLE))
    parts[BUCKET] = read(Bucket, found[BUCKET], BUCKET) if BUCKET in found else None
    return OnCluster(**parts, projects=mapping(found.get("projects", {}), "projects"))


def read(kind: type[Part], values: object, name: str) -> Part:
    """One table as its dataclass. Raises `InvalidInput`."""
    given, kinds = mapping(values, name), get_type_hints(kind)
    for key, value in given.items():
        if key not in kinds:
            raise InvalidInput(f"There is no key {key!r} here.", field=f"{name}.{key}", hint=f"Known: {sorted(kinds)}.")
        if not isinstance(value, kinds[key]) or isinstance(value, bool) != (kinds[key] is bool):
            raise InvalidInput(f"This is to be a {kinds[key].__name__}.", field=f"{name}.{key}")
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if one.name not in given and one.default is dataclasses.MISSING:
            raise InvalidInput("This is missing.", field=f"{name}.{one.name}", hint=f"Set it in [{name}].")
    made = kind(**given)
    made.check(name)  # type: ignore[attr-defined]
    return made


def mapping(values: object, name: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise InvalidInput("This is to be a table.", field=name)
    return values


def check_port(port: int, name: str) -> None:
    if not 0 < port < 65536:
        raise InvalidInput("Between 1 and 65535.", field=name)
