"""OpenBao or Vault of the institution's own: all that the platform needs in it, made by an administrator's token.

Decides the order, and that the way to the data server, which the secrets server alone goes, is tried before anybody
relies on it. May run again: what is there stays, policies and roles are written anew. Leaves what is made to
`tre.stack.openbao` and `tre.credentials.policies`; the token is used here and kept nowhere.
"""

from __future__ import annotations

import base64
import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import hvac
import requests
from hvac import exceptions

from tre.credentials import policies
from tre.credentials.client import connect, translate, translated
from tre.errors import InvalidInput, NotFound, Unavailable
from tre.settings import SecretsServer
from tre.stack import openbao
from tre.stack.examination.installation import Installation
from tre.workspaces.kubernetes.api import Api

#: Of the connection that is tried; a project's has another name, and the control plane could remove it.
TRIED = "p_prepare"
ADMIN = "data-tre_admin.pgpass"
FILLED_SECONDS = 10.0


@dataclass(frozen=True)
class Reviewer:
    """The account as which the server asks the cluster whose a token is, from its Secret."""

    token: str
    authority: str

    def config(self, cluster: str) -> dict[str, object]:
        """`cluster` is the API server's address as the secrets server reaches it."""
        return {
            "kubernetes_host": cluster,
            "kubernetes_ca_cert": self.authority,
            "token_reviewer_jwt": self.token,
            "disable_local_ca_jwt": True,
        }


def prepare(api: Api, wanted: Installation, *, token: str, reviewer: str, cluster: str) -> list[str]:
    """What is there afterwards, in words. Raises `InvalidInput` that names the value which is wrong."""
    if wanted.small:
        raise InvalidInput("The small profile prepares its own.", field="small.enabled", hint="Leave it out.")
    asks = _reviewer(api, wanted.namespace, reviewer)
    with tempfile.TemporaryDirectory(prefix="tre-") as folder:
        client = connect(_server(api, wanted, Path(folder)), token)
        with translated("prepare the secrets server"):
            openbao.make_engines(client)
            openbao.make_rules(client)
            openbao.make_kubernetes_sign_in(
                client,
                mount=wanted.at("openbao.mount"),
                role=wanted.at("openbao.role"),
                reviewing=asks.config(cluster),
                rule=policies.kubernetes_role(wanted.namespace, wanted.at("openbao.audience")),
            )
        try_data_server(client, wanted, _password(api, wanted))
    engines = ", ".join(f"{path}/" for path, _, _ in openbao.ENGINES)
    accounts = ", ".join(policies.CONTROL_PLANE_ACCOUNTS)
    return [
        f"engines {engines}, keys {', '.join(policies.SIGNING_KEYS)}",
        f"policies {policies.APP_ROLE} and {policies.LEASE_POLICY}, token role {policies.TOKEN_ROLE}",
        f"auth/{wanted.at('openbao.mount')}, role {wanted.at('openbao.role')}: {accounts} of {wanted.namespace}",
        f"{wanted.at('postgresql.data.host')} lets it in",
    ]


def try_data_server(client: hvac.Client, wanted: Installation, password: str) -> None:
    """A connection as `tre_admin`, which is taken away again. Raises `InvalidInput` or `Unavailable` with its words."""
    server, authority = wanted.server("data", ""), wanted.at("openbao.databaseCa")
    asked = policies.database_connection("datasets", "tre_admin", password, server, authority)
    try:
        client.adapter.post(f"/v1/database/config/{TRIED}", json=asked)
    except (exceptions.VaultError, requests.RequestException, OSError) as error:
        # All that the server's driver says is in what it answers; ours would leave the reason out.
        said = "; ".join(map(str, getattr(error, "errors", None) or [])) or translate(error, "ask").message
        raise why(said, wanted) from error
    finally:
        with contextlib.suppress(exceptions.VaultError, requests.RequestException, OSError):
            client.adapter.delete(f"/v1/database/config/{TRIED}")


def why(said: str, wanted: Installation) -> InvalidInput | Unavailable:
    host, told = wanted.at("postgresql.data.host"), " ".join(said.split())[-300:]
    if any(sign in said for sign in ("certificate", "x509", "CA file")):
        return InvalidInput(
            f"The secrets server does not believe the certificate of {host}: {told}",
            field="openbao.databaseCa",
            hint="Put the authority onto its machine: among those that it trusts, or as a file that this value names.",
        )
    if "authentication failed" in said or "SQLSTATE 28" in said:
        return InvalidInput(
            f"{host} does not let tre_admin in from the secrets server: {told}",
            field="postgresql.logins",
            hint="Run data.sql there with the logins of that Secret, and let it in by the lines of data.hba.",
        )
    return Unavailable(
        f"The secrets server does not reach {host}: {told}",
        field="postgresql.data.host",
        hint="Its machine must know that name, and a firewall must let it through.",
    )


def _server(api: Api, wanted: Installation, folder: Path) -> SecretsServer:
    name = wanted.at("openbao.ca")
    ca = folder / "ca.pem"
    if name:
        held = _held(api, wanted.namespace, "configmaps", name, "openbao.ca")
        ca.write_text(held.get("ca.pem", ""))
    return wanted.secrets_server(str(ca) if name else "", folder / "token")


def _reviewer(api: Api, namespace: str, name: str) -> Reviewer:
    """Kubernetes fills a Secret of a service account a moment after it was made."""
    until = time.monotonic() + FILLED_SECONDS
    while True:
        held = _held(api, namespace, "secrets", name, "--reviewer")
        found = {key: base64.b64decode(held.get(key, "")).decode() for key in ("token", "ca.crt")}
        if all(found.values()):
            return Reviewer(found["token"], found["ca.crt"])
        if time.monotonic() > until:
            raise InvalidInput(
                f"The Secret {name} holds no token of a service account.",
                field="--reviewer",
                hint="Make it as docs/helm.md says: its annotation names a service account that is there.",
            )
        time.sleep(0.2)


def _password(api: Api, wanted: Installation) -> str:
    """`tre_admin`'s, at the data server."""
    held = _held(api, wanted.namespace, "secrets", wanted.at("postgresql.logins"), "postgresql.logins")
    line = base64.b64decode(held.get(ADMIN, "")).decode().strip()
    password = line.removeprefix("*:*:*:tre_admin:")
    if not password or password == line:
        raise InvalidInput(f"{ADMIN} of that Secret is to be *:*:*:tre_admin:PASSWORD.", field="postgresql.logins")
    return password


def _held(api: Api, namespace: str, kind: str, name: str, field: str) -> dict[str, str]:
    if not name:
        raise InvalidInput("This value is missing.", field=field)
    try:
        return dict(api.ask("GET", f"/api/v1/namespaces/{namespace}/{kind}/{name}", {}).get("data") or {})
    except NotFound as error:
        raise NotFound(
            f"There is no {name} in {namespace}.", field=field, hint="Make it first: docs/helm.md."
        ) from error
