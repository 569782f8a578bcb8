"""The guard's front: one function through which every request of every workspace goes.

Decides the order: spelling, workspace, allowlist, sign-in, proof of origin, then who answers. Whatever is refused is
answered here, with the guard's headers. Leaves each question to its own module.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import jupyterhub

from tre.door.guard import paths
from tre.door.guard.body import BodyLost
from tre.door.guard.channels import open_channels, open_silence
from tre.door.guard.fetch import fetch
from tre.door.guard.files import file_answer
from tre.door.guard.forward import API_HEADERS, body_length, forward, read_body
from tre.door.guard.headers import is_host, page_headers, refusal_headers
from tre.door.guard.lab import LabFiles, page_config
from tre.door.guard.lab_settings import MAX_FILE_BYTES, LabSettings
from tre.door.guard.messages import Answer, Request, lines
from tre.door.guard.paths import Admitted, Kind, MethodRefused, PathRefused
from tre.door.guard.signin import redirect, scheme
from tre.door.guard.table import Workspaces
from tre.door.guard.traffic import WorkspaceClosed
from tre.door.guard.workspace import Workspace
from tre.errors import Forbidden, InvalidInput, TreError, Unauthenticated, Unavailable

log = logging.getLogger("tre.guard")
PAGES = frozenset({Kind.START, Kind.PAGE})
OPEN = frozenset({Kind.READY, Kind.CALLBACK})
READ_ONLY_FILES = frozenset({Kind.STATIC}) | PAGES


class Guard:
    def __init__(self, workspaces: Workspaces, settings_folder: Path) -> None:
        self._workspaces = workspaces
        self._lab = LabFiles()
        self._settings = LabSettings(self._lab.root, settings_folder)
        self._pages = 0

    async def handle(self, request: Request) -> Answer | None:
        """Answer one request; the only errors that leave are of connections that are gone."""
        admitted = None
        try:
            workspace, admitted = self._admit(request)
            return await self._answer(request, workspace, admitted)
        except PathRefused as refused:
            log.info("refused path %.200r: %s", request.target, refused)
            return refusal(request, 404, "There is nothing at this address.")
        except MethodRefused:
            return refusal(request, 405, "This address does not take that method.")
        except WorkspaceClosed as closed:
            return refusal(request, 403, str(closed))
        except TreError as error:
            log.info("refused %s %.200r: %s", request.method, request.target, error.message)
            return refusal(request, error.http_status, " ".join(filter(None, (error.message, error.hint))))
        except BodyLost:
            return refusal(request, 400, "The request was not sent to its end.")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("failed on %s for %s", request.method, admitted.kind if admitted else "no rule")
            return refusal(request, 500, "The guard failed on this request.")

    def at_once(self, request: Request) -> bool:
        """Send a plain GET on to its workspace, where every question can be answered now and every answer is yes.
        Everything else is for `handle`, which asks the same questions and finds the words for a no.
        """
        try:
            workspace, admitted = self._admit(request)
            if admitted.kind is not Kind.UPSTREAM or request.method != "GET":
                return False
            token, session_id = workspace.signin.token(request.header(b"cookie"))
            if not workspace.signin.is_known(token, session_id):
                return False
            check_sender(request, workspace, admitted, token)
        except Exception:  # also what nobody thought of: it happens again in `handle`, and is told there
            return False
        return fetch(request, admitted, workspace)

    def _admit(self, request: Request) -> tuple[Workspace, Admitted]:
        raw_path, raw_query = paths.split_target(request.target)
        base_url, rest = paths.place(raw_path)
        if not is_host(request.header(b"host")):
            raise InvalidInput("no plain host name", field="Host")
        workspace = self._workspaces.find(base_url)
        if workspace is None and not self._workspaces.complete:
            raise Unavailable(
                "The guard has just begun, and was not told yet which workspaces run.", hint="Try again in a minute."
            )
        if workspace is None:
            raise PathRefused("no such workspace")
        return workspace, paths.admit(request.method, rest, raw_query)

    async def _answer(self, request: Request, workspace: Workspace, admitted: Admitted) -> Answer | None:
        if admitted.kind is Kind.READY:
            return ready()
        if admitted.kind is Kind.CALLBACK:
            return await workspace.signin.finish(request, dict(admitted.query))
        try:
            token, session_id = workspace.signin.token(request.header(b"cookie"))
            await workspace.signin.check_owner(token, session_id)
        except Unauthenticated:
            if admitted.kind in PAGES and request.method == "GET":
                return workspace.signin.begin(request, workspace.route.base_url + quote(admitted.path))
            raise Forbidden("sign in first: open the workspace's page") from None
        check_sender(request, workspace, admitted, token)
        if admitted.kind is Kind.CHANNELS:
            await open_channels(request, admitted, workspace, token, session_id)
            return None
        if admitted.kind is Kind.SILENCE:
            await open_silence(request, workspace, token, session_id)
            return None
        if admitted.kind is Kind.UPSTREAM:
            if request.method != "GET":
                workspace.touch()
            return await forward(request, admitted, workspace)
        return await self._own(request, workspace, admitted, token)

    async def _own(self, request: Request, workspace: Workspace, admitted: Admitted, token: str) -> Answer | None:
        """What the guard answers itself."""
        route = workspace.route
        if admitted.kind is Kind.START:
            return redirect(f"{route.base_url}lab")
        if admitted.kind is Kind.PAGE:
            return self._page(request, workspace, admitted, token)
        if admitted.kind is Kind.STATIC:
            return await self._static(request, workspace, admitted)
        if admitted.kind is Kind.ME:
            return data(me(route.user))
        if admitted.kind is Kind.NONE:
            return data({})
        length = body_length(request, MAX_FILE_BYTES)
        body = await read_body(request, length) if length else b""
        status, answer = await asyncio.to_thread(
            self._settings.answer, route, request.method, admitted.path, dict(admitted.query), body
        )
        return Answer(status, API_HEADERS, answer)

    def _page(self, request: Request, workspace: Workspace, admitted: Admitted, token: str) -> Answer | None:
        route = workspace.route
        workspace.touch()
        self._pages += 1
        config = page_config(
            base_url=route.base_url,
            user=route.user,
            server_name=route.server_name,
            path=admitted.path,
            store_id=self._pages,
        )
        headers = page_headers(scheme=scheme(request), host=request.header(b"host"), base_url=route.base_url)
        head = lines(headers) + workspace.signin.xsrf_cookie(request, token)
        return Answer(200, head, self._lab.index(config, route.base_url).encode())

    async def _static(self, request: Request, workspace: Workspace, admitted: Admitted) -> Answer | None:
        file = self._lab.files.get(admitted.path)
        if file is None:
            raise PathRefused("no such file")
        return await file_answer(request, file, workspace.route.base_url)


def check_sender(request: Request, workspace: Workspace, admitted: Admitted, token: str) -> None:
    """Raise Forbidden where a page of another origin, or of another path of this one, could have sent the request."""
    origin = request.header(b"origin")
    if request.has(b"origin") and origin.partition("://")[2] != request.header(b"host"):
        raise Forbidden("the request comes from another site")
    if request.header(b"sec-fetch-site", "none") not in {"same-origin", "none"} and admitted.kind not in PAGES:
        raise Forbidden("the request comes from another site")
    if admitted.kind in {Kind.CHANNELS, Kind.SILENCE}:
        # Browsers cannot add a header here; the kernel's id is the secret, and it is only told to who has the header.
        if not origin:
            raise Forbidden("a websocket needs an Origin")
    elif admitted.kind in PAGES:
        if request.header(b"sec-fetch-mode", "navigate") != "navigate":
            raise Forbidden("this page is for people to open")
    elif admitted.kind is not Kind.STATIC:
        workspace.signin.check_xsrf(token, request.header(b"x-xsrftoken"))


def ready() -> Answer:
    """What the Hub asks before it sends people here."""
    head = API_HEADERS + lines({"X-JupyterHub-Version": jupyterhub.__version__})
    return Answer(200, head, json.dumps({"version": jupyterhub.__version__}).encode())


def me(user: str) -> dict[str, object]:
    identity = {
        "username": user,
        "name": user,
        "display_name": user,
        "initials": user[:2].upper(),
        "avatar_url": None,
        "color": None,
    }
    return {"identity": identity, "permissions": {}}


def data(body: object) -> Answer:
    return Answer(200, API_HEADERS, json.dumps(body).encode())


def refusal(request: Request, status: int, message: str) -> Answer:
    """A refusal in the form its reader expects: HTML for a person who opened a page, JSON for everything else."""
    if request.header(b"sec-fetch-mode") != "navigate" and "text/html" not in request.header(b"accept"):
        return Answer(status, API_HEADERS, json.dumps({"message": message}).encode())
    title = f"{status} {HTTPStatus(status).phrase}"
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body><main>'
        f'<h1>{title}</h1><p>{html.escape(message)}</p><p><a href="/hub/home">Back to your workspaces</a></p>'
        "</main></body></html>"
    )
    return Answer(status, lines(refusal_headers()), body.encode())
