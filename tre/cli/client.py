"""The command line's side of the JSON API: where the platform is, the token of `tre login`, and errors made ours again.

The token lies in a 0600 file of the user's configuration folder; a file that others may read is refused.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tre.errors import InvalidInput, Unauthenticated, Unavailable, error_of

API = "/tre/api/v1"


@dataclass(frozen=True)
class SavedToken:
    url: str
    token: str
    username: str


def token_file() -> Path:
    """`TRE_TOKEN_FILE`, or `tre/token.json` in the user's configuration folder."""
    if chosen := os.environ.get("TRE_TOKEN_FILE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tre" / "token.json"


def save_token(saved: SavedToken) -> None:
    path = token_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(saved.__dict__, file)
    temporary.replace(path)


def check_url(url: str) -> str:
    """Passwords and tokens go to another machine by https only. Raises `InvalidInput`."""
    found = urlsplit(url)
    here = found.hostname in ("localhost", "127.0.0.1", "::1")
    if not found.hostname or found.scheme not in ("https", *(("http",) if here else ())):
        raise InvalidInput("The platform's address begins with https://.", field="url")
    return url.rstrip("/")


def load_token() -> SavedToken:
    """Raises `Unauthenticated` when there is none or others may read it."""
    path = token_file()
    try:
        with path.open() as file:
            found = os.fstat(file.fileno())
            if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
                raise Unauthenticated(
                    f"{path} can be read by others.", hint="Delete it and sign in again: `tre login`."
                )
            return SavedToken(**json.loads(file.read()))
    except (OSError, ValueError, TypeError) as error:
        raise Unauthenticated("You are not signed in.", hint="Sign in: `tre login`.") from error


def part(name: str) -> str:
    """A name as one part of a path, whatever it holds."""
    return quote(name, safe="")


def call(method: str, path: str, *, saved: SavedToken | None = None, url: str = "", **arguments: Any) -> Any:
    """One call of the API; returns the JSON answer. Raises the error that the other side raised."""
    response = _send(method, path, saved, url, arguments)
    body = _json(response)
    if response.is_success:
        return body
    raise error_of(response.status_code, body)


def call_bytes(method: str, path: str, **arguments: Any) -> bytes:
    """The same for answers that are files."""
    response = _send(method, path, None, "", arguments)
    if response.is_success:
        return bytes(response.content)
    raise error_of(response.status_code, _json(response))


def _send(method: str, path: str, saved: SavedToken | None, url: str, arguments: dict[str, Any]) -> Any:
    import httpx

    if not url:
        saved = saved or load_token()
    base = url or (saved.url if saved else "")
    headers = {"Authorization": f"Bearer {saved.token}"} if saved else {}
    try:
        return httpx.request(method, base + API + path, headers=headers, timeout=120, trust_env=False, **arguments)
    except httpx.HTTPError as error:
        raise Unavailable(
            f"The platform at {base} does not answer.", hint="Is it up? `tre up`, `tre status`."
        ) from error


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return {}
