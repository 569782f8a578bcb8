"""A person's session in the browser: one cookie with a random token, and what is derived from it.

The token is an ordinary token of `tre.people.signin` (only its SHA-256 is stored) made for the web; roles are read with
it at every request. The form token and the keys of pictures are HMACs of it, so that they end with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from tre.api.platform import Platform, platform_of
from tre.audit import Actor
from tre.errors import Forbidden, TreError, Unauthenticated
from tre.people.model import Role
from tre.people.signin import TOKEN_LIFE, actor_of_token
from tre.web.headers import SAFE_METHODS, check_origin, check_picture_origin, is_https

PREFIX = "/tre"
COOKIE = "tre-session"
VIA = "web"
DEEPEST = 6


@dataclass(frozen=True)
class Visit:
    """One request of one signed-in person."""

    platform: Platform
    request: Request
    actor: Actor
    token: str = field(repr=False)

    @property
    def csrf(self) -> str:
        return derived(self.token, "form")

    def picture_key(self, path: str) -> str:
        """Makes the address of a picture unguessable for a script that can only ask, as one in a workspace can."""
        return derived(self.token, f"picture {path}")

    def has(self, *roles: Role) -> bool:
        """For drawing only; what is allowed is asked of the rules."""
        return any(role in self.actor.roles for role in roles)

    @property
    def now(self) -> datetime:
        return self.platform.db.clock()


def derived(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"tre-web {purpose}".encode(), hashlib.sha256).hexdigest()


def session_token(cookie_headers: Iterable[str]) -> str:
    """The token of the one session cookie; empty without one.

    Raises `Unauthenticated` when there are several: somebody who may set cookies for this host tries to plant one.
    """
    pairs = (part.strip().partition("=") for header in cookie_headers for part in header.split(";"))
    found = [value for name, _, value in pairs if name == COOKIE]
    if len(found) > 1:
        raise Unauthenticated(
            "More than one session arrived: something on this site planted one. All are closed in this browser.",
            hint="Sign in again. If it comes back, remove this site's cookies and tell an administrator.",
            code="two_sessions",
        )
    return found[0] if found else ""


def visit_of(request: Request) -> Visit:
    """Raises `Unauthenticated` without a living session. Only tokens made for the web open pages."""
    platform = platform_of(request)
    token = session_token(request.headers.getlist("cookie"))
    if not token:
        raise Unauthenticated("Sign in first.", hint="Use the sign-in page.")
    actor = actor_of_token(platform.db, token, writes=request.method not in SAFE_METHODS)
    if actor.via != VIA:
        raise Unauthenticated("This token is not for the web pages.", hint="Use the sign-in page.")
    request.state.actor = actor
    return Visit(platform, request, actor, token)


def signed_in(request: Request) -> Visit:
    """The dependency of every page that needs a person."""
    try:
        check_origin(request.method, request.headers)
    except Forbidden:
        # For the record: whose browser it was.
        with contextlib.suppress(TreError):
            visit_of(request)
        raise
    request.state.visit = visit_of(request)
    visit: Visit = request.state.visit
    return visit


def picture_asked(request: Request) -> Visit:
    """For pictures that one of our pages shows: asked by the page's own element, in the same site."""
    check_picture_origin(request.headers)
    return visit_of(request)


def perhaps_signed_in(request: Request) -> Visit | None:
    """For pages that anybody may read."""
    try:
        return signed_in(request)
    except Unauthenticated:
        return None


SignedIn = Annotated[Visit, Depends(signed_in)]
Anybody = Annotated[Visit | None, Depends(perhaps_signed_in)]


def open_session(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(TOKEN_LIFE.total_seconds()),
        path=PREFIX,
        secure=is_https(request.url.scheme, request.headers),
        httponly=True,
        samesite="lax",
    )


def close_session(request: Request, response: Response) -> None:
    """Removes the session cookie at our path and wherever below it a planted one could stand for this address."""
    secure = is_https(request.url.scheme, request.headers)
    for path in paths_of(request.url.path):
        response.delete_cookie(COOKIE, path=path, secure=secure, httponly=True, samesite="lax")


def paths_of(path: str) -> list[str]:
    """Every cookie path (RFC 6265 section 5.1.4) under which a cookie is sent to this address, ours first."""
    parts = path.removeprefix(PREFIX).strip("/").split("/")[:DEEPEST]
    found = [PREFIX, f"{PREFIX}/"]
    for count in range(1, len(parts) + 1):
        if all(re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in parts[:count]):
            below = "/".join((PREFIX, *parts[:count]))
            found += [below, f"{below}/"]
    return found
