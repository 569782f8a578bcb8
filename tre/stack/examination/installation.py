"""What is to be examined, from an administrator's machine: the chart's values, and what the processes would be told.

Decides where values come from: files over the chart's own, as helm does it, or what the installed release says of
itself. Leaves judging values to the chart's schema, which helm holds them to.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from tre.door.places import ROOT
from tre.errors import InvalidInput, NotFound
from tre.settings import Bucket, IdentityProvider, PostgresServer, SecretsServer
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE
from tre.workspaces.kubernetes.namespace import Object

CHART = ROOT / "helm" / "tre"
#: How helm marks its own Secrets.
RELEASES = {"labelSelector": "owner=helm,name=tre,status=deployed"}
#: Our keys of the identity provider, and the chart's.
PROVIDER_KEYS = {
    "refresh_seconds": "refreshSeconds",
    "grace_seconds": "graceSeconds",
    "local_accounts": "localAccounts",
}
LOGINS = ("state-tre_app.pgpass", "state-tre_owner.pgpass", "data-tre_admin.pgpass", "hub-database.url")
BUCKET = (KEY_ID_FILE, KEY_FILE)
DOOR = (
    "guard-admin.token",
    "guard-cookie",
    "hub-cookie",
    "internal-guard.token",
    "internal-hub.token",
    "internal-intake.token",
    "internal-machine.token",
    "tre-web.secret",
)


@dataclass(frozen=True)
class Held:
    """Something of the namespace that a value names, and the keys that are to be in it."""

    value: str
    kind: str
    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Installation:
    """Values over values. `version` is the chart's application's."""

    namespace: str
    values: Mapping[str, Any]
    version: str
    installed: bool

    def at(self, key: str) -> Any:
        """As in `postgresql.state.host`. Raises `InvalidInput` where there is no such value."""
        found: Any = self.values
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise InvalidInput("This value is missing.", field=key, hint="helm/tre/values.yaml has every key.")
            found = found[part]
        return found

    @property
    def small(self) -> bool:
        return bool(self.at("small.enabled"))

    def server(self, name: str, ca: str) -> PostgresServer:
        """`ca`: where the authority lies here."""
        if self.small:
            return PostgresServer(f"tre-postgres-{name}", 5432, "disable")
        given = self.at(f"postgresql.{name}")
        return PostgresServer(given["host"], int(given["port"]), given["sslmode"], ca)

    def secrets_server(self, ca: str, token: Path) -> SecretsServer:
        url = "https://tre-openbao:8200" if self.small else self.at("openbao.url")
        named = {key: self.at(f"openbao.{key}") for key in ("mount", "role")}
        return SecretsServer(url, ca, **named, token_file=str(token), database_ca=self.at("openbao.databaseCa"))

    def provider(self, ca: str) -> IdentityProvider | None:
        """Raises `InvalidInput` that names the key of the processes' own file."""
        given = self.at("oidc")
        if not given["issuer"]:
            return None
        plain = {"issuer": "issuer", "client_id": "clientId", "name": "name", "prompt": "prompt", **PROVIDER_KEYS}
        values: dict[str, Any] = {ours: given[theirs] for ours, theirs in plain.items()}
        values |= {key: tuple(given[key]) for key in ("scopes", "algorithms", "amr", "acr")}
        made = IdentityProvider(url=self.at("url"), ca=ca, **values)
        made.check()
        return made

    def bucket(self, ca: str) -> Bucket | None:
        given = self.at("content.bucket")
        if not given["name"]:
            return None
        made = Bucket(given["endpoint"], given["name"], given["region"], given["prefix"], given["pathStyle"], ca)
        made.check("content.bucket")
        return made

    def addresses(self) -> dict[str, str]:
        """{value: the address that it gives to a Service}."""
        more = ("small.dataClusterIP",) if self.small else ()
        return {value: str(self.at(value)) for value in ("intake.clusterIP", "dns.clusterIP", *more)}

    def cidrs(self) -> dict[str, str]:
        """What policies open, by the values' table."""
        tables = ("postgresql.state", "postgresql.data", "openbao", "oidc", "content.bucket")
        return {table: str(self.at(f"{table}.cidr")) for table in tables}

    def held(self) -> list[Held]:
        """What must be there before an installation, as templates/checks.yaml wants it."""
        listed = [
            Held("postgresql.logins", "secrets", self.at("postgresql.logins"), LOGINS),
            Held("doorSecrets", "secrets", self.at("doorSecrets"), DOOR),
            Held("postgresql.ca", "configmaps", self.at("postgresql.ca"), ("ca.pem",)),
            Held("openbao.ca", "configmaps", self.at("openbao.ca"), ("ca.pem",)),
            Held("proxy.ingress.tlsSecret", "secrets", self.at("proxy.ingress.tlsSecret"), ("tls.crt", "tls.key")),
        ]
        if self.at("oidc.issuer"):
            listed.append(Held("oidc.clientSecret", "secrets", self.at("oidc.clientSecret"), ("oidc-client.secret",)))
            listed.append(Held("oidc.ca", "configmaps", self.at("oidc.ca"), ("ca.pem",)))
        if self.at("content.bucket.name"):
            listed.append(Held("content.bucket.credentials", "secrets", self.at("content.bucket.credentials"), BUCKET))
            listed.append(Held("content.bucket.ca", "configmaps", self.at("content.bucket.ca"), ("ca.pem",)))
        return [one for one in listed if one.name]

    def images(self) -> dict[str, str]:
        """{value: the image that it makes}."""
        registry, tag = self.at("images.registry"), self.at("images.tag") or self.version
        ours = ("control", "hub", "guard", "proxy", *(("servers",) if self.small else ()))
        found = {f"images ({name})": f"{registry}/tre-{name}:{tag}" for name in ours}
        workspace = self.at("projects.image") or f"{registry}/tre-workspace:{tag}"
        others = {f"projects.images.{project}": image for project, image in self.at("projects.images").items()}
        return {**found, "projects.image": workspace, **others, "dns.image": self.at("dns.image")}

    @property
    def host(self) -> str:
        return urlsplit(str(self.at("url"))).hostname or ""


def of_files(namespace: str, files: tuple[Path, ...], chart: Path = CHART) -> Installation:
    """The chart's values with each file's over them. Raises `InvalidInput` that names the file."""
    if not chart.exists():
        raise InvalidInput(
            "The chart's own values are not here.", field="--values", hint="Run it from a checkout of the release."
        )
    values: dict[str, Any] = {}
    for file in (chart / "values.yaml", *files):
        values = merged(values, _read(file))
    return Installation(namespace, values, str(_read(chart / "Chart.yaml").get("appVersion", "")), installed=False)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{file} cannot be read: {type(error).__name__}.", field="--values") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} holds no table of values.", field="--values")
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """As helm merges: tables key by key, everything else as a whole; null takes a key away."""
    found = copy.deepcopy(dict(below))
    for key, value in above.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), dict):
            found[key] = merged(found[key], value)
        else:
            found[key] = copy.deepcopy(value)
    return found


def of_release(namespace: str, secrets: list[Object]) -> Installation:
    """What helm noted of the release that is installed. Raises `NotFound` where there is none."""
    if not secrets:
        raise NotFound(
            f"There is no release `tre` in the namespace {namespace}.",
            field="--namespace",
            hint="Before an installation, name its values: --values FILE.",
        )
    newest = max(secrets, key=lambda one: int(one["metadata"]["labels"].get("version", "0")))
    noted = cast(dict[str, Any], json.loads(gzip.decompress(_twice(newest["data"]["release"]))))
    chart = noted["chart"]
    # A release of an older chart lacks the keys that came since: those have the values of the one that is here.
    known = _read(CHART / "values.yaml") if CHART.exists() else {}
    values = merged(merged(known, chart.get("values") or {}), noted.get("config") or {})
    return Installation(namespace, values, str(chart["metadata"]["appVersion"]), installed=True)


def _twice(text: str) -> bytes:
    """Helm's own base64 within that of a Secret."""
    return base64.b64decode(base64.b64decode(text))
