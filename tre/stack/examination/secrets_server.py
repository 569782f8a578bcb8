"""OpenBao or Vault: reachable, unsealed, and whether it lets the control plane do what it must.

Decides what the control plane's login must be able to read there. Signing in is tried as it is done later; nothing is
written but the session itself, which is given back.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions

from tre.credentials import policies
from tre.credentials.client import connect, words
from tre.credentials.login import KubernetesLogin
from tre.errors import TreError, Unavailable
from tre.settings import SecretsServer
from tre.stack.examination import certificates
from tre.stack.examination.clocks import Clock
from tre.stack.examination.finding import Finding, right, wrong

NAME, URL = "secrets server", "openbao.url"
SETUP = "`tre prepare openbao` makes what it needs (docs/helm.md)."
UNKNOWN = (
    "Its own log says more. Often the role's audience or the mount is another one, it may not ask the API server"
    " (TokenReview, system:auth-delegator), or a clock is wrong."
)


@dataclass(frozen=True)
class Seen:
    """`health` is {} where nothing answered, `away` says why. `login`: "" it worked, None it was not tried, else why
    not; `lacks` are the paths that the login may not use.
    """

    health: dict[str, Any]
    away: str = ""
    login: str | None = None
    status: int = 0
    token: dict[str, Any] | None = None
    held: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    clock: Clock | None = None


def look_at_certificate(server: SecretsServer) -> certificates.Shown | None:
    found = urlsplit(server.url)
    if found.scheme != "https" or not found.hostname:
        return None
    return certificates.look(found.hostname, found.port or 443, server.ca)


def look(server: SecretsServer, *, sign_in: bool) -> Seen:
    """`sign_in`: also as the control plane, with the token in the file."""
    client = connect(server)
    client.adapter._kwargs["timeout"] = certificates.SECONDS
    try:
        before = time.time()
        health, after = _health(client), time.time()
    except (requests.RequestException, exceptions.VaultError, OSError) as error:
        return Seen({}, away=_away(error))
    if not health:
        return Seen({}, away="what answers there is no such server")
    clock = _clock(before, health, after)
    if not sign_in or health.get("sealed") or not health.get("initialized", True):
        return Seen(health, clock=clock)
    return _signed_in(client, server, health, clock)


def _clock(before: float, health: dict[str, Any], after: float) -> Clock | None:
    """It tells whole seconds."""
    theirs = health.get("server_time_utc")
    if not isinstance(theirs, int):
        return None
    found = Clock.between(before, theirs + 0.5, after)
    return Clock(found.ahead, found.within + 0.5)


def _health(client: hvac.Client) -> dict[str, Any]:
    found = client.sys.read_health_status(method="GET")
    try:
        body = found.json() if isinstance(found, requests.Response) else found
    except ValueError:
        return {}
    return dict(body) if isinstance(body, dict) and "sealed" in body else {}


def _away(error: Exception) -> str:
    """In our words: those of requests are a paragraph."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not believed"
    if isinstance(error, requests.exceptions.Timeout):
        return f"nobody answered within {certificates.SECONDS:.0f} s"
    said = str(error)
    for part, meaning in (
        ("Name or service not known", "there is no such name"),
        ("Temporary failure in name resolution", "no DNS server answered"),
        ("No address associated", "there is no such name"),
        ("Connection refused", "nobody listens there"),
        ("No route to host", "there is no way there"),
        ("Network is unreachable", "there is no way there"),
    ):
        if part in said:
            return meaning
    return "the connection broke off" if isinstance(error, requests.ConnectionError) else type(error).__name__


def _signed_in(client: hvac.Client, server: SecretsServer, health: dict[str, Any], clock: Clock | None) -> Seen:
    login, token = KubernetesLogin.of(server), claims(Path(server.token_file))
    try:
        client.token = login.sign_in(client)
    except exceptions.VaultError as error:
        return Seen(health, login=words(error) or "it gives no reason", status=_status(error), token=token, clock=clock)
    except TreError as error:
        return Seen(health, login=error.message, token=token, clock=clock)
    except (requests.RequestException, OSError) as error:
        return Seen(health, login=_away(error), token=token, clock=clock)
    try:
        held = _policies(client)
        lacks = tuple(path for path, ask in needed(client).items() if not _may(path, ask))
        return Seen(health, login="", token=token, held=held, lacks=lacks, clock=clock)
    except (requests.RequestException, exceptions.VaultError, OSError) as error:
        return Seen(health, login=_away(error), token=token, clock=clock)
    finally:
        _give_back(client)


def _status(error: exceptions.VaultError) -> int:
    kinds: dict[type[Exception], int] = {
        exceptions.InvalidRequest: 400,
        exceptions.Forbidden: 403,
        exceptions.InvalidPath: 404,
        exceptions.InternalServerError: 500,
    }
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 0)


def _policies(client: hvac.Client) -> tuple[str, ...]:
    try:
        found = client.auth.token.lookup_self()["data"]
    except exceptions.Forbidden:
        return ()
    return tuple(sorted(found.get("policies") or ()))


def needed(client: hvac.Client) -> dict[str, Callable[[], object]]:
    """{path: a question that its holder may ask}: the engines are there, and the policy is ours."""
    keys = {
        f"transit/keys/{key}": (lambda key=key: client.secrets.transit.read_key(key)) for key in policies.SIGNING_KEYS
    }
    listing: Callable[[], object] = lambda: client.adapter.list(f"/v1/{policies.KV_MOUNT}/metadata/tre/projects")  # noqa: E731
    return {
        **keys,
        f"{policies.KV_MOUNT}/metadata/tre/": listing,
        "database/roles/p_*": lambda: client.adapter.get("/v1/database/roles/p_none"),
        "auth/token/lookup-self": client.auth.token.lookup_self,
    }


def _may(path: str, ask: Callable[[], object]) -> bool:
    """That there is nothing is an answer, but for the keys, which must be there."""
    try:
        ask()
    except exceptions.InvalidPath:
        return not path.startswith("transit/")
    except (exceptions.Forbidden, exceptions.InvalidRequest):
        return False
    return True


def _give_back(client: hvac.Client) -> None:
    try:
        client.auth.token.revoke_self()
    except (requests.RequestException, exceptions.VaultError, OSError):
        return


def claims(file: Path) -> dict[str, Any]:
    """What a service account's token says of itself; nobody's signature is judged here."""
    try:
        part = file.read_text().strip().split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (OSError, IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def judge(server: SecretsServer, seen: Seen) -> list[Finding]:
    if not seen.health:
        told = f"{server.url} does not answer: {seen.away}."
        return [
            wrong(
                NAME,
                URL,
                told,
                "Does it run, and does a policy or firewall let us through (openbao.cidr)?",
                Unavailable,
            )
        ]
    version = seen.health.get("version", "of an unknown version")
    if not seen.health.get("initialized", True):
        return [wrong(NAME, URL, f"The secrets server ({version}) was never initialised.", SETUP, Unavailable)]
    if seen.health.get("sealed"):
        told = f"The secrets server ({version}) is sealed."
        return [wrong(NAME, URL, told, "Unseal it: workspaces go on meanwhile, new ones wait.", Unavailable)]
    found = [right(NAME, URL, f"It answers ({version}) and is unsealed.")]
    if seen.login is None:
        return found
    return [*found, _login(server, seen)]


def _login(server: SecretsServer, seen: Seen) -> Finding:
    name = "sign-in at the secrets server"
    if seen.login:
        return wrong(name, *_why(server, seen))
    if "root" in seen.held:
        told = f"The role {server.role} gives the policy root."
        return wrong(name, "openbao.role", told, f"Give it the policy {policies.APP_ROLE} alone.")
    if seen.lacks:
        lacks, held = ", ".join(seen.lacks), ", ".join(seen.held) or "none"
        told = f"The login of the role {server.role} (policies: {held}) may not use {lacks}."
        return wrong(name, "openbao.role", told, f"Write the policy {policies.APP_ROLE} and its engines anew. {SETUP}")
    return right(name, "openbao.role", f"The role {server.role} lets us do what we must.")


def _why(server: SecretsServer, seen: Seen) -> tuple[str, str, str]:
    """(value, what was found, remedy)."""
    said, token = str(seen.login), seen.token or {}
    audience, who = _audience(token), _account(token)
    if "there is no service account" in said:
        return "openbao.audience", f"{said[0].upper()}{said[1:]}.", "The chart mounts it: look at the pod's volumes."
    if "invalid role name" in said or "could not be found" in said:
        return "openbao.role", f"There is no role {server.role} at the auth method {server.mount}.", f"Make it. {SETUP}"
    if "audience" in said:
        told = f"The role {server.role} wants another audience than {audience}: {said}."
        return "openbao.audience", told, "Give the role and openbao.audience the same one."
    if "not authorized" in said:
        told = f"The role {server.role} is not for {who}: {said}."
        return "openbao.role", told, f"Bind it to {', '.join(policies.CONTROL_PLANE_ACCOUNTS)} of this namespace."
    if seen.status == 404 or "no handler" in said or "unsupported path" in said:
        told = f"There is no Kubernetes auth method at {server.mount}/."
        return "openbao.mount", told, "Enable it there, or name its path."
    told = f"The auth method {server.mount}/ refuses {who} (audience {audience}): {said}."
    return "openbao.mount", told, UNKNOWN


def _audience(token: dict[str, Any]) -> str:
    found = token.get("aud", [])
    return (", ".join(map(str, found)) if isinstance(found, list) else str(found)) or "none"


def _account(token: dict[str, Any]) -> str:
    return str(token.get("sub", "")).removeprefix("system:serviceaccount:").replace(":", "/") or "us"


def judge_certificate(shown: certificates.Shown | None, now: datetime) -> list[Finding]:
    name = "certificate of the secrets server"
    if shown is None or shown.away:
        return []
    return [certificates.judge(name, URL, "openbao.ca", shown, now)]
