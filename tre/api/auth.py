"""Who is calling: a bearer token of `tre login`, or a token from a 0600 file on the internal socket.

Decides nothing about rights; that is the rules' business. A missing or wrong token is a refusal and audited as one.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Request

from tre.api.platform import Platform, platform_of
from tre.audit import Actor
from tre.audit.work import record_refusal
from tre.errors import Unauthenticated
from tre.people.signin import actor_of_token

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANYBODY = Actor("unknown", via="http")

PlatformHere = Annotated[Platform, Depends(platform_of)]


def bearer(request: Request) -> str:
    """The token of the Authorization header, or the empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def current_actor(request: Request, platform: PlatformHere) -> Actor:
    return _actor(request, platform, writes=request.method not in SAFE_METHODS)


def leaving_actor(request: Request, platform: PlatformHere) -> Actor:
    """Whoever signs out: a token that may only read can end itself too."""
    return _actor(request, platform, writes=False)


def _actor(request: Request, platform: Platform, *, writes: bool) -> Actor:
    """The actor, kept in the request's state for the record of refusals."""
    token = bearer(request)
    if not token:
        raise Unauthenticated("Sign in first.")
    request.state.actor = actor_of_token(platform.db, token, writes=writes)
    actor: Actor = request.state.actor
    return actor


class Client(StrEnum):
    """Who may call the internal API; each has its own token in a 0600 file and its own routes."""

    hub = "hub"
    guard = "guard"
    intake = "intake"
    machine = "machine"


def only(*clients: Client) -> Any:
    """A dependency that admits the named clients by their tokens; the socket itself lies in a 0700 folder."""

    def check(request: Request, platform: PlatformHere) -> None:
        shown = bearer(request).encode()
        expected = [platform.settings.secret_file(f"internal-{client}.token") for client in clients]
        tokens = [path.read_text().strip().encode() for path in expected if path.exists()]
        if not any(hmac.compare_digest(shown, token) for token in tokens if token):
            refusal = Unauthenticated("The internal API needs the token of a client that may call this.")
            record_refusal(platform.db, ANYBODY, "internal.call", f"path:{request.url.path[:200]}", refusal)
            raise refusal

    return Depends(check)


LeavingActor = Annotated[Actor, Depends(leaving_actor)]
CurrentActor = Annotated[Actor, Depends(current_actor)]
