"""Signing in at the Hub.

Decides nothing about passwords: name, password and one-time code go to the internal API, which also counts attempts;
its words are shown on the form. While someone is signed in, their account is asked for again and again: who is not
active any more is signed out everywhere, in the guard too, and so is who was signed in before everything of theirs was
ended. Leaves what a person may start to the projects page.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from tornado import web

from tre.door.internal_api import InternalApi, read_secret
from tre.door.pages import page_handlers
from tre.door.places import Places
from tre.door.rounds import enter
from tre.errors import NotFound, TreError
from tre.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
LONGEST_FIELD = 1024


def internal_api() -> InternalApi:
    """The Hub process's one client of the internal API."""
    global _api
    if _api is None:
        places = Places(Settings.load())
        _api = InternalApi(places.internal, read_secret(places.secret("internal-hub.token")))
    return _api


_api: InternalApi | None = None


class SignInHandler(LoginHandler):  # type: ignore[misc]
    """The Hub's own handler with a one-time code and our words for a refusal."""

    def _render(self, login_error: str | None = None, username: str | None = None, **kwargs: Any) -> Any:
        """With the identity provider's button, where there is one."""
        provider = getattr(self.authenticator, "settings", None)
        where = urlencode({"next": self.get_argument("next", default="")})
        shown = {"provider_name": provider.name, "provider_next": where} if provider else {}
        return super()._render(login_error=login_error, username=(username or "")[:64], **shown, **kwargs)


class AuthorizeHandler(OAuthAuthorizeHandler):  # type: ignore[misc]
    """Before a session begets another one, it is asked for now: none slips out of a round that has just ended."""

    async def refresh_auth(self, user: Any, force: bool = False) -> Any:
        return await super().refresh_auth(user, force=True)


class PeopleAuthenticator(Authenticator):  # type: ignore[misc]
    """Accounts of the platform."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any]:
        """The Hub's user; raises HTTPError with the internal API's words, which the form then shows."""
        fields = {name: data.get(name, "") for name in ("username", "password", "totp")}
        if any(len(value) > LONGEST_FIELD for value in fields.values()):
            raise refused(403, "The name, the password or the code is too long.")
        fields["totp"] = fields["totp"].replace(" ", "")
        try:
            found = await internal_api().sign_in(**fields)
        except TreError as error:
            raise refused(error.http_status, f"{error.message} {error.hint}".strip()) from error
        return await self.admit(handler, str(found["username"]))

    async def admit(self, handler: Any, name: str) -> dict[str, Any]:
        """Whom the control plane knows, as the Hub's user, in the round of now."""
        if not NAME.fullmatch(name):
            raise refused(403, "This account's name cannot be used here.")
        if user := handler.find_user(name):
            enter(user.orm_user, await self._round(name))
        return {"name": name, "admin": False}

    async def add_user(self, user: Any) -> None:
        super().add_user(user)
        enter(user.orm_user, await self._round(user.name))

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool:
        """Whether the account is still active and nothing ended its sessions; raises HTTPError 503 where that cannot be
        said.
        """
        try:
            found = await self._person(user.name)
        except NotFound:
            return False
        return found.get("active") is True and enter(user.orm_user, int(found["session_round"]))

    async def _round(self, name: str) -> int:
        return int((await self._person(name))["session_round"])

    async def _person(self, name: str) -> dict[str, Any]:
        try:
            return await internal_api().person(name)
        except NotFound:
            raise
        except TreError as error:
            raise refused(503, "The platform's accounts do not answer. Try again in a minute.") from error

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        return [(r"/login", SignInHandler), (r"/api/oauth2/authorize", AuthorizeHandler), *page_handlers()]

    def normalize_username(self, username: str) -> str:
        return username


def refused(status: int, message: str) -> web.HTTPError:
    """An error whose words reach the person: JupyterHub shows `jupyterhub_message`."""
    error = web.HTTPError(status if status in {401, 403, 413, 422, 429, 503} else 403)
    error.jupyterhub_message = message  # type: ignore[attr-defined]
    return error
