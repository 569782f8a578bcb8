"""JupyterHub as the one place where people sign in: the OAuth 2.0 authorization code flow with PKCE (RFC 6749, 7636).

Decides what is sent to the Hub and what is believed of its answer: a user name, and the round of the person's sessions
to which the one at the Hub belongs (`tre.door.rounds`). Roles and whether the account is active are asked of our own
database.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from tre.credentials.files import read_secret
from tre.errors import Unauthenticated, Unavailable

CLIENT_ID = "service-tre"
REDIRECT_PATH = "/tre/oauth_callback"
AUTHORIZE_PATH = "/hub/api/oauth2/authorize"
LOGOUT_PATH = "/hub/logout"
TIMEOUT = httpx.Timeout(15, connect=5)


@dataclass(frozen=True)
class Attempt:
    """One sign-in that a browser began: kept in its own short-lived cookie until the Hub sends it back."""

    state: str
    verifier: str = field(repr=False)
    next: str = ""


@dataclass(frozen=True)
class HubSession:
    """Who is signed in at the Hub, and in which round."""

    username: str
    round: int


@dataclass(frozen=True)
class Hub:
    """Where the Hub's own API answers (`http://127.0.0.1:8001/hub/api`) and the file with our client secret."""

    api_url: str
    secret_file: Path

    def session(self, code: str, verifier: str) -> HubSession:
        """Who the code stands for. Raises `Unauthenticated` for a code that the Hub does not take."""
        try:
            with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
                answer = client.post(f"{self.api_url}/oauth2/token", data=self._token_request(code, verifier))
                token = field_of(answer, "access_token")
                if not token:
                    raise refused("JupyterHub did not confirm this sign-in.")
                return _session(client.get(f"{self.api_url}/session", headers={"Authorization": f"Bearer {token}"}))
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"JupyterHub does not answer ({type(error).__name__}).") from None

    def _token_request(self, code: str, verifier: str) -> dict[str, str]:
        return {
            "client_id": CLIENT_ID,
            "client_secret": read_secret(self.secret_file).strip(),
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": REDIRECT_PATH,
        }


def refused(message: str) -> Unauthenticated:
    """With a code of its own: it is shown, and does not lead to signing in by itself, which could go round for ever."""
    return Unauthenticated(message, hint="Sign in again.", code="hub_refused")


def _session(answer: httpx.Response) -> HubSession:
    if answer.status_code == 403:
        raise refused("The session at JupyterHub has ended meanwhile.")
    name, round = field_of(answer, "name"), body_of(answer).get("session_round")
    if not name or field_of(answer, "kind") != "user" or type(round) is not int:
        raise refused("JupyterHub did not say who this is.")
    return HubSession(name, round)


def field_of(answer: httpx.Response, name: str) -> str:
    """A text of a good answer; empty for anything else. Raises ValueError for what is no JSON."""
    value = body_of(answer).get(name)
    return value if isinstance(value, str) else ""


def body_of(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json() if answer.status_code == 200 else None
    return body if isinstance(body, dict) else {}


def new_attempt(next_path: str) -> Attempt:
    """Fresh random values (RFC 7636 section 4.1: 43 to 128 characters)."""
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_path)


def authorize_address(attempt: Attempt) -> str:
    """Where the browser goes to sign in; relative, so that it stays on the host that the person chose."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
    question = {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_PATH,
        "response_type": "code",
        "state": attempt.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{AUTHORIZE_PATH}?{urlencode(question)}"
