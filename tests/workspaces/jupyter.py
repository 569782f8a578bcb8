"""A minimal Jupyter client over a Unix socket: requests, and a kernel by websocket, as the guard would forward them."""

import http.client
import json
import socket
import uuid
from pathlib import Path
from typing import Any

import websocket

from tre.workspaces.plan import LaunchPlan


class Client:
    def __init__(self, path: Path, plan: LaunchPlan) -> None:
        self.path, self.base, self.token = path, plan.base_url, plan.jupyter_token

    def _socket(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(60)
        found.connect(str(self.path))
        return found

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("workspace")
        connection.sock = self._socket()
        text = None if body is None else json.dumps(body)
        chosen = self.token if token is None else token
        headers = {"Authorization": f"token {chosen}"} if chosen else {}
        connection.request(method, self.base + path, body=text, headers=headers)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def kernel(self) -> "Kernel":
        status, text = self.request("POST", "api/kernels", {"name": "python3"})
        assert status == 201, text
        return Kernel(self, json.loads(text)["id"])


class Kernel:
    def __init__(self, client: Client, identifier: str) -> None:
        self.connection = websocket.WebSocket()
        self.connection.connect(
            f"ws://workspace{client.base}api/kernels/{identifier}/channels",
            socket=client._socket(),
            header=[f"Authorization: token {client.token}"],
        )

    def run(self, code: str) -> str:
        """What the cell printed and returned; an error's name and text where it failed."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.connection.send(json.dumps(message))
        found = ""
        while True:
            answer = json.loads(self.connection.recv())
            if answer["parent_header"].get("msg_id") != number:
                continue
            kind, body = answer["msg_type"], answer["content"]
            if kind == "stream":
                found += body["text"]
            elif kind == "execute_result":
                found += body["data"]["text/plain"]
            elif kind == "error":
                found += f"{body['ename']}: {body['evalue']}"
            elif kind == "status" and body["execution_state"] == "idle":
                return found.strip()
