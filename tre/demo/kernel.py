"""A notebook's kernel over its real websocket, through proxy and guard (Jupyter messaging protocol 5.3)."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tre.demo.browser import Browser
from tre.demo.stage import Unexpected


@dataclass
class Reply:
    """What a cell printed, its last value as text, and its error in words (empty when it ran)."""

    text: str = ""
    error: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)


class Kernel:
    def __init__(self, browser: Browser, base: str) -> None:
        self.browser = browser
        self.base = base
        self.session = uuid.uuid4().hex
        self.id = browser.api("POST", base + "api/kernels", {"name": "python3"})["id"]
        self.socket = self.connect()

    def connect(self) -> ClientConnection:
        """The kernel's channels; a connection that was lost is made anew, the kernel's memory is still there."""
        path = f"{self.base}api/kernels/{self.id}/channels"
        self.socket = connect(
            self.browser.url.replace("http", "ws", 1) + f"{path}?session_id={self.session}",
            origin=Origin(self.browser.url),
            additional_headers={"Cookie": self.browser.cookie_header(path)},
            max_size=64 << 20,
            proxy=None,
        )
        return self.socket

    def close(self) -> None:
        self.socket.close()

    def run(self, code: str, seconds: float = 120) -> Reply:
        """Runs one cell and waits until the kernel is idle again. Raises `Unexpected` when it takes too long."""
        message = self._message("execute_request", {"code": code, "silent": False, "store_history": True})
        self.socket.send(json.dumps(message))
        reply, until = Reply(), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                answer = json.loads(self.socket.recv(timeout=left))
            except TimeoutError:
                break
            if answer.get("parent_header", {}).get("msg_id") != message["header"]["msg_id"]:
                continue
            if self._take(answer, reply):
                return reply
        raise Unexpected(f"The kernel did not finish within {seconds:.0f} s: {code[:80]}")

    def must(self, code: str, seconds: float = 120) -> Reply:
        """The same where an error in the cell is a failure of the step."""
        reply = self.run(code, seconds)
        if reply.error:
            raise Unexpected(f"The cell failed: {reply.error[-800:]}")
        return reply

    def _take(self, answer: dict[str, Any], reply: Reply) -> bool:
        kind, content = answer["msg_type"], answer["content"]
        if kind == "stream":
            reply.text += content["text"]
        elif kind in ("execute_result", "display_data"):
            reply.displays.append(content["data"])
            reply.text += content["data"].get("text/plain", "")
        elif kind == "error":
            reply.error = f"{content['ename']}: {content['evalue']}"
        return bool(kind == "status" and content["execution_state"] == "idle")

    def _message(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "",
            "session": self.session,
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        rest = {"allow_stdin": False, "user_expressions": {}, "stop_on_error": True}
        content = {**content, **rest} if kind == "execute_request" else content
        return {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }
