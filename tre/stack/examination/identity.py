"""The identity provider: what it says of itself, and whether the Hub can work with that.

Decides what its description must offer: the issuer to the letter, the code flow with PKCE by S256, a way to ask again,
keys for a signature that we believe. Leaves tokens to `tre.door.oidc.tokens`.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from tre.errors import Unavailable
from tre.settings import IdentityProvider
from tre.stack.examination import certificates
from tre.stack.examination.clocks import Clock
from tre.stack.examination.finding import Finding, doubtful, right, wrong

NAME = "identity provider"
WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
LONGEST_ANSWER = 1 << 20
#: The type of key for each kind of signature.
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True)
class Seen:
    """`away` says why there is no description; `keys` are those of the JWKS, None where it could not be fetched."""

    described: dict[str, Any] = field(default_factory=dict)
    away: str = ""
    keys: tuple[Mapping[str, Any], ...] | None = None
    clock: Clock | None = None


def look(provider: IdentityProvider) -> Seen:
    address = f"{provider.issuer.rstrip('/')}{WELL_KNOWN}"
    before = time.time()
    described, date, away = fetch(address, provider.ca)
    clock = Clock.of_date(before, date, time.time())
    if described is None:
        return Seen(away=away, clock=clock)
    keys, _, _ = fetch(str(described.get("jwks_uri", "")), provider.ca)
    listed = keys.get("keys") if keys else None
    if not isinstance(listed, list):
        return Seen(described, clock=clock)
    return Seen(described, keys=tuple(each for each in listed if isinstance(each, dict)), clock=clock)


def fetch(address: str, ca: str) -> tuple[dict[str, Any] | None, str, str]:
    """(the JSON object, the header Date, why there is none). No redirect is followed, as in the Hub."""
    found = urlsplit(address)
    if found.scheme not in ("http", "https") or not found.hostname:
        return None, "", "its address cannot be used"
    try:
        connection = _connection(found.scheme, found.hostname, found.port, ca)
        try:
            connection.request("GET", found.path or "/", headers={"Accept": "application/json"})
            response = connection.getresponse()
            status, text = response.status, response.read(LONGEST_ANSWER)
            date = response.getheader("Date") or ""
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return None, "", f"its certificate is not believed ({error.verify_message})"
    except HTTPException:
        return None, "", "what answers there speaks no HTTP"
    except OSError as error:
        return None, "", certificates.words(error)
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if status != 200 or not isinstance(body, dict):
        return None, date, f"it answers with status {status}" + ("" if status != 200 else ", and no JSON")
    return body, date, ""


def _connection(scheme: str, host: str, port: int | None, ca: str) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=certificates.SECONDS)
    context = ssl.create_default_context(cafile=ca or None)
    return HTTPSConnection(host, port, timeout=certificates.SECONDS, context=context)


def look_at_certificate(provider: IdentityProvider) -> certificates.Shown | None:
    found = urlsplit(provider.issuer)
    if found.scheme != "https" or not found.hostname:
        return None
    return certificates.look(found.hostname, found.port or 443, provider.ca)


def judge(provider: IdentityProvider, seen: Seen) -> list[Finding]:
    if seen.away:
        told = f"{provider.issuer} does not describe itself: {seen.away}."
        remedy = (
            f"It must answer at <issuer>{WELL_KNOWN}, and policies must let the hub through (oidc.cidr, oidc.port)."
        )
        return [wrong(NAME, "oidc.issuer", told, remedy, Unavailable)]
    found = [*_issuer(provider, seen), *_flow(provider, seen.described), *_keys(provider, seen)]
    return found or [
        right(NAME, "oidc.issuer", "It describes itself as we want it: PKCE by S256, a way to ask again, keys.")
    ]


def _issuer(provider: IdentityProvider, seen: Seen) -> list[Finding]:
    named = seen.described.get("issuer")
    found = []
    if named != provider.issuer:
        told = f"It calls itself {named!r}, the values say {provider.issuer!r}."
        found.append(wrong(NAME, "oidc.issuer", told, "Spell it as the provider does, to the slash."))
    for name in ENDPOINTS:
        scheme = urlsplit(str(seen.described.get(name, ""))).scheme
        if scheme not in ("https", urlsplit(provider.issuer).scheme):
            told = f"Its {name} is {seen.described.get(name)!r}, which is not safe to ask."
            found.append(wrong(NAME, "oidc.issuer", told, "Let the provider name addresses that begin with https://."))
    return found


def _flow(provider: IdentityProvider, described: Mapping[str, Any]) -> list[Finding]:
    """What is not listed may be left out by OpenID Connect Discovery, and is then taken to be there."""
    found = []
    methods = described.get("code_challenge_methods_supported")
    if methods is None:
        told = "It does not say whether it supports PKCE (code_challenge_methods_supported)."
        found.append(doubtful(NAME, "oidc.issuer", told, "Make sure that it supports S256 for this client."))
    elif "S256" not in methods:
        told = f"It supports PKCE by {', '.join(map(str, methods)) or 'nothing'}, not by S256."
        found.append(wrong(NAME, "oidc.issuer", told, "Switch S256 on at the provider."))
    if "code" not in described.get("response_types_supported", ["code"]):
        found.append(wrong(NAME, "oidc.issuer", "It does not offer the code flow.", "Switch it on for this client."))
    if "refresh_token" not in described.get("grant_types_supported", ["refresh_token"]):
        told = "It gives no refresh tokens, so nobody's leaving would be seen."
        found.append(wrong(NAME, "oidc.scopes", told, "Allow refresh tokens (offline_access) for this client."))
    scopes = described.get("scopes_supported")
    if unknown := [each for each in provider.scopes if scopes is not None and each not in scopes]:
        told = f"It does not list the scope {', '.join(unknown)}."
        found.append(doubtful(NAME, "oidc.scopes", told, "Ask for scopes that it knows."))
    return found


def _keys(provider: IdentityProvider, seen: Seen) -> list[Finding]:
    if seen.keys is None:
        told = f"Its keys cannot be fetched from {seen.described.get('jwks_uri')!r}."
        return [wrong(NAME, "oidc.cidr", told, "Policies must let the hub through to that address, too.", Unavailable)]
    signing = [each for each in seen.keys if each.get("use", "sig") == "sig"]
    kinds = {str(each.get("kty")) for each in signing}
    if not {KEY_TYPES[algorithm[:2]] for algorithm in provider.algorithms} & kinds:
        told = f"None of its keys ({', '.join(sorted(kinds)) or 'none'}) is for {', '.join(provider.algorithms)}."
        return [
            wrong(NAME, "oidc.algorithms", told, "Name the algorithms that it signs with; only asymmetric ones count.")
        ]
    return []


def judge_certificate(shown: certificates.Shown | None, now: datetime) -> list[Finding]:
    name = "certificate of the identity provider"
    if shown is None or shown.away:
        return []
    return [certificates.judge(name, "oidc.issuer", "oidc.ca", shown, now)]
