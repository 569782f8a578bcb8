"""What an answer of the API server means to us, whoever really answers."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.workspaces.kubernetes.house import cluster
from tre.errors import Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.workspaces.kubernetes.api import Api, Expired
from tre.workspaces.kubernetes.content import NETWORK_POLICY
from tre.workspaces.kubernetes.network import default_deny


@dataclass
class Stranger:
    """Answers every request with the same; `asked` has the request lines and tokens that it was sent."""

    address: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    found = Stranger()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            found.asked.append((self.requestline, self.headers.get("authorization", "")))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(stranger: Stranger, tmp_path: Path) -> Api:
    named = {"name": "x", "cluster": {"server": stranger.address}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [named],
        "users": [{"name": "x", "user": {"token": "our-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    return Api.connect(file)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unavailable),
        (403, Unavailable),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, InvalidInput),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
@pytest.mark.parametrize("body", [b'{"message": "told"}', b"<html>", b"[]", b"\xff", b'{"message": 7}'])
def test_each_status_is_an_error_of_ours(api: Api, stranger: Stranger, status: int, kind: type[TreError], body: bytes):
    stranger.status, stranger.body = status, body
    with pytest.raises(kind) as refused:
        api.create(NETWORK_POLICY, default_deny(cluster(), "cost"))
    assert type(refused.value) is kind
    assert len(refused.value.message) < 600


def test_no_redirect_takes_our_token_elsewhere(api: Api, stranger: Stranger):
    stranger.status, stranger.headers = 307, {"location": "http://127.0.0.1:1/elsewhere"}
    with pytest.raises(Unavailable, match="307"):
        api.ask("GET", "/api/v1/pods", {})
    assert len(stranger.asked) == 1


def test_a_write_is_checked_strictly_forced_and_ours(api: Api, stranger: Stranger):
    api.apply(NETWORK_POLICY, default_deny(cluster(), "cost"))
    path = "/apis/networking.k8s.io/v1/namespaces/tre-cost/networkpolicies/default-deny"
    query = "fieldManager=tre-controller&fieldValidation=Strict&force=true"
    assert stranger.asked == [(f"PATCH {path}?{query} HTTP/1.1", "Bearer our-token")]


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b'{"metadata": '])
def test_what_cannot_be_read_is_no_answer(api: Api, stranger: Stranger, body: bytes):
    stranger.body = body
    with pytest.raises(Unavailable):
        api.ask("GET", "/api/v1/pods", {})
    stranger.body = body + b"\n"
    if body:
        with pytest.raises(Unavailable):
            list(api.watch(NETWORK_POLICY, {}, "1", 1))


def test_a_stream_that_says_it_is_too_old_is_begun_again(api: Api, stranger: Stranger):
    stranger.body = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'
    with pytest.raises(Expired):
        list(api.watch(NETWORK_POLICY, {}, "1", 1))


def test_nobody_there(tmp_path: Path):
    with pytest.raises(Unavailable, match="no way to the API server"):
        Api.connect(tmp_path / "missing")
    with pytest.raises(Unavailable, match="no way to the API server"):
        Api.connect()
