"""The institution's identity provider, where people sign in through one: a table `[identity_provider]`, in `tre.toml`
on one machine, in the cluster's file on a cluster.

Decides the table's form and what may be believed at all: asymmetric signatures, https, and at least one claim that
stands for a second factor. The client's secret is no part of it; it lies in a 0600 file of its own. Leaves talking to
the provider to `tre.door.oidc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from tre.errors import InvalidInput

TABLE = "identity_provider"
SECRET_FILE = "oidc-client.secret"  # noqa: S105
#: Never `none`, never one whose key both sides hold: our copy of the provider's public key would then sign.
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEAST_REFRESH, LONGEST = 5, 7 * 86400


@dataclass(frozen=True)
class IdentityProvider:
    """`issuer` is spelled as its tokens spell it, `url` is where people reach the platform: the provider sends them
    back to `<url>/hub/oauth_callback`. One of `amr` or `acr` must be in the token. `ca` is a PEM file.
    """

    issuer: str
    client_id: str
    url: str
    name: str = "your institution"
    scopes: tuple[str, ...] = ("openid", "offline_access")
    prompt: str = "consent"
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    amr: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()
    refresh_seconds: int = 300
    grace_seconds: int = 900
    local_accounts: bool = False
    ca: str = ""

    @property
    def callback(self) -> str:
        return f"{self.url.rstrip('/')}/hub/oauth_callback"

    @property
    def confirmed_seconds(self) -> int:
        """How long the provider's word about a person holds: until it is asked again, and the grace when it is away."""
        return self.refresh_seconds + self.grace_seconds

    def check(self) -> None:
        """Raises `InvalidInput` that names the key."""
        for key in ("issuer", "url"):
            _check_address(getattr(self, key), key)
        if urlsplit(self.url).path.strip("/"):
            raise wrong("url", "Scheme and host, without a path.")
        if not self.client_id:
            raise wrong("client_id", "The provider gave this client a name.")
        if "openid" not in self.scopes:
            raise wrong("scopes", "Without the scope openid the provider says nothing of who signed in.")
        if not self.algorithms or set(self.algorithms) - set(ASYMMETRIC):
            raise wrong("algorithms", f"Some of {', '.join(ASYMMETRIC)}.")
        if not self.amr and not self.acr:
            raise wrong("amr", "Name the values of amr, or of acr, that stand for a second factor.")
        if not LEAST_REFRESH <= self.refresh_seconds <= LONGEST:
            raise wrong("refresh_seconds", f"Between {LEAST_REFRESH} and {LONGEST}.")
        if not 0 <= self.grace_seconds <= LONGEST:
            raise wrong("grace_seconds", f"Between 0 and {LONGEST}.")


def load_provider(found: object) -> IdentityProvider | None:
    """The table's values; None where there is no table. Raises `InvalidInput` that names the key."""
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise InvalidInput("This is to be a table.", field=TABLE)
    kinds = {each.name: str(each.type) for each in fields(IdentityProvider)}
    for key in found.keys() - kinds.keys():
        raise wrong(key, "There is no such key.", hint=f"Known: {', '.join(sorted(kinds))}.")
    for key in ("issuer", "client_id", "url"):
        if key not in found:
            raise wrong(key, "This is missing.")
    provider = IdentityProvider(**{key: _value(key, kinds[key], value) for key, value in found.items()})
    provider.check()
    return provider


def _value(key: str, kind: str, value: object) -> Any:
    if kind.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
            return tuple(value)
        raise wrong(key, "This is to be a list of texts.")
    wanted = {"str": str, "int": int, "bool": bool}[kind]
    if type(value) is not wanted:
        raise wrong(key, f"This is to be a {kind}.")
    return value


def _check_address(address: str, key: str) -> None:
    found = urlsplit(address)
    here = found.hostname in ("localhost", "127.0.0.1", "::1")
    if found.scheme not in ("https", *(("http",) if here else ())) or not found.hostname:
        raise wrong(key, "An address that begins with https://.")
    if found.query or found.fragment or found.username:
        raise wrong(key, "An address without a question, a fragment or a user.")


def wrong(key: str, message: str, *, hint: str = "") -> InvalidInput:
    return InvalidInput(message, field=f"{TABLE}.{key}", hint=hint)
