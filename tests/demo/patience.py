"""People who try again: commands, pages and cells that were told that a part of the platform is missing.

Each notes what it was told. Everything that does not say so, with words, is a failure at once.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
import psycopg
import pytest
from websockets.exceptions import WebSocketException

from tre.demo.browser import Browser, words
from tre.demo.kernel import Kernel, Reply
from tre.demo.stage import Stage, Unexpected
from tre.errors import TreError, Unavailable

SECONDS = 60.0
PAUSE = 0.5
AWAY = (502, 503, 504)
Answer = TypeVar("Answer")


@dataclass
class PatientStage(Stage):
    """The `tre` command as somebody types it who tries again where a part does not answer."""

    told: list[str] = field(default_factory=list)

    def _run(self, username: str, arguments: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
        until = time.monotonic() + SECONDS
        while True:
            done = super()._run(username, arguments, stdin)
            if done.returncode != Unavailable.exit_code or time.monotonic() > until:
                return done
            error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
            assert error["message"], arguments
            assert error["hint"], arguments
            self.told.append(f"tre {arguments[0]}: {error['message']}")
            time.sleep(PAUSE)

    def login(self, username: str) -> None:
        """With the next code: that of a sign-in that broke off is used up."""
        again(lambda: super(PatientStage, self).login(username), self.told)


def again(what: Callable[[], Answer], told: list[str], times: int = 4) -> Answer:
    """Tries it so often; notes each reason."""
    for left in reversed(range(times)):
        try:
            return what()
        except (TreError, WebSocketException) as error:
            if not left:
                raise
            told.append(str(error)[:300])
            time.sleep(2)
    raise AssertionError


class PatientTransport(httpx.HTTPTransport):
    """Sends a request again where the answer says that a part is away."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = time.monotonic() + SECONDS
        while True:
            answer = super().handle_request(request)
            # What did not start stays so; the person starts it anew.
            did_not_start = "/hub/spawn-pending/" in request.url.path
            if answer.status_code not in AWAY or did_not_start or time.monotonic() > until:
                return answer
            said = words(answer.read().decode(errors="replace"))
            assert said, (request.url, answer.status_code)
            self.told.append(f"{request.url.path}: {answer.status_code} {said[:200]}")
            answer.close()
            time.sleep(PAUSE)


def patient(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    """Browsers and kernels of the journey try again from now on."""
    made, opened, signed, must = Browser.__init__, Browser.open_workspace, Browser.sign_in, Kernel.must

    def init(self: Browser, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]
        self.http.close()
        self.http = httpx.Client(
            base_url=self.url, follow_redirects=True, timeout=120, transport=PatientTransport(told)
        )

    def once(self: Kernel, code: str, seconds: float) -> Reply:
        try:
            return must(self, code, seconds)
        except WebSocketException as lost:
            # As Lab does by itself: the kernel has gone on.
            again(self.connect, told, times=8)
            raise Unexpected(f"the connection was lost: {lost}") from lost

    def run(self: Kernel, code: str, seconds: float = 120) -> Reply:
        return again(lambda: once(self, code, seconds), told)

    monkeypatch.setattr(Browser, "__init__", init)
    monkeypatch.setattr(Browser, "sign_in", lambda self: again(lambda: signed(self), told))
    monkeypatch.setattr(
        Browser, "open_workspace", lambda self, project: again(lambda: opened(self, project), told, times=8)
    )
    monkeypatch.setattr(Kernel, "must", run)


def twice(step: Callable[[], str], told: list[str]) -> str:
    """A step that broke off says why, and succeeds when it is tried again."""
    try:
        return step()
    except (Unexpected, psycopg.OperationalError) as broken:
        told.append(f"once more: {str(broken)[:300]}")
    until = time.monotonic() + SECONDS
    while True:
        try:
            return step()
        except psycopg.OperationalError:
            # A custodian's own tool, which nobody told how long the server needs.
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE)
