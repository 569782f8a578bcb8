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
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.user import User
from sqlalchemy.exc import SQLAlchemyError
from tornado import web

from tre.door.control_plane import internal_api, refused
from tre.door.pages import page_handlers
from tre.door.rounds import enter, round_of
from tre.errors import NotFound, TreError

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
LONGEST_FIELD = 1024
# The Hub asks this of every handler when an account does not hold any more, and sets it only where a token came.
BaseHandler._token_authenticated = False
_prepare = BaseHandler.prepare


async def prepare(handler: BaseHandler) -> None:
    """The Hub takes whoever it could not look up for nobody: guards and pages would end what is signed in as them. Here
    it says that it cannot tell; raises HTTPError 503.
    """
    try:
        await handler.get_current_user()
    except SQLAlchemyError as error:
        handler.db.rollback()
        handler._resolve_roles_and_scopes()
        raise refused(503, "The Hub's database does not answer. Try again in a minute.") from error
    except Exception:
        # Of nobody: the error's page asks for them.
        handler._resolve_roles_and_scopes()
        raise
    await _prepare(handler)


BaseHandler.prepare = prepare


class SignInHandler(LoginHandler):  # type: ignore[misc]
    """The Hub's own handler with a one-time code and our words for a refusal."""

    def _render(self, login_error: str | None = None, username: str | None = None, **kwargs: Any) -> Any:
        """With the identity provider's button, where there is one."""
        provider = getattr(self.authenticator, "settings", None)
        where = urlencode({"next": self.get_argument("next", default="")})
        shown = {"provider_name": provider.name, "provider_next": where} if provider else {}
        return super()._render(login_error=login_error, username=(username or "")[:64], **shown, **kwargs)


class AskedNow(BaseHandler):  # type: ignore[misc]
    """Before a session begets another one, it is asked for now: none slips out of a round that has just ended."""

    async def refresh_auth(self, user: Any, force: bool = False) -> Any:
        return await super().refresh_auth(user, force=True)


class AuthorizeHandler(AskedNow, OAuthAuthorizeHandler):  # type: ignore[misc]
    """Where a browser gets its code for the pages, or for a workspace."""


class SessionHandler(AskedNow, APIHandler):  # type: ignore[misc]
    """`GET /hub/api/session`: whom a browser's token stands for, and in which round. The pages make a session of their
    own of it, and only in that round.
    """

    async def get(self) -> None:
        user = self.current_user
        if not isinstance(user, User):
            raise web.HTTPError(403)
        self.write({"kind": "user", "name": user.name, "session_round": round_of(user.orm_user)})


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
        return await self.admit(handler, found)

    async def admit(self, handler: Any, found: dict[str, Any]) -> dict[str, Any]:
        """Whom the control plane let in, as the Hub's user, in the round in which it did."""
        name, judged = str(found["username"]), int(found["session_round"])
        if not NAME.fullmatch(name):
            raise refused(403, "This account's name cannot be used here.")
        if judged != int((await self._person(name))["session_round"]):
            raise refused(401, "Everything signed in as this person was ended meanwhile. Sign in again.")
        enter(handler.user_from_username(name).orm_user, judged)
        return {"name": name, "admin": False}

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool:
        """Whether the account is still active and nothing ended its sessions; raises HTTPError 503 where that cannot be
        said.
        """
        try:
            found = await self._person(user.name)
        except NotFound:
            return False
        return found.get("active") is True and enter(user.orm_user, int(found["session_round"]))

    async def _person(self, name: str) -> dict[str, Any]:
        try:
            return await internal_api().person(name)
        except NotFound:
            raise
        except TreError as error:
            raise refused(503, "The platform's accounts do not answer. Try again in a minute.") from error

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        return [
            (r"/login", SignInHandler),
            (r"/api/oauth2/authorize", AuthorizeHandler),
            (r"/api/session", SessionHandler),
            *page_handlers(),
        ]

    def normalize_username(self, username: str) -> str:
        return username
