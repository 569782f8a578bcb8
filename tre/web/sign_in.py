"""Signing in through JupyterHub and signing out again.

Decides which answers of the Hub belong to a sign-in that this browser began, and where a person lands afterwards. Every
sign-in makes a new session; what a browser brought along is never taken over.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from tre.api.auth import ANYBODY
from tre.api.platform import Platform, platform_of
from tre.audit.work import record_refusal
from tre.errors import Forbidden, NotFound, Refusal, Unauthenticated
from tre.people.service import get_person
from tre.people.signin import SignedIn as Person
from tre.people.signin import issue_token, revoke_token, signed_in
from tre.web.form import Submitted
from tre.web.headers import is_https
from tre.web.hub import LOGOUT_PATH, REDIRECT_PATH, Attempt, Hub, authorize_address, new_attempt
from tre.web.session import PREFIX, VIA, SignedIn, close_session, open_session

router = APIRouter()
ATTEMPT_COOKIE = "tre-sign-in"
ATTEMPT_SECONDS = 900
HOME = f"{PREFIX}/"
OWN_PATH = re.compile(r"/tre/[A-Za-z0-9._~%/-]*(\?[A-Za-z0-9._~%&=+-]*)?")


def safe_next(wanted: str) -> str:
    """The page to open afterwards: one of our own paths, or home. Never another host, never a path that a browser
    could read as one.
    """
    if len(wanted) > 500 or not OWN_PATH.fullmatch(wanted) or "//" in wanted or ".." in wanted:
        return HOME
    return HOME if wanted.startswith((f"{PREFIX}/sign-", REDIRECT_PATH)) else wanted


@router.get("/sign-in")
def sign_in(request: Request, next: str = "") -> Response:
    attempt = new_attempt(safe_next(next))
    response = RedirectResponse(authorize_address(attempt), 303)
    response.set_cookie(
        ATTEMPT_COOKIE,
        pack(attempt),
        max_age=ATTEMPT_SECONDS,
        path=REDIRECT_PATH,
        secure=is_https(request.url.scheme, request.headers),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/oauth_callback")
def callback(request: Request, code: str = "", state: str = "") -> Response:
    platform, hub = platform_of(request), hub_of(request)
    try:
        attempt = unpack(request.cookies.get(ATTEMPT_COOKIE, ""))
        if attempt is None or not code or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise Unauthenticated(
                "This sign-in was not begun in this browser, or took too long.", hint="Sign in again.", code="state"
            )
        at_hub = hub.session(code, attempt.verifier)
        who = replace(person_of(platform, at_hub.username), session_round=at_hub.round)
    except Refusal as refusal:
        record_refusal(platform.db, ANYBODY, "web.sign_in", "person:unknown", refusal)
        raise
    token, _ = issue_token(platform.db, who, scope="all", via=VIA)
    response = RedirectResponse(safe_next(attempt.next), 303)
    open_session(request, response, token)
    response.delete_cookie(ATTEMPT_COOKIE, path=REDIRECT_PATH, httponly=True, samesite="lax")
    return response


@router.post("/sign-out")
def sign_out(visit: SignedIn, form: Submitted) -> Response:
    """Ends this session here and the person's session at the Hub; running workspaces go on."""
    revoke_token(visit.platform.db, visit.actor, visit.token)
    response = RedirectResponse(LOGOUT_PATH, 303)
    close_session(visit.request, response)
    return response


def person_of(platform: Platform, username: str) -> Person:
    """Raises `Forbidden` for a name that we do not know, or whose account has ended."""
    try:
        with platform.db.read() as session:
            person = get_person(session, username)
    except NotFound:
        raise Forbidden("There is no account of this name.", hint="Ask an administrator.") from None
    if not person.active:
        raise Forbidden("This account has ended.", hint="Ask an administrator.", code="account_ended")
    return signed_in(person)


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def pack(attempt: Attempt) -> str:
    return base64.urlsafe_b64encode(json.dumps([attempt.state, attempt.verifier, attempt.next]).encode()).decode()


def unpack(cookie: str) -> Attempt | None:
    try:
        state, verifier, next_path = json.loads(base64.urlsafe_b64decode(cookie.encode("ascii")))
    except (ValueError, TypeError):
        return None
    parts = (state, verifier, next_path)
    return Attempt(*parts) if all(isinstance(part, str) for part in parts) and state and verifier else None
