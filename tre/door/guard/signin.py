"""Signing a browser in with the Hub, for one workspace.

Decides who is behind a request: the Hub's OAuth (state, PKCE, code for token), a signed cookie bound to the workspace's
path, the Hub's word on the token cached for a short time, and the owner alone let in. Requests that carry the cookie
prove with a token derived from it that a page of this workspace sent them. Leaves the grants of access to the Hub.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError, create_signed_value, decode_signed_value

from tre.door.guard.headers import refusal_headers
from tre.door.guard.messages import Answer, Request, cookie_line, lines
from tre.door.guard.routes import Route
from tre.errors import Forbidden, Unauthenticated, Unavailable

CACHE_SECONDS = 20
MOST_CACHED = 64
COOKIE_DAYS = 0.5
SESSION_COOKIE = "jupyterhub-session-id"
XSRF_COOKIE = "_xsrf"


class SignIn:
    """The sign-in of one route. `session_id` is the Hub's: signing out there ends all its tokens."""

    def __init__(self, route: Route, *, hub_api_url: str, cookie_secret: bytes) -> None:
        self._route = route
        self._secret = cookie_secret
        server = f"{route.user}/{route.server_name}"
        self._oauth = HubOAuth(
            api_url=hub_api_url,
            api_token=route.hub_api_token,
            base_url=route.base_url,
            oauth_client_id=route.oauth_client_id,
            oauth_redirect_uri=f"{route.base_url}oauth_callback",
            oauth_authorization_url="/hub/api/oauth2/authorize",
            access_scopes={f"access:servers!server={server}"},
        )
        self._tokens: dict[str, tuple[float, tuple[str, str]]] = {}
        self._owners: dict[tuple[str, str], float] = {}
        self._proofs: dict[str, str] = {}

    def token(self, cookies: str) -> tuple[str, str]:
        """(token, session id) from a Cookie header; raises Unauthenticated."""
        found = self._tokens.get(cookies)
        if found and time.monotonic() - found[0] < CACHE_SECONDS:
            return found[1]
        found = (time.monotonic(), self._read_token(cookies))
        keep(self._tokens, cookies, found)
        return found[1]

    def _read_token(self, cookies: str) -> tuple[str, str]:
        session_id, token = "", None
        for name, value in cookie_pairs(cookies):
            if name == SESSION_COOKIE:
                session_id = value
            elif name == self._oauth.cookie_name and token is None:
                token = decode_signed_value(self._secret, name, value.strip('"'), max_age_days=COOKIE_DAYS)
        if not token:
            raise Unauthenticated("sign in first")
        return token.decode("ascii", "replace"), session_id

    def is_known(self, token: str, session_id: str) -> bool:
        """Whether the Hub said a short time ago that this is the owner: `check_owner` would not ask."""
        checked_at = self._owners.get((token, session_id))
        return checked_at is not None and time.monotonic() - checked_at < CACHE_SECONDS

    async def check_owner(self, token: str, session_id: str, *, fresh: bool = False) -> None:
        """Raises Unauthenticated where the Hub does not know the token, Forbidden for anyone but the owner.

        `fresh`: the Hub's word of now, not of up to `CACHE_SECONDS` ago. Only a good word is remembered.
        """
        if not fresh and self.is_known(token, session_id):
            return
        self._owners.pop((token, session_id), None)
        await self._ask_hub(token, session_id)
        keep(self._owners, (token, session_id), time.monotonic())

    async def _ask_hub(self, token: str, session_id: str) -> None:
        try:
            model = await self._oauth.user_for_token(token, use_cache=False, session_id=session_id, sync=False)
        except HTTPError as error:
            raise Unavailable("the sign-in service does not answer") from error
        if not model:
            raise Unauthenticated("your sign-in has ended")
        owner = model.get("kind") == "user" and model.get("name") == self._route.user
        if not owner or not self._oauth.check_scopes(self._oauth.access_scopes, model):
            raise Forbidden("this workspace belongs to someone else")

    def xsrf(self, token: str) -> str:
        """What only a page of this workspace, in this browser, can send back."""
        if found := self._proofs.get(token):
            return found
        digest = hmac.new(self._secret, f"xsrf:{self._route.base_url}:{token}".encode(), hashlib.sha256).digest()
        keep(self._proofs, token, base64.urlsafe_b64encode(digest).decode().rstrip("="))
        return self._proofs[token]

    def check_xsrf(self, token: str, given: str) -> None:
        """Raises Forbidden where the request was not sent by a page of this workspace."""
        if not hmac.compare_digest(given.encode(), self.xsrf(token).encode()):
            raise Forbidden("the header X-XSRFToken is missing or wrong", hint="Reload the page.")

    def begin(self, request: Request, next_url: str) -> Answer:
        """Send the browser to the Hub."""
        verifier, challenge, method = self._oauth.generate_pkce_code_challenge()
        name = f"{self._oauth.state_cookie_name}-{time.time_ns() % 10**8:08d}"
        state = self._oauth.generate_state(next_url, code_verifier=verifier, cookie_name=name)
        asked = {
            "client_id": self._oauth.oauth_client_id,
            "redirect_uri": self._oauth.oauth_redirect_uri,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": method,
        }
        kept = self._cookie(request, name, state, max_age=600)
        return redirect(f"{self._oauth.oauth_authorization_url}?{urlencode(asked)}", kept)

    async def finish(self, request: Request, query: Mapping[str, str]) -> Answer:
        """The Hub sent the browser back: state, code for token, cookies. Raises Unauthenticated or Forbidden."""
        state, code = query.get("state", ""), query.get("code", "")
        cookies = request.header(b"cookie")
        pending = self._oauth._decode_state(state)
        name = pending.get("cookie_name", "")
        kept = [value for key, value in cookie_pairs(cookies) if name and key == name]
        states = {decode_signed_value(self._secret, name, value.strip('"'), max_age_days=1) for value in kept}
        if not state or state.encode() not in states:
            raise Forbidden("this sign-in was not begun in this browser", hint="Open the workspace again.")
        self._oauth.clear_oauth_state(state)
        if not code:
            raise Forbidden("the Hub did not grant access", hint=query.get("error_description", "")[:200])
        try:
            token = await self._oauth.token_for_code(code, code_verifier=pending.get("code_verifier"), sync=False)
        except HTTPError as error:
            raise Unauthenticated("the sign-in could not be completed") from error
        session_id = next((v for k, v in cookie_pairs(cookies) if k == SESSION_COOKIE), "")
        await self.check_owner(token, session_id)
        return redirect(
            pending.get("next_url") or self._route.base_url,
            self._cookie(request, name, "", max_age=0),
            self._cookie(request, self._oauth.cookie_name, token),
            self.xsrf_cookie(request, token),
        )

    def xsrf_cookie(self, request: Request, token: str) -> bytes:
        """The line that gives it to Lab's script."""
        secure = scheme(request) == "https"
        return cookie_line(
            XSRF_COOKIE,
            self.xsrf(token),
            path=self._route.base_url,
            secure=secure,
            same_site="Strict",
            http_only=False,
        )

    def _cookie(self, request: Request, name: str, value: str, max_age: int | None = None) -> bytes:
        signed = create_signed_value(self._secret, name, value).decode() if value else ""
        return cookie_line(
            name,
            signed,
            path=self._route.base_url,
            secure=scheme(request) == "https",
            same_site="Lax",
            http_only=True,
            max_age=max_age,
        )


def keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    """Remember a value; the oldest goes where there are too many."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > MOST_CACHED:
        del cache[next(iter(cache))]


def cookie_pairs(header: str) -> Iterator[tuple[str, str]]:
    """Name and value of each cookie, the most specific path first as browsers send them."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        yield name, value


def scheme(request: Request) -> str:
    """https where the proxy in front says so; it strips the header from what people send."""
    return "https" if request.header(b"x-forwarded-proto") in {"https", "wss"} else "http"


def redirect(location: str, *cookies: bytes) -> Answer:
    return Answer(302, lines(refusal_headers() | {"Location": location}) + b"".join(cookies))
