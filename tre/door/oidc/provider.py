"""Talking to the identity provider: its own description, its keys, its token endpoint.

Decides that only the provider itself is believed about where its endpoints are, that keys are fetched again when a
token names an unknown one (not more often than a hostile token could make us), and which failure is the provider's
"no" (`Unauthenticated`) and which its absence (`Unavailable`). Leaves judging tokens to `tokens`.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp

from tre.door.oidc.tokens import Expected, key_of, refused, subject_of
from tre.errors import Unavailable
from tre.settings import IdentityProvider

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
LONGEST_ANSWER = 1024 * 1024
#: Seconds that description and keys are kept, and that an unknown key cannot make us ask again.
KEPT, PATIENCE = 3600, 30
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True)
class Granted:
    """What a sign-in or a renewal brought, already judged."""

    subject: str
    refresh_token: str = field(repr=False)


@dataclass
class Provider:
    """One for the life of the Hub's process. `secret` is the client's own."""

    settings: IdentityProvider
    secret: str = field(repr=False)
    _description: dict[str, Any] = field(default_factory=dict)
    _keys: dict[str, Any] = field(default_factory=dict)
    _described_at: float = -KEPT
    _keys_at: float = -KEPT

    async def description(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0. Raises `Unavailable`."""
        if time.monotonic() - self._described_at < KEPT:
            return self._description
        found = await self._get(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.settings.issuer:
            raise Unavailable("The identity provider describes itself under another name than the settings do.")
        for name in ENDPOINTS:
            self._check_endpoint(found.get(name))
        self._description, self._described_at = found, time.monotonic()
        return found

    @property
    def known(self) -> dict[str, Any]:
        """The description as it was last fetched; empty before that."""
        return self._description

    async def exchange(self, code: str, verifier: str, nonce: str) -> Granted:
        """The code of a browser's sign-in for its tokens. Raises `Unauthenticated` or `Unavailable`."""
        answer = await self._ask_token(
            grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=self.settings.callback
        )
        factor = {"amr": self.settings.amr, "acr": self.settings.acr}
        subject = await self._judge(answer, nonce=nonce, **factor)
        renewal = answer.get("refresh_token")
        if not isinstance(renewal, str) or not renewal:
            raise refused(
                "no_refresh_token", "The identity provider gives no way to ask again whether you still belong to it."
            )
        return Granted(subject, renewal)

    async def renew(self, refresh_token: str, subject: str) -> Granted:
        """Asks again. Raises `Unauthenticated` where the provider says no, or names somebody else; `Unavailable` where
        nothing was said.
        """
        answer = await self._ask_token(grant_type="refresh_token", refresh_token=refresh_token)
        # Section 12.2: an ID token may come along, and is then of the same person.
        if answer.get("id_token") is not None and await self._judge(answer, nonce=None) != subject:
            raise refused("token_subject", "The identity provider named somebody else.")
        renewal = answer.get("refresh_token")
        return Granted(subject, renewal if isinstance(renewal, str) and renewal else refresh_token)

    async def _judge(self, answer: dict[str, Any], *, nonce: str | None, **factor: tuple[str, ...]) -> str:
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or not isinstance(access, str):
            raise refused("token_missing", "The identity provider's answer holds no tokens.")
        allowed = self.settings.algorithms
        expected = Expected(self.settings.issuer, self.settings.client_id, allowed, nonce, **factor)
        found = key_of(token, await self._current_keys(), allowed) or key_of(token, await self._newer_keys(), allowed)
        if found is None:
            raise refused("token_signature", "The token is not signed by the identity provider.")
        return subject_of(token, *found, expected, access)

    async def _current_keys(self) -> dict[str, Any]:
        if time.monotonic() - self._keys_at >= KEPT:
            await self._fetch_keys()
        return self._keys

    async def _newer_keys(self) -> dict[str, Any]:
        if time.monotonic() - self._keys_at >= PATIENCE:
            await self._fetch_keys()
        return self._keys

    async def _fetch_keys(self) -> None:
        self._keys = await self._get(str((await self.description())["jwks_uri"]))
        self._keys_at = time.monotonic()

    async def _ask_token(self, **question: str) -> dict[str, Any]:
        described = await self.description()
        methods = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        headers = {"Accept": "application/json"}
        if "client_secret_basic" in methods:
            headers["Authorization"] = basic(self.settings.client_id, self.secret)
        else:
            question |= {"client_id": self.settings.client_id, "client_secret": self.secret}
        status, answer = await self._send("POST", str(described["token_endpoint"]), headers=headers, data=question)
        if status == 200:
            return answer
        if 400 <= status < 500 and answer.get("error") == "invalid_grant":
            raise refused("provider_refused", "The identity provider no longer confirms this sign-in.")
        raise Unavailable(f"The identity provider did not answer as it should (status {status}).")

    async def _get(self, url: str) -> dict[str, Any]:
        status, answer = await self._send("GET", url)
        if status != 200:
            raise Unavailable(f"The identity provider did not answer as it should (status {status}).")
        return answer

    async def _send(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """No redirect is followed: secrets and codes go where the description says, and nowhere else."""
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.request(method, url, allow_redirects=False, ssl=self._trusted(), **more) as response,
            ):
                text = await bounded(response.content)
                status = response.status
            answer = json.loads(text) if text and status < 500 else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"The identity provider does not answer ({type(error).__name__}).") from None
        except ValueError:
            raise Unavailable("The identity provider's answer cannot be read.") from None
        return status, answer if isinstance(answer, dict) else {}

    def _trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.settings.ca or None)

    def _check_endpoint(self, url: object) -> None:
        """As safe as the issuer: an https provider has no endpoint without it."""
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", urlsplit(self.settings.issuer).scheme):
            raise Unavailable("The identity provider names an endpoint that is not safe to ask.")


async def bounded(stream: aiohttp.StreamReader) -> bytes:
    """The whole of an answer that is not too long; raises ValueError."""
    text = b""
    async for part in stream.iter_chunked(1 << 16):
        text += part
        if len(text) > LONGEST_ANSWER:
            raise ValueError("too long")
    return text


def basic(client: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    pair = f"{quote_plus(client)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
