"""Who is calling: a bearer token of `tre login`, or a token from a 0600 file on the internal socket.

Decides nothing about rights; that is the rules' business. A missing or wrong token is a refusal and audited as one.
"""

from __future__ import annotations

import hmac
from typing import Annotated

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
    token = bearer(request)
    try:
        if not token:
            raise Unauthenticated("Sign in first.")
        return actor_of_token(platform.db, token, writes=request.method not in SAFE_METHODS)
    except Unauthenticated as refusal:
        record_refusal(platform.db, ANYBODY, "api.call", f"path:{request.url.path[:200]}", refusal)
        raise


def internal_caller(request: Request, platform: PlatformHere) -> None:
    """The door's processes show the token of `secrets/internal.token`; the socket lies in a 0700 folder."""
    expected = platform.settings.secret_file("internal.token").read_text().strip()
    if not expected or not hmac.compare_digest(bearer(request).encode(), expected.encode()):
        refusal = Unauthenticated("The internal API needs its token.")
        record_refusal(platform.db, ANYBODY, "internal.call", f"path:{request.url.path[:200]}", refusal)
        raise refusal


CurrentActor = Annotated[Actor, Depends(current_actor)]
