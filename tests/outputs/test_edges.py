"""The JSON API and the command line, end to end, with the real secrets server signing."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from sqlalchemy import text

from tests.outputs.house import CLEAN, PEOPLE, House, png
from tre.api.app import public_app
from tre.api.platform import Platform
from tre.cli.client import SavedToken, save_token
from tre.cli.main import tre
from tre.credentials import Secrets
from tre.errors import TreError
from tre.outputs import release
from tre.people.signin import SignedIn, issue_token
from tre.settings import Settings


@dataclass
class Edge:
    house: House
    platform: Platform

    def token(self, who: str) -> str:
        return issue_token(self.house.db, SignedIn(who, who, frozenset(PEOPLE[who]), 0), scope="all", via="cli")[0]

    def client(self, who: str) -> TestClient:
        headers = {"Authorization": f"Bearer {self.token(who)}"}
        return TestClient(public_app(self.platform), headers=headers, base_url="http://tre/tre/api/v1")

    def press(self) -> release.ReleaseDesk:
        return release.ReleaseDesk(self.house.store, self.platform.signing_key("release"))


@pytest.fixture
def edge(house: House, settings: Settings, secrets: Secrets) -> Edge:
    return Edge(house, Platform(settings, house.db, secrets, house.store))


@pytest.fixture
def url(edge: Edge) -> Iterator[str]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(public_app(edge.platform), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@dataclass
class Shell:
    """`tre request …` as different people on one machine."""

    url: str
    tokens: dict[str, str]

    def run(self, who: str, *words: str) -> Result:
        save_token(SavedToken(self.url, self.tokens[who], who))
        return CliRunner().invoke(tre, ["request", *words, "--json"])

    def answer(self, who: str, *words: str) -> Any:
        result = self.run(who, *words)
        assert result.exception is None, result.exception
        return json.loads(result.output)


@pytest.fixture
def shell(edge: Edge, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("TRE_TOKEN_FILE", str(tmp_path / "token.json"))
    return Shell(url, {who: edge.token(who) for who in ("ada", "ben", "cora", "carl", "adam")})


def test_a_returned_and_a_failed_request_by_command_line(edge: Edge, shell: Shell) -> None:
    house = edge.house
    house.in_review(house.file(content=b""))
    assert [row["id"] for row in shell.answer("ada", "list", "--turn", "author", "--after", "9")] == [1]
    assert shell.answer("ada", "show", "1", "--version", "1")["state"] == "returned"
    assert shell.answer("ada", "withdraw", "1", "--reason", "Empty.")["state"] == "withdrawn"
    sent = house.releasing()
    with house.db.transaction() as session:
        session.execute(text("UPDATE release_request SET state = 'failed', failed_from = 'releasing' WHERE id = 2"))
    assert shell.answer("adam", "retry", "2")["state"] == "approved"
    assert shell.answer("cora", "decide", "2", "return", "--reason", "Hm.", "--version", "1")["state"] == "returned"
    assert shell.answer("carl", "view", "2", "1", "--version", "1")["text"] is None
    assert shell.answer("cora", "limits")["reviewers_required"] == 2
    assert sent.request == 2
    house.in_review()
    voted = shell.answer("cora", "vote", "3", "--file", "1", "--choice", "reject", "--comment", "No.", "--version", "1")
    assert voted["complete"]
    assert shell.run("cora", "verify", __file__, "--public-key", "x").exception.exit_code == 2


def test_a_request_by_command_line_from_queue_to_recall(edge: Edge, shell: Shell, tmp_path: Path) -> None:
    house, run, answer = edge.house, shell.run, shell.answer
    house.in_review(house.file(), house.file("plot.png", png(), "figure"))
    assert [row["id"] for row in answer("cora", "list", "--waiting")] == [1]
    assert [file["name"] for file in answer("cora", "files", "1")] == ["table.csv", "plot.png"]
    assert [finding["rule"] for finding in answer("cora", "findings", "1")] == ["undeclared_table"]
    assert answer("cora", "view", "1", "1")["grid"][1] == ["F", "30"]
    answer("cora", "view", "1", "2", "--save", str(tmp_path / "plot.png"))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    for who, code in (("ada", "own_request"), ("ben", "own_project")):
        refused = run(who, "vote", "1", "--choice", "approve")
        assert isinstance(refused.exception, TreError)
        assert refused.exception.error_code == code
    answer("cora", "comment", "1", "Fine by me.", "--checkers")
    assert answer("cora", "vote", "1", "--choice", "approve") == {"request": 1, "complete": True, "opened": False}
    assert "Fine by me" not in run("carl", "show", "1").output
    assert answer("carl", "vote", "1", "--choice", "approve")["opened"]
    assert "Fine by me" in run("carl", "show", "1").output
    assert answer("carl", "decide", "1", "approve")["state"] == "approved"
    assert answer("cora", "release", "1")["state"] == "releasing"
    assert release.step(house.db, edge.press())
    crate = tmp_path / "crate.zip"
    answer("ada", "download", "1", str(crate))
    answer("ada", "download", "1", str(tmp_path / "table.csv"), "--file", "1")
    assert (tmp_path / "table.csv").read_bytes() == CLEAN
    key = answer("ada", "public-key")["public_key"]
    assert answer("ada", "verify", str(crate), "--public-key", key)["ok"]
    crate.write_bytes(crate.read_bytes().replace(b"F,30", b"F,31"))
    altered = run("ada", "verify", str(crate), "--public-key", key)
    assert isinstance(altered.exception, TreError)
    assert altered.exception.exit_code == 20
    assert answer("ada", "recall", "1", "--reason", "Too early.")["state"] == "recalled"
    assert run("ada", "download", "1", str(crate)).exception.error_code == "recalled"
    assert answer("adam", "limits", "--set", "reviewers_required=3")["reviewers_required"] == 3


CALLS: tuple[tuple[str, str, dict[str, Any] | None, int], ...] = (
    ("GET", "/requests/99", None, 404),
    ("GET", "/requests/99999999999999999999", None, 422),
    ("GET", "/requests/0", None, 422),
    ("GET", "/requests?search=%00", None, 422),
    ("GET", "/requests?state=open", None, 422),
    ("GET", "/requests/1?version=9", None, 404),
    ("GET", "/requests/1/files/7", None, 404),
    ("GET", "/requests/1/download", None, 409),
    ("POST", "/requests/1/votes", {"version": 1, "votes": []}, 422),
    ("POST", "/requests/1/votes", {"version": 1, "votes": [{"file": 1, "choice": "maybe"}]}, 422),
    ("POST", "/requests/1/votes", {"version": 1, "reviewers": 1, "votes": [{"file": 1, "choice": "approve"}]}, 422),
    ("POST", "/requests/1/decision", {"version": 1, "verdict": "approve"}, 409),
    ("POST", "/requests/1/release", {"version": 1}, 409),
    ("POST", "/requests/1/comments", {"text": "\u202eabc"}, 422),
    ("POST", "/requests/1/recall", {"reason": "x" * 400}, 422),
    ("POST", "/output-limits", {"reviewers_required": 1}, 403),
    ("POST", "/output-limits", {"reviewers": 1}, 422),
)


def test_what_makes_no_sense_gets_a_clear_error(edge: Edge) -> None:
    edge.house.in_review()
    client = edge.client("cora")
    for method, path, body, status in CALLS:
        response = client.request(method, "http://tre/tre/api/v1" + path, json=body)
        assert response.status_code == status, (path, response.text)
        assert response.json()["error"]["message"]


def test_without_a_token_nothing_is_told(edge: Edge) -> None:
    edge.house.in_review()
    client = TestClient(public_app(edge.platform), base_url="http://tre/tre/api/v1")
    for path in ("/requests", "/requests/1", "/requests/1/files/1", "/requests/1/download", "/output-limits"):
        assert client.get("http://tre/tre/api/v1" + path).status_code == 401
