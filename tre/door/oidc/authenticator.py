"""Signing in at the Hub through an identity provider, beside the accounts of the platform.

Decides what is kept of a sign-in: who the provider named, and the refresh token with which it is asked again; encrypted
in the Hub's own database, nothing else, and nothing of it in a workspace. Leaves the provider's word to `tokens`, who
that is here and with which roles to the control plane, asking again to `watch`.
"""

from __future__ import annotations

import time
from typing import Any

from jupyterhub.utils import url_path_join
from oauthenticator.generic import GenericOAuthenticator

from tre.door.authenticator import PeopleAuthenticator
from tre.door.control_plane import internal_api, refused
from tre.door.internal_api import read_secret
from tre.door.oidc.handlers import BeginHandler, CallbackHandler, InvitationHandler, Unknown, record
from tre.door.oidc.provider import Granted, Provider
from tre.door.oidc.watch import Watch, confidential
from tre.door.places import Places
from tre.errors import Refusal, TreError, Unavailable
from tre.settings import Settings
from tre.settings.identity import SECRET_FILE


class IdentityAuthenticator(PeopleAuthenticator, GenericOAuthenticator):  # type: ignore[misc]
    """`oauthenticator`'s flow (state, PKCE) with our own judgement of what comes back."""

    login_handler = BeginHandler
    callback_handler = CallbackHandler

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        places = Places(Settings.load())
        settings = places.settings.identity_provider
        if settings is None:
            raise TreError("There is no identity provider in the settings.")
        self.settings = settings
        self.provider = Provider(settings, read_secret(places.secret(SECRET_FILE)))
        self.client_id, self.scope = settings.client_id, list(settings.scopes)
        self.oauth_callback_url, self.enable_pkce = settings.callback, True
        self._watch: Watch | None = None

    async def prepare(self) -> dict[str, Any]:
        """The provider's description; from it, where browsers go. Raises `Unavailable`."""
        described = await self.provider.description()
        self.authorize_url = str(described["authorization_endpoint"])
        return described

    def names_itself(self) -> tuple[str, ...]:
        """What a browser may bring back as `iss`: without one, only where the provider never sends it (RFC 9207)."""
        always = self.provider.known.get("authorization_response_iss_parameter_supported") is True
        return (self.settings.issuer,) if always else (self.settings.issuer, "")

    async def authenticate(self, handler: Any, data: dict[str, str] | None = None, **_: Any) -> dict[str, Any]:
        if data is not None:
            return await PeopleAuthenticator.authenticate(self, handler, data)
        code, verifier, nonce = handler.attempt()
        granted = await self._exchange(code, verifier, nonce)
        issuer = self.settings.issuer
        try:
            found = await internal_api().sign_in_identity(issuer=issuer, subject=granted.subject)
        except TreError as error:
            if error.error_code == "identity_unknown":
                raise Unknown(issuer, granted.subject) from None
            raise refused(error.http_status, f"{error.message} {error.hint}".strip()) from error
        model = await self.admit(handler, found)
        return {**model, "auth_state": confidential(issuer, granted, time.time())}

    async def _exchange(self, code: str, verifier: str, nonce: str) -> Granted:
        """Every refusal is put on record before the person reads it."""
        try:
            return await self.provider.exchange(code, verifier, nonce)
        except Refusal as refusal:
            await record(refusal)
            raise refused(403, f"{refusal.message} {refusal.hint}".strip()) from None
        except Unavailable as absent:
            self.log.warning("identity provider: %s", absent.message)
            raise refused(503, absent.message) from None

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        # The Hub's event loop runs already, and its people are known by now.
        self._watch = Watch(app, self.provider, internal_api)
        self._watch.begin()
        mine = [
            ("/oauth_login", BeginHandler),
            ("/oauth_callback", CallbackHandler),
            ("/invitation", InvitationHandler),
        ]
        return [*mine, *PeopleAuthenticator.get_handlers(self, app)]

    def login_url(self, base_url: str) -> str:
        """The page with both ways, not the provider itself: no link signs anybody in unasked."""
        return str(url_path_join(base_url, "login"))
