"""The intake as a workspace sees it, and what a hostile workspace may try."""

import contextlib
import http.client
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.door.intake_house import HOUR, KEY, PEM, Intake, form, good, manifest
from tests.door.parts import UnixHttp, door_settings, wait_for
from tests.door.stand_in import InternalApi
from tre.door.places import Places
from tre.door.tokens import encode, make


@pytest.fixture(scope="module")
def house() -> Iterator[Intake]:
    settings = door_settings("tre-intake-")
    Places(settings).prepare()
    found = Intake(settings, InternalApi(settings.internal_socket))
    found.api.intake_key = PEM.decode()
    found.api.start()
    found.start()
    yield found
    found.process.stop()
    found.api.stop()
    shutil.rmtree(settings.state.parent, ignore_errors=True)


@pytest.fixture
def intake(house: Intake) -> Iterator[Intake]:
    for workspace in ("w1", "w2"):
        assert house.admin("PUT", f"/workspaces/{workspace}") == 204
    yield house
    house.api.refuse_submit = ""
    assert house.left() == [], "nothing half-done may stay"


def test_a_key_that_was_rotated_is_asked_for_once(intake: Intake):
    """The first token of the new version makes the intake ask; a bad one never makes it ask for each."""
    new = Ed25519PrivateKey.generate()
    newest = new.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    token = make(new.sign, workspace_id="w1", now=datetime.now(UTC), life=HOUR)
    foreign = make(Ed25519PrivateKey.generate().sign, workspace_id="w1", now=datetime.now(UTC), life=HOUR)
    assert listed(intake, token) == 401
    intake.api.intake_key = (newest + PEM).decode()
    try:
        wait_for(lambda: listed(intake, token) == 200, "the new key")
        before = asked(intake)
        assert [listed(intake, foreign) for _ in range(20)] == [401] * 20
        assert asked(intake) <= before + 1
        assert listed(intake, good()) == 200
    finally:
        intake.api.intake_key = PEM.decode()


def asked(intake: Intake) -> int:
    """How often for the key."""
    return [path for _, path, _ in intake.api.calls].count("/internal/intake-key")


def listed(intake: Intake, token: str) -> int:
    return intake.ask("w1", "GET", "/requests", Authorization=f"Bearer {token}")[0]


def test_a_submission_arrives_whole(intake: Intake):
    bodies = [b"a,b\n1,2\n", b"", b"\r\n--x\r\n" * 1000]
    status, answer = intake.submit(manifest("a.csv", "b.txt", "c.bin", replaces="7"), *bodies)
    assert status == 201, answer
    method, path, body = intake.api.calls[-1]
    assert (method, path) == ("POST", "/internal/workspaces/w1/requests")
    assert body["replaces"] == "7"
    assert [file["sha256"] for file in body["files"]] == [sha256(text).hexdigest() for text in bodies]
    assert [file["size"] for file in body["files"]] == [len(text) for text in bodies]
    assert body["files"][0]["spec"] == {"rows": ["a"]}
    assert [intake.api.content[sha256(text).hexdigest()] for text in bodies] == bodies
    handed_on = [path for method, path, _ in intake.api.calls if method == "PUT"][-3:]
    assert all(path.startswith("/internal/workspaces/w1/requests/content/") for path in handed_on)
    assert not intake.settings.content.exists(), "the intake keeps nothing itself"
    token = {"Authorization": f"Bearer {good()}"}
    assert intake.ask("w1", "GET", f"/requests/{answer['id']}", **token)[1]["id"] == answer["id"]
    assert [one["id"] for one in intake.ask("w1", "GET", "/requests", **token)[1]["requests"]] == [answer["id"]]


def test_what_cannot_be_handed_on_is_said_and_leaves_nothing(intake: Intake):
    intake.api.silent = True
    try:
        status, answer = intake.submit(manifest("a.csv"), b"a")
    finally:
        intake.api.silent = False
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert intake.left() == []


def test_twenty_megabytes(intake: Intake):
    body = secrets.token_bytes(20 << 20)
    status, answer = intake.submit(manifest("a.parquet"), body)
    assert status == 201, answer
    assert intake.api.calls[-1][2]["files"][0]["sha256"] == sha256(body).hexdigest()


def hmac_token() -> str:
    import base64
    import hashlib
    import hmac

    claims = jwt.decode(good(), options={"verify_signature": False})
    signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}"
    mac = hmac.new(PEM, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "token",
    [
        lambda: good("w2"),
        lambda: make(KEY.sign, workspace_id="w1", now=datetime.now(UTC) - 2 * HOUR, life=HOUR),
        lambda: f"{encode({'alg': 'none'})}.{encode(jwt.decode(good(), options={'verify_signature': False}))}.",
        hmac_token,
        lambda: make(Ed25519PrivateKey.generate().sign, workspace_id="w1", now=datetime.now(UTC), life=HOUR),
        lambda: "x",
    ],
    ids=["another workspace's", "expired", "alg none", "HS256 with the public key", "another key's", "nonsense"],
)
def test_tokens_that_do_not_count(intake: Intake, token):
    before = len(intake.api.calls)
    status, answer = intake.submit(manifest("a.csv"), b"a", token=token())
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    assert intake.ask("w1", "GET", "/requests", Authorization=f"Bearer {token()}")[0] == 401
    assert len(intake.api.calls) == before


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"Authorization": "bearer"}])
def test_no_token(intake: Intake, headers):
    assert intake.ask("w1", "GET", "/requests", **headers)[0] == 401


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("../a", "manifest.files.0.name"),
        ("/etc/passwd", "manifest.files.0.name"),
        ("a\\b", "manifest.files.0.name"),
        ("a\nb", "manifest.files.0.name"),
        ("a\0b", "manifest.files.0.name"),
        ("..", "manifest.files.0.name"),
        ("", "manifest.files.0.name"),
        (" a", "manifest.files.0.name"),
        ("a\u202egnp.exe", "manifest.files.0.name"),
        ("ü" * 128, "manifest.files.0.name"),
    ],
)
def test_names_are_plain(intake: Intake, name, field):
    status, answer = intake.submit(manifest(name), b"a")
    assert (status, answer["error"]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"{", "manifest"),
        (b"[]", "manifest"),
        (manifest(), "manifest.files"),
        (manifest("a", "a"), "manifest.files"),
        (manifest("a", "A"), "manifest.files"),
        (manifest("a", title=""), "manifest.title"),
        (manifest("a", controls=None), "manifest.controls"),
        (manifest("a", more=1), "manifest.more"),
        (manifest("a", replaces=[1]), "manifest.replaces.str"),
        (manifest("a", files=[{"name": "a", "path": "/x"}]), "manifest.files.0.path"),
    ],
)
def test_manifests_are_exact(intake: Intake, sent, field):
    status, answer = intake.submit(sent, b"a")
    assert status == 422, answer
    assert answer["error"]["field"].startswith(field)


def test_order_and_number(intake: Intake):
    for sent, files, more in (
        (manifest("a", "b"), [b"1"], {}),
        (manifest("a"), [b"1", b"2"], {}),
        (manifest("a"), [b"1"], {"names": ("other",)}),
        (manifest("a"), [b"1"], {"first": "file"}),
    ):
        status, answer = intake.submit(sent, *files, **more)
        assert status == 422, answer


def test_sizes(intake: Intake):
    status, answer = intake.submit(manifest("a"), b"x" * ((64 << 20) + 1))
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (413, "file_too_large", "files.0")
    status, _ = intake.submit(manifest(*(f"f{n}" for n in range(501))), b"")
    assert status == 413
    status, answer = intake.submit(manifest("a", context="x" * (9 << 20)), b"")
    assert (status, answer["error"]["field"]) == (413, "manifest")
    connection = UnixHttp(intake.socket("w1"))
    connection.putrequest("POST", "/requests")
    for header, value in {
        "Authorization": f"Bearer {good()}",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(300 << 20),
    }.items():
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_cut_off(intake: Intake):
    """A connection that ends in the middle leaves nothing."""
    kind, body = form(manifest("a.csv", "b.csv"), [b"x" * 100_000, b"y" * 100_000])
    head = (
        f"POST /requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good()}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    before = len(intake.api.calls)
    for cut in (10, 200, 500, 50_000, 150_000, len(body) - 3):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(intake.socket("w1")))
            raw.sendall(head.encode() + body[:cut])
    wait_for(lambda: intake.left() == [], "the half-done files to go", 30)
    assert len(intake.api.calls) == before


def test_slow_senders_keep_nobody_out(intake: Intake):
    """Connections that dribble: beyond the sixteenth they are dropped, and another workspace does not notice."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(40)]
        for raw in slow:
            raw.connect(str(intake.socket("w1")))
            with contextlib.suppress(OSError):  # dropped already
                raw.sendall(b"POST /requests HTTP/1.1\r\nHost: x\r\nX: ")
        # Sixteen places, of which a connection before may have kept one or two.
        wait_for(lambda: sum(map(is_dropped, slow)) >= 24, "those beyond to be dropped", 10)
        assert sum(map(is_dropped, slow)) <= 26
        assert intake.submit(manifest("a.csv"), b"a", token=good("w2"), workspace="w2")[0] == 201
    wait_for(lambda: answers(intake), "places to be free again", 10)


def is_dropped(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def answers(intake: Intake) -> bool:
    try:
        return intake.ask("w1", "GET", "/requests", Authorization=f"Bearer {good()}")[0] == 200
    except OSError:
        return False


def test_other_addresses(intake: Intake):
    for method, path in (
        ("DELETE", "/requests/r1"),
        ("PUT", "/requests"),
        ("GET", "/requests/../internal"),
        ("GET", "/requests/a/b"),
        ("GET", "/"),
        ("GET", "/requests?x=1"),
    ):
        assert intake.ask("w1", method, path, Authorization=f"Bearer {good()}")[0] == 404


def test_the_platforms_refusal_is_told(intake: Intake):
    intake.api.refuse_submit = "The project's agreement has ended."
    status, answer = intake.submit(manifest("a.csv"), b"a")
    assert (status, answer["error"]["message"]) == (403, "The project's agreement has ended.")


def test_a_silent_platform(intake: Intake):
    intake.api.silent = True
    try:
        assert intake.submit(manifest("a.csv"), b"a")[0] == 503
    finally:
        intake.api.silent = False


def test_sockets_survive_kill_9(intake: Intake):
    intake.process.stop(signal.SIGKILL)
    with pytest.raises(ConnectionRefusedError):
        intake.submit(manifest("a.csv"), b"a")
    intake.start()
    assert intake.submit(manifest("a.csv"), b"a")[0] == 201
    assert intake.socket("w1").parent.stat().st_mode & 0o077 == 0


def test_a_stopped_workspace_has_no_socket(intake: Intake):
    assert intake.admin("PUT", "/workspaces/w3") == 204
    assert intake.admin("PUT", "/workspaces/w3") == 204
    assert intake.ask("w3", "GET", "/requests", Authorization=f"Bearer {good('w3')}")[0] == 200
    assert intake.admin("DELETE", "/workspaces/w3") == 204
    assert not intake.socket("w3").parent.exists()
    assert intake.admin("DELETE", "/workspaces/w3") == 404
    assert intake.admin("PUT", "/workspaces/..%2f..%2fx") == 422


def test_broken_http(intake: Intake):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(intake.socket("w1")))
        raw.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert b"400" in raw.recv(200)
    assert isinstance(http.client.responses[400], str)
