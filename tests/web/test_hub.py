"""What is believed of the Hub's answers: a Hub that is down, odd or lying signs nobody in."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tre.errors import Broken, Unauthenticated, Unavailable
from tre.web.hub import Attempt, Hub, HubSession, authorize_address, new_attempt


class Liar:
    """A Hub whose answers a test writes: path → (status, body). Keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.sent: list[tuple[str, str, dict]] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                form = parse_qs(self.rfile.read(length).decode())
                liar.sent.append((self.path, self.headers.get("authorization", ""), form))
                status, body = liar.answers.get(self.path, (404, b"{}"))
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:9/")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, token: object, user: object = None, status: int = 200) -> None:
        def spelled(value: object) -> bytes:
            return value if isinstance(value, bytes) else json.dumps(value).encode()

        self.answers = {"/hub/api/oauth2/token": (status, spelled(token)), "/hub/api/session": (200, spelled(user))}


@pytest.fixture
def liar() -> Iterator[Liar]:
    found = Liar()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def hub(liar: Liar, tmp_path: Path) -> Hub:
    secret = tmp_path / "tre-web.secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret\n")
    return Hub(f"http://127.0.0.1:{liar.server.server_port}/hub/api", secret)


def test_the_exchange_is_the_one_of_the_standard(hub: Hub, liar: Liar):
    liar.says({"access_token": "t"}, {"kind": "user", "name": "rita", "session_round": 3})
    assert hub.session("the code", "the verifier") == HubSession("rita", 3)
    assert liar.sent == [
        (
            "/hub/api/oauth2/token",
            "",
            {
                "client_id": ["service-tre"],
                "client_secret": ["s3cret"],
                "grant_type": ["authorization_code"],
                "code": ["the code"],
                "code_verifier": ["the verifier"],
                "redirect_uri": ["/tre/oauth_callback"],
            },
        ),
        ("/hub/api/session", "Bearer t", {}),
    ]


@pytest.mark.parametrize(
    ("token", "user", "status"),
    [
        ({"error": "invalid_grant"}, None, 400),
        ({"access_token": "t"}, {"kind": "user", "name": "rita", "session_round": 0}, 302),
        ({"access_token": "t"}, {"kind": "user", "name": "rita"}, 200),
        ({"access_token": "t"}, {"kind": "user", "name": "rita", "session_round": "0"}, 200),
        ({"access_token": "t"}, {"kind": "user", "name": "rita", "session_round": True}, 200),
        ({"access_token": "t"}, {"kind": "user", "name": "rita", "session_round": None}, 200),
        ({}, None, 200),
        ([], None, 200),
        ({"access_token": ["t"]}, None, 200),
        ({"access_token": ""}, None, 200),
        ({"access_token": "t"}, {"kind": "service", "name": "tre", "session_round": 0}, 200),
        ({"access_token": "t"}, {"kind": "user", "name": ["rita"], "session_round": 0}, 200),
        ({"access_token": "t"}, {"kind": "user", "session_round": 0}, 200),
        ({"access_token": "t"}, ["rita"], 200),
        ({"access_token": "t"}, None, 200),
    ],
)
def test_odd_answers_sign_nobody_in(hub: Hub, liar: Liar, token: object, user: object, status: int):
    liar.says(token, user, status)
    with pytest.raises(Unauthenticated) as refused:
        hub.session("code", "verifier")
    assert refused.value.error_code == "hub_refused"


def test_a_hub_that_does_not_answer_is_unavailable(hub: Hub, liar: Liar):
    liar.says(b"<html>", None)
    with pytest.raises(Unavailable):
        hub.session("code", "verifier")
    with pytest.raises(Unavailable):
        Hub("http://127.0.0.1:9/hub/api", hub.secret_file).session("code", "verifier")


def test_the_client_secret_is_read_from_a_private_file_only(hub: Hub):
    hub.secret_file.chmod(0o644)
    with pytest.raises(Broken):
        hub.session("code", "verifier")
    hub.secret_file.unlink()
    with pytest.raises(Unavailable):
        hub.session("code", "verifier")


def test_the_address_is_the_one_of_the_standard_and_stays_on_the_host():
    """The challenge is that of RFC 7636, appendix B."""
    attempt = Attempt("the state", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert authorize_address(attempt) == (
        "/hub/api/oauth2/authorize?client_id=service-tre&redirect_uri=%2Ftre%2Foauth_callback&response_type=code"
        "&state=the+state&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    )


def test_every_attempt_is_new_and_its_verifier_is_never_shown():
    one, other = new_attempt("/tre/"), new_attempt("/tre/")
    assert one.state != other.state
    assert one.verifier != other.verifier
    assert 43 <= len(one.verifier) <= 128
    assert one.verifier not in repr(one)
