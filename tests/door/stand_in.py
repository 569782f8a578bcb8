"""Servers that stand in for the other side: the internal API, and a Hub where only the guard is under test."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from aiohttp import web


class Server:
    """An aiohttp application in a thread of its own."""

    def __init__(self, app: web.Application, site: Callable[[web.AppRunner], web.BaseSite]) -> None:
        self.loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._app, self._site = app, site
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.1)
        try:
            self.loop.run_until_complete(runner.setup())
            self.loop.run_until_complete(self._site(runner).start())
        except OSError as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())


def refused(status: int, code: str, message: str, hint: str = "") -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "hint": hint}}, status=status)


class InternalApi:
    """The control plane's answers, as a test sets them, and what was asked: at a socket or a port of loopback."""

    def __init__(self, socket: Path | int) -> None:
        self.socket = socket
        self.calls: list[tuple[str, str, Any]] = []
        self.traffic: dict[str, list[int]] = {}
        self.suspended: dict[str, str] = {}
        self.idle: dict[str, str] = {}
        self.silent = False
        self.people: dict[str, dict[str, Any]] = {}
        self.passwords: dict[str, tuple[str, str]] = {}
        self.plans: Callable[[str, str], dict[str, Any]] = lambda username, project: {}
        #: Who was let in in another round than that of now.
        self.judged: dict[str, int] = {}
        self.refuse_start: dict[str, str] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.refuse_submit = ""
        self.intake_key = ""
        self.content: dict[str, bytes] = {}
        self.clients: list[str] = []
        #: Live workspaces, with what a guard sealed of their routes.
        self.live: dict[str, str | None] = {}
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        if isinstance(socket, Path):
            self._server = Server(app, lambda runner: web.UnixSite(runner, str(socket)))
        else:
            self._server = Server(app, lambda runner: web.TCPSite(runner, "127.0.0.1", socket))

    def start(self) -> None:
        if isinstance(self.socket, int):
            self._server.start()
            return
        self.socket.unlink(missing_ok=True)
        self._server.start()
        os.chmod(self.socket, 0o600)

    def stop(self) -> None:
        self._server.stop()

    async def _handle(self, request: web.Request) -> web.Response:
        if self.silent:
            await asyncio.sleep(0)
            return web.Response(status=503)
        raw = await request.read()
        body = json.loads(raw or b"{}") if request.method != "PUT" else None
        self.calls.append((request.method, request.path, body))
        self.clients.append(request.headers.get("Authorization", ""))
        match request.path.strip("/").split("/"):
            case ["internal", "sign-in"]:
                return self._sign_in(body)
            case ["internal", "people", name]:
                person = self.people.get(name)
                return web.json_response(person) if person else refused(404, "not_found", "no such person")
            case ["internal", "intake-key"]:
                return web.json_response({"pem": self.intake_key})
            case ["internal", "workspaces"]:
                why = self.refuse_start.get(body["project"])
                if why:
                    return refused(403, "gate_closed", why, "Renew it, then start again.")
                plan = self.plans(body["username"], body["project"])
                self.live[plan.get("workspace_id", "")] = None
                return web.json_response(plan)
            case ["internal", "workspaces", workspace, "events"]:
                self.live.pop(workspace, None)
                if body["event"] == "running":
                    self.live[workspace] = body["route"]
                return web.json_response({})
            case ["internal", "routes"]:
                sealed = {key: text for key, text in self.live.items() if text and key not in body["known"]}
                return web.json_response({"live": list(self.live), "routes": sealed})
            case ["internal", "workspaces", workspace, "idle"]:
                self.idle[workspace] = body["reason"]
                return web.json_response({})
            case ["internal", "workspaces", workspace, "traffic"]:
                return self._traffic(workspace, body)
            case ["internal", "workspaces", _, "requests", "content", digest]:
                self.content[digest] = raw
                return web.json_response({"digest": digest, "size": len(raw)}, status=201)
            case ["internal", "workspaces", workspace, "requests", *rest]:
                return self._requests(request.method, workspace, rest, body)
        return web.Response(status=404)

    def _sign_in(self, body: dict[str, str]) -> web.Response:
        known = self.passwords.get(body["username"])
        if known != (body["password"], body["totp"]):
            return refused(401, "unauthenticated", "The name, the password or the code is wrong.")
        person = self.people[body["username"]]
        round = self.judged.get(body["username"], person["session_round"])
        told = {"username": body["username"], "name": body["username"].title(), "roles": person["roles"]}
        answer = {**told, "session_round": round}
        return web.json_response(answer)

    def _traffic(self, workspace: str, body: dict[str, int]) -> web.Response:
        book = self.traffic.setdefault(workspace, [0, 0])
        book[0] += body["out_bytes"]
        book[1] += body["in_bytes"]
        reason = self.suspended.get(workspace, "")
        return web.json_response({"suspended": bool(reason), "reason": reason})

    def _requests(self, method: str, workspace: str, rest: list[str], body: Any) -> web.Response:
        if method == "GET" and not rest:
            mine = [found for found in self.requests.values() if found["workspace"] == workspace]
            return web.json_response({"requests": mine})
        if method == "GET":
            found = self.requests.get(rest[0])
            return web.json_response(found) if found else refused(404, "not_found", "no such request")
        if self.refuse_submit:
            return refused(403, "gate_closed", self.refuse_submit)
        request = {"id": f"r{len(self.requests) + 1}", "workspace": workspace, **body}
        self.requests[request["id"]] = request
        told = {"request": request["id"], "version": 1, "state": "submitted", "url": f"/tre/requests/{request['id']}"}
        return web.json_response(request | told, status=201)


class StandInHub:
    """Just the Hub's API that the guard uses. `tokens`: token → user model."""

    def __init__(self, port: int) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.activity: list[tuple[str, Any]] = []
        self.asked = 0
        app = web.Application()
        app.router.add_get("/hub/api/user", self._user)
        app.router.add_post("/hub/api/users/{name}/activity", self._activity)
        self._server = Server(app, lambda runner: web.TCPSite(runner, "127.0.0.1", port))
        self.start, self.stop = self._server.start, self._server.stop

    async def _user(self, request: web.Request) -> web.Response:
        self.asked += 1
        model = self.tokens.get(request.headers.get("Authorization", "").removeprefix("token "))
        return web.json_response(model) if model else web.json_response({}, status=403)

    async def _activity(self, request: web.Request) -> web.Response:
        self.activity.append((request.match_info["name"], await request.json()))
        return web.json_response({})


def owner_model(user: str, server: str) -> dict[str, Any]:
    return {
        "kind": "user",
        "name": user,
        "scopes": [f"access:servers!server={user}/{server}", f"read:users:name!user={user}"],
    }
