"""The door's way to ask the control plane: JSON over `run/internal.sock` or a port, one token per kind of client.

Decides how an answer becomes a value or one of our own errors. Leaves every decision about people, projects and budgets
to the other side. No answer in time is `Unavailable`, never a default.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tre import errors
from tre.outputs.content.model import Stored

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
#: While bytes flow it may take as long as the submission itself; what is kept elsewhere is first written down whole.
BYTES_TIMEOUT = aiohttp.ClientTimeout(total=300, connect=5, sock_read=120)


class InternalApi:
    """One client for the life of a process. Make it inside the event loop; close it there."""

    def __init__(self, address: Path | str, token: str) -> None:
        connector, self._base = way_to(address)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )

    async def close(self) -> None:
        await self._session.close()

    async def sign_in(self, *, username: str, password: str, totp: str) -> dict[str, Any]:
        """{username, name, roles, session_round}; raises Unauthenticated or LimitExceeded with words for the person."""
        return whole(await self._ask("POST", "/internal/sign-in", username=username, password=password, totp=totp))

    async def sign_in_identity(self, *, issuer: str, subject: str) -> dict[str, Any]:
        """The same for whom the identity provider named; raises Forbidden for an identity of nobody."""
        return whole(await self._ask("POST", "/internal/identities/sign-in", issuer=issuer, subject=subject))

    async def redeem(self, *, code: str, issuer: str, subject: str) -> str:
        """Links an identity by an invitation; whose account it is. Raises its refusal."""
        answer = await self._ask("POST", "/internal/identities/redeem", code=code, issuer=issuer, subject=subject)
        return str(whole(answer)["username"])

    async def sign_in_refused(self, *, code: str, message: str) -> None:
        """For the record: a sign-in that was not believed here."""
        await self._ask("POST", "/internal/identities/refused", code=code, message=message)

    async def confirmation(self, username: str, **said: str) -> None:
        """What the provider said of somebody who is signed in: `issuer`, `subject`, `outcome` (confirmed, away, lost)
        and `reason`. Raises Forbidden where nothing rests on that (any more).
        """
        await self._ask("POST", f"/internal/people/{quote(username, safe='')}/confirmation", **said)

    async def person(self, username: str) -> dict[str, Any]:
        """{active, notice, session_round, roles, projects: [{slug, title, startable, reason}]}; raises NotFound."""
        return whole(await self._ask("GET", f"/internal/people/{quote(username, safe='')}"))

    async def open_workspace(self, *, username: str, project: str) -> dict[str, Any]:
        """The launch plan as JSON; raises the gate's refusal."""
        return whole(await self._ask("POST", "/internal/workspaces", username=username, project=project))

    async def event(self, workspace: str, event: str, reason: str = "", route: str | None = None) -> None:
        """`event`: running, stopped or failed. `route`: sealed by a guard, to be kept while it runs."""
        path = f"/internal/workspaces/{quote(workspace, safe='')}/events"
        await self._ask("POST", path, event=event, reason=reason, route=route)

    async def routes(self, known: list[str]) -> tuple[set[str], dict[str, str]]:
        """The live workspaces, and the sealed routes of those that are not known yet."""
        answer = whole(await self._ask("POST", "/internal/routes", known=known))
        live, sealed = answer.get("live"), answer.get("routes")
        if not isinstance(live, list) or not isinstance(sealed, dict):
            raise errors.Unavailable("the control plane's answer about routes is none")
        return {str(each) for each in live}, {str(key): str(text) for key, text in sealed.items()}

    async def traffic(self, workspace: str, *, out_bytes: int, in_bytes: int) -> tuple[bool, str]:
        """(suspended, reason) after the bytes were booked."""
        path = f"/internal/workspaces/{quote(workspace, safe='')}/traffic"
        answer = whole(await self._ask("POST", path, out_bytes=out_bytes, in_bytes=in_bytes))
        suspended, reason = answer.get("suspended"), answer.get("reason")
        if not isinstance(suspended, bool):
            raise errors.Unavailable("the control plane's answer about traffic lacks `suspended`")
        return suspended, str(reason or "")

    async def idle(self, workspace: str, reason: str) -> None:
        """Nobody uses the workspace: it ends, for this reason."""
        await self._ask("POST", f"/internal/workspaces/{quote(workspace, safe='')}/idle", reason=reason)

    async def intake_key(self) -> str:
        """PEM of the key that intake tokens are signed with."""
        return str(whole(await self._ask("GET", "/internal/intake-key"))["pem"])

    async def keep(self, workspace: str, file: Path, stored: Stored) -> None:
        """Hands one file's bytes on, before `submit` names them. Raises its refusal."""
        path = f"/internal/workspaces/{quote(workspace, safe='')}/requests/content/{stored.digest}"
        with open(file, "rb") as body:
            await self._send("PUT", path, data=body, timeout=BYTES_TIMEOUT)

    async def submit(self, workspace: str, request: dict[str, Any]) -> Any:
        """What the control plane says of the request it took in; raises its refusal."""
        return await self._ask("POST", f"/internal/workspaces/{quote(workspace, safe='')}/requests", **request)

    async def requests(self, workspace: str, request: str = "") -> Any:
        """All requests of the workspace's project that it may see, or one."""
        path = f"/internal/workspaces/{quote(workspace, safe='')}/requests"
        return await self._ask("GET", f"{path}/{quote(request, safe='')}" if request else path)

    async def _ask(self, method: str, path: str, **body: Any) -> Any:
        return await self._send(method, path, json=body if method == "POST" else None)

    async def _send(self, method: str, path: str, **more: Any) -> Any:
        try:
            async with self._session.request(method, f"{self._base}{path}", allow_redirects=False, **more) as response:
                answer = await response.json(content_type=None) if response.status != 204 else {}
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise errors.Unavailable(f"the control plane does not answer ({type(error).__name__})") from error
        if not 200 <= status < 300 or not isinstance(answer, dict | list):
            raise errors.error_of(status, answer)
        return answer


def way_to(address: Path | str, limit: int = 32) -> tuple[aiohttp.BaseConnector, str]:
    """How to connect to a neighbour's socket or URL, and what stands before every path. Inside the event loop."""
    if isinstance(address, Path):
        return aiohttp.UnixConnector(path=str(address), limit=limit), "http://neighbour"
    return aiohttp.TCPConnector(limit=limit), address


def whole(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise errors.Unavailable("the control plane's answer is no object")
    return answer


def read_secret(path: Path) -> str:
    """The text of a secret file; raises InvalidInput where others may read it, it is missing or empty."""
    try:
        found = os.stat(path)
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidInput(
            f"the secret file {path.name} cannot be read ({type(error).__name__})", field=str(path)
        ) from error
    if not text or stat.S_IMODE(found.st_mode) & 0o077:
        raise errors.InvalidInput(
            f"the secret file {path.name} is empty or readable by others", field=str(path), hint=f"chmod 600 {path}"
        )
    return text
