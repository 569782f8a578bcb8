"""Whole objects that the guard's pure functions make."""

import pytest

from tre.door.guard.config import Lifetimes, load
from tre.door.guard.headers import content_security_policy, is_host, upgrade_head, upstream_head
from tre.door.guard.keeper import outlived
from tre.door.places import Places
from tre.errors import InvalidInput


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


def test_lifetimes():
    limits = Lifetimes(idle=100, age=1000)
    assert outlived(0, 950, 999, limits) == ""
    assert outlived(0, 999, 1000, limits) == "It has run for its maximum of 0.278 hours."
    assert outlived(0, 0, 100, limits) == "Nobody has worked in it for 0.0278 hours."


@pytest.mark.parametrize("text", ['{"grase": 1}', '{"grace": 0}', '{"grace": "x"}', '{"grace": true}', "[]", "{"])
def test_mistyped_limits_are_refused(fresh_settings, text):
    places = Places(fresh_settings)
    places.prepare()
    places.guard_limits.write_text(text)
    with pytest.raises(InvalidInput):
        load(places)


def test_limits_are_read(fresh_settings):
    places = Places(fresh_settings)
    places.prepare()
    places.guard_limits.write_text('{"grace": 30, "idle": 60}')
    found = load(places)
    assert (found.limits.grace, found.lifetimes.idle, found.limits.fresh) == (30, 60, 15)
