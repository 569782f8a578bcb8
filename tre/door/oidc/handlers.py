"""The browser's way to the identity provider and back, and the page for whom nobody knows here.

Decides that an answer belongs to the browser that began (state), to this attempt (nonce), and to this provider (RFC
9207), that it comes within a quarter of an hour and is taken once. Nothing that the provider or a link wrote is shown.
"""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from oauthenticator.oauth2 import (
    STATE_COOKIE_NAME,
    OAuthCallbackHandler,
    OAuthLoginHandler,
    _deserialize_state,
    _serialize_state,
)

from tre.door.control_plane import internal_api, refused
from tre.door.oidc.tokens import refused as not_believed
from tre.errors import Refusal, TreError, Unavailable

CALLBACK_PATH, INVITATION_PATH = "/hub/oauth_callback", "/hub/invitation"
INVITATION_COOKIE = "tre-identity"
ATTEMPT_DAYS = 15 / 1440


class Unknown(Exception):
    """The provider named somebody whom nobody knows here."""

    def __init__(self, issuer: str, subject: str) -> None:
        super().__init__(issuer, subject)
        self.issuer, self.subject = issuer, subject


class BeginHandler(OAuthLoginHandler):  # type: ignore[misc]
    """`/hub/oauth_login`: to the provider, with state, nonce and challenge of this attempt alone."""

    async def get(self) -> None:
        try:
            await self.authenticator.prepare()
        except Unavailable as absent:
            self.log.warning("identity provider: %s", absent.message)
            raise refused(503, absent.message) from None
        settings = self.authenticator.settings
        verifier, challenge = self._generate_pkce_params()
        attempt = {
            "state_id": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "code_verifier": verifier,
            "next_url": self._get_next_url(),
        }
        self.set_state_cookie(_serialize_state(attempt))
        question = {
            "state": _serialize_state({"state_id": attempt["state_id"]}),
            "nonce": attempt["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"prompt": settings.prompt} if settings.prompt else {}),
            **({"acr_values": " ".join(settings.acr)} if settings.acr else {}),
        }
        self.authorize_redirect(
            redirect_uri=settings.callback,
            client_id=settings.client_id,
            scope=list(settings.scopes),
            extra_params=question,
            response_type="code",
        )

    def set_state_cookie(self, state_cookie_value: str) -> None:
        self._set_cookie(
            STATE_COOKIE_NAME, state_cookie_value, expires_days=ATTEMPT_DAYS, httponly=True, path=CALLBACK_PATH
        )


class CallbackHandler(OAuthCallbackHandler):  # type: ignore[misc]
    """`/hub/oauth_callback`"""

    async def get(self) -> None:
        try:
            self.check_arguments()
        except Refusal as refusal:
            await record(refusal)
            raise refused(403, f"{refusal.message} {refusal.hint}") from None
        try:
            user = await self.login_user()
        except Unknown as unknown:
            await ask_invitation(self, unknown)
            return
        if user is None:
            raise refused(403, "This account cannot be used here.")
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    _state_cookie: str | None = None

    def get_state_cookie(self) -> str:
        if self._state_cookie is None:
            found = self.get_secure_cookie(STATE_COOKIE_NAME, max_age_days=ATTEMPT_DAYS) or b""
            self._state_cookie = found.decode("utf8", "replace")
            self.clear_cookie(STATE_COOKIE_NAME, path=CALLBACK_PATH)
        return str(self._state_cookie)

    def check_arguments(self) -> None:
        """The state first: before it, nothing of an answer is ours to read. Raises `Unauthenticated`."""
        wanted = self._attempt().get("state_id")
        given = _deserialize_state(self.get_argument("state", "")).get("state_id")
        if not _same(given, wanted):
            raise not_believed("state", "This sign-in was not begun in this browser, or took too long.")
        if self.get_argument("error", ""):
            raise not_believed("provider_refused", "The identity provider did not sign you in.")
        if self.get_argument("iss", "") not in self.authenticator.names_itself():
            raise not_believed("issuer", "Another identity provider answered.")
        if not self.get_argument("code", ""):
            raise not_believed("code", "The identity provider's answer holds no code.")

    def attempt(self) -> tuple[str, str, str]:
        """Code, verifier and nonce, once the arguments are checked."""
        kept = self._attempt()
        return self.get_argument("code"), str(kept["code_verifier"]), str(kept["nonce"])

    def _attempt(self) -> dict[str, Any]:
        cookie = self.get_state_cookie()
        found = _deserialize_state(cookie) if cookie else {}
        return found if isinstance(found, dict) else {}


class InvitationHandler(BaseHandler):  # type: ignore[misc]
    """`POST /hub/invitation`: whoever just signed in at the provider shows an invitation, and signs in again."""

    async def post(self) -> None:
        cookie = self.get_secure_cookie(INVITATION_COOKIE, max_age_days=ATTEMPT_DAYS)
        if not cookie:
            raise refused(403, "That took too long. Sign in again.")
        unknown = Unknown(*json.loads(cookie))
        code = self.get_argument("code", "")
        try:
            if not 0 < len(code) <= 100:
                raise not_believed("invitation", "This is no invitation.")
            await internal_api().redeem(code=code, issuer=unknown.issuer, subject=unknown.subject)
        except TreError as error:
            await ask_invitation(self, unknown, f"{error.message} {error.hint}".strip())
            return
        self.clear_cookie(INVITATION_COOKIE, path=INVITATION_PATH)
        # By a link: a form of ours may not lead to another site, and browsers count its redirects as the form's.
        self.finish(await self.render_template("linked.html", provider_name=self.authenticator.settings.name))


async def ask_invitation(handler: Any, unknown: Unknown, problem: str = "") -> None:
    handler._set_cookie(
        INVITATION_COOKIE,
        json.dumps([unknown.issuer, unknown.subject]),
        expires_days=ATTEMPT_DAYS,
        path=INVITATION_PATH,
        samesite="Strict",
    )
    handler.set_status(403)
    page = handler.render_template(
        "invitation.html",
        subject=unknown.subject,
        provider_name=handler.authenticator.settings.name,
        problem=problem,
        xsrf=handler.xsrf_token.decode("ascii"),
    )
    handler.finish(await page)


async def record(refusal: Refusal) -> None:
    """Raises HTTPError 503 where it cannot be put on record: what is not on record did not happen."""
    try:
        await internal_api().sign_in_refused(code=refusal.error_code, message=refusal.message)
    except TreError as error:
        raise refused(503, "The platform's accounts do not answer. Try again in a minute.") from error


def _same(given: Any, wanted: Any) -> bool:
    both = isinstance(given, str) and isinstance(wanted, str) and bool(wanted)
    return both and hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
