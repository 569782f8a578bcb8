"""Whole objects that the guard's pure functions make."""

import pytest

from tre.door.guard.headers import content_security_policy, is_host, upgrade_head, upstream_head
from tre.door.guard.keeper import in_use_at
from tre.door.guard.kernels import says_busy
from tre.door.guard.routes import RouteTable
from tre.errors import InvalidInput
from tre.workspaces.plan import DoorLimits


def test_policy():
    assert content_security_policy(scheme="https", host="tre.example", base_url="/user/a/p/") == (
        "default-src 'none'; script-src https://tre.example/user/a/p/static/ 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src https://tre.example/user/a/p/ 'unsafe-inline'; img-src https://tre.example/user/a/p/ data: blob:; "
        "font-src https://tre.example/user/a/p/ data:; connect-src https://tre.example/user/a/p/ "
        "wss://tre.example/user/a/p/ data: blob:; worker-src https://tre.example/user/a/p/static/ blob:; "
        "frame-src blob: data:; media-src data: blob:; manifest-src 'none'; object-src 'none'; "
        "form-action https://tre.example/user/a/p/; base-uri https://tre.example/user/a/p/; frame-ancestors 'none'; "
        "sandbox allow-scripts allow-same-origin allow-forms allow-modals"
    )


@pytest.mark.parametrize(
    ("host", "sound"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("tre.example", True),
        ("", False),
        ("a b", False),
        ("a;b", False),
        ("a'b", False),
        ("a/b", False),
        ("x" * 300, False),
    ],
)
def test_hosts(host, sound):
    assert is_host(host) is sound


def test_upstream_heads():
    assert upstream_head(method="PUT", target="/api/contents/a", token="t", length=3) == (
        b"PUT /api/contents/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: token t\r\nAccept: application/json\r\n"
        b"Accept-Encoding: identity\r\nContent-Length: 3\r\nContent-Type: application/json\r\n\r\n"
    )
    assert upgrade_head(target="/c", token="t", key="k", subprotocol="s") == (
        b"GET /c HTTP/1.1\r\nHost: localhost\r\nAuthorization: token t\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: s\r\n\r\n"
    )


def test_when_a_workspace_was_last_in_use():
    limits = DoorLimits(idle_seconds=100, busy_seconds=1000)
    assert in_use_at(50, 0, limits) == 50
    assert in_use_at(50, 900, limits) == 900
    # However long it says that it computes, it gains no more than the policy allows.
    assert in_use_at(50, 5000, limits) == 1050
    assert in_use_at(50, 900, DoorLimits(busy_seconds=0)) == 50


@pytest.mark.parametrize(
    ("answer", "busy"),
    [
        (b'[{"execution_state": "idle"}, {"execution_state": "busy"}]', True),
        (b'[{"execution_state": "idle"}]', False),
        (b"[]", False),
        (b'{"execution_state": "busy"}', False),
        (b'["busy", 7, null]', False),
        (b"[" * 100_000, False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_only_a_clear_yes_is_busy(answer, busy):
    assert says_busy(answer) is busy


@pytest.mark.parametrize("text", ["{", "[]x", '{"a": 1}', "[1]", "7", '[{"workspace_id": "w1"}]'])
def test_a_damaged_table_of_routes_is_an_error_and_never_an_empty_one(tmp_path, text):
    file = tmp_path / "routes.json"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        RouteTable(file).load()
    assert (refused.value.field, "Remove it" in refused.value.hint) == (str(file), True)
