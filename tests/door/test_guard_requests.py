"""What a hostile browser, or whatever stands in its place, sends: byte for byte, at the guard itself."""

import socket
import time
from dataclasses import asdict

import pytest

from tests.door.hostile import OK, Open, RawBrowser
from tests.door.parts import GuardHouse, route_for, wait_for
from tests.door.stand_in import owner_model
from tre.workspaces.plan import DoorLimits

POLICY = "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'; sandbox"


SMUGGLED = b"GET /user/alice/heart/api/contents/smuggled HTTP/1.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

#: Header lines that two readers could read as two things, and how the guard answers.
ODD = {
    "Content-Length and Transfer-Encoding": (b"Content-Length: 5\r\n" + CHUNKED, 400),
    "Transfer-Encoding and Content-Length": (CHUNKED + b"Content-Length: 5\r\n", 400),
    "two Content-Lengths": (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    "the same Content-Length twice": (b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    "a list of lengths": (b"Content-Length: 5, 5\r\n", 400),
    "a signed length": (b"Content-Length: +5\r\n", 400),
    "a negative length": (b"Content-Length: -5\r\n", 400),
    "a hexadecimal length": (b"Content-Length: 0x5\r\n", 400),
    "no length": (b"Content-Length: \r\n", 400),
    "a length that overflows": (b"Content-Length: 18446744073709551621\r\n", 400),
    "chunked": (CHUNKED, 422),
    "Chunked": (b"TRANSFER-ENCODING: Chunked\r\n", 422),
    "chunked twice": (CHUNKED + CHUNKED, 400),
    "xchunked": (b"Transfer-Encoding: xchunked\r\n", 400),
    "identity": (b"Transfer-Encoding: identity\r\n", 400),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity\r\n", 400),
    "a tab before chunked": (b"Transfer-Encoding:\tchunked\r\n", 422),
    "a vertical tab before chunked": (b"Transfer-Encoding: \x0bchunked\r\n", 400),
    "a space after the name": (b"Transfer-Encoding : chunked\r\n", 400),
    "a space in the name": (b"Content Length: 5\r\n", 400),
    "a folded line": (b"X: a\r\n b\r\n", 400),
    "a folded Transfer-Encoding": (b"Transfer-Encoding:\r\n chunked\r\n", 400),
    "a bare LF": (b"X: a\nContent-Length: 5\r\n", 400),
    "a bare CR": (b"X: a\rContent-Length: 5\r\n", 400),
    "NUL in a value": (b"X: a\0b\r\n", 400),
    "NUL in a name": (b"X\0: a\r\n", 400),
    "a control character": (b"X: a\x01b\r\n", 400),
    "no colon": (b"Content-Length\r\n", 400),
    "no name": (b": 5\r\n", 400),
    "two hosts": (b"Host: evil.example\r\n", 400),
    "two proofs": (b"X-XSRFToken: a\r\n", 400),
    "two origins": (b"Origin: http://a\r\nOrigin: http://b\r\n", 400),
    "another expectation": (b"Expect: 200-ok\r\n", 417),
    "too long a value": (b"X: " + b"a" * 33_000 + b"\r\n", 431),
    "too long a name": (b"a" * 33_000 + b": x\r\n", 431),
    "too many": (b"".join(b"X-%d: a\r\n" % number for number in range(120)), 431),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_nothing_odd_is_sent_on_and_nothing_behind_it_is_a_request(server, browse: Open, name, method):
    lines, status = ODD[name]
    browser = browse()
    browser.send(browser.head("api/contents/odd", lines, method) + b"0\r\n\r\n" + SMUGGLED + browser.lines + b"\r\n")
    found, fields, _ = browser.answer()
    assert found == status or (found, status) == (400, 422)  # 422 where nothing behind it was read yet
    assert fields["content-security-policy"] == POLICY
    assert (fields["connection"], fields["server"]) == ("close", "tre")
    assert browser.ended() == b""
    assert server.asked == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET http://127.0.0.1/user/alice/heart/api/contents/x HTTP/1.1\r\n", 404),
        (b"GET //user/alice/heart/api/contents/x HTTP/1.1\r\n", 404),
        (b"GET 127.0.0.1:80 HTTP/1.1\r\n", 400),
        (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\n", 404),
        (b"GET /user/alice/heart/api/contents/a b HTTP/1.1\r\n", 400),
        (b"GET /user/alice/heart/api/contents/\0 HTTP/1.1\r\n", 400),
        (b"GET /user/alice/heart/api/contents/\xc3\xa4 HTTP/1.1\r\n", 400),
        (b"GET /user/alice/heart/api/contents/x?a=\xff HTTP/1.1\r\n", 400),
        (b"GET /user/alice/heart/api/contents/x#y HTTP/1.1\r\n", 404),
        (b"GET\t/user/alice/heart/api/contents/x HTTP/1.1\r\n", 400),
        (b"GET /user/alice/heart/api/contents/x HTTP/1.1\n", 400),
        (b"GET /user/alice/heart/api/contents/x\r\n", 505),
        (b"GET /user/alice/heart/api/contents/x HTTP/1.0\r\n", 505),
        (b"GET /user/alice/heart/api/contents/x HTTP/2.0\r\n", 505),
        (b"GET /user/alice/heart/api/contents/x HTTP/1.2\r\n", 400),
        (b"SETUP /user/alice/heart/api/contents/x RTSP/1.0\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", 400),
        (b"get /user/alice/heart/api/contents/x HTTP/1.1\r\n", 400),
        (b"TRACE /user/alice/heart/api/contents/x HTTP/1.1\r\n", 405),
        (b"PROPFIND /user/alice/heart/api/contents/x HTTP/1.1\r\n", 405),
        (b"GET /user/alice/heart/api/contents/" + b"x" * 40_000 + b" HTTP/1.1\r\n", 431),
        (b"GET /user/alice/heart/api/contents/" + b"x" * 5000 + b" HTTP/1.1\r\n", 404),
    ],
)
def test_odd_first_lines(server, browse: Open, line, status):
    browser = browse()
    found, fields, _ = browser.send(line + browser.lines + b"\r\n").answer()
    assert found == status
    assert fields["content-security-policy"] == POLICY
    assert server.asked == []


def test_no_head_is_waited_for_beyond_its_size(browse: Open):
    """Also where no line of it ever ends, and the browser does not listen to the refusal."""
    browser = browse()
    browser.send(b"GET /user/alice/heart/lab HTTP/1.1\r\nX: ")
    begun = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT012
        while time.monotonic() - begun < 20:
            browser.send(b"a" * 65536)
            time.sleep(0.01)


def test_an_upgrade_where_there_is_none_is_an_answer_and_an_end(server, browse: Open):
    browser = browse()
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n"
    browser.send(browser.head("api/contents/x", upgrade) + b"12345" + SMUGGLED + browser.lines + b"\r\n")
    assert browser.answer()[0] == 422
    assert browser.ended() == b""
    browser = browse()
    browser.send(browser.head("api/contents/x", upgrade.replace(b"Content-Length: 5\r\n", b"")) + SMUGGLED + b"\r\n")
    found, fields, _ = browser.answer()
    assert (found, fields["connection"]) == (200, "close")
    assert browser.ended() == b""
    assert server.asked == ["/api/contents/x"]


def test_two_requests_in_one_breath_are_one_answer(server, browse: Open):
    browser = browse()
    browser.send(browser.head("api/contents/first") + browser.head("api/contents/second"))
    status, fields, _ = browser.answer()
    assert (status, fields["connection"]) == (200, "close")
    assert browser.ended() == b""
    assert server.asked == ["/api/contents/first"]


def test_a_request_that_comes_early_waits_for_its_turn(server, browse: Open):
    def slow(connection: socket.socket) -> None:
        time.sleep(0.5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")

    server.answers = {"first": slow, "second": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[2]"}
    browser = browse()
    browser.send(browser.head("api/contents/first"))
    time.sleep(0.2)
    browser.send(browser.head("api/contents/second"))
    assert [browser.answer()[2], browser.answer()[2]] == [b"[1]", b"[2]"]


def test_many_requests_on_one_connection_each_get_their_own(server, browse: Open):
    browsers = [browse() for _ in range(4)]
    for turn in range(25):
        for number, browser in enumerate(browsers):
            name = f"n{turn}x{number}"
            server.answers[name] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode())
            browser.send(browser.head(f"api/contents/{name}"))
        for number, browser in enumerate(browsers):
            assert browser.answer()[2] == f"n{turn}x{number}".encode()


def test_a_body_is_asked_for_when_it_is_wanted_and_not_before(server, browse: Open):
    browser = browse()
    browser.send(browser.head("api/contents/x", b"Expect: 100-continue\r\nContent-Length: 2\r\n", "PUT"))
    assert browser.answer()[0] == 100
    assert browser.send(b"{}").answer()[0] == 200
    browser.lines = browser.lines.replace(b"X-XSRFToken: ", b"X-XSRFToken: x")
    browser.send(browser.head("api/contents/x", b"Expect: 100-continue\r\nContent-Length: 2\r\n", "PUT"))
    status, fields, _ = browser.answer()
    assert (status, fields["connection"]) == (403, "close")
    assert len(server.asked) == 1


def test_a_refused_body_is_not_taken_for_a_request(server, browse: Open):
    """The answer comes although nobody reads the body, and what the body says is never asked."""
    browser = browse()
    inside = SMUGGLED + browser.lines + b"\r\n"
    browser.lines = browser.lines.replace(b"X-XSRFToken: ", b"X-XSRFToken: x")
    length = b"Content-Length: %d\r\n" % (len(inside) + 2_000_000)
    browser.send(browser.head("api/contents/x", length, "PUT") + inside)
    assert browser.answer()[0] == 403
    browser.send(inside)
    assert browser.ended() == b""
    browser = browse()
    browser.send(browser.head("api/contents/x", b"Content-Length: %d\r\n" % len(inside)) + inside)
    assert browser.answer()[0] == 422
    assert server.asked == []


def test_a_body_that_ends_early_is_no_body(server, browse: Open):
    for size in (100, 3_000_000):
        browser = browse()
        browser.send(browser.head("api/contents/x", b"Content-Length: %d\r\n" % size, "PUT") + b"a" * 50)
        browser.socket.shutdown(socket.SHUT_WR)
        assert browser.ended() == b""
    assert server.asked == []


def test_heads_alone(browse: Open):
    browser = browse()
    for path, status in (("lab", 200), ("", 302), ("api", 200)):
        browser.send(browser.head(path, method="HEAD"))
        found, fields, _ = browser.answer("HEAD")
        assert found == status
        assert "content-length" in fields
    browser.send(browser.head("lab/api/settings", method="HEAD"))
    assert browser.answer("HEAD")[0] == 405
    assert browser.send(browser.head("api")).answer()[0] == 200


def test_a_file_that_the_browser_has_is_not_sent_again(browse: Open):
    browser = browse()
    status, fields, body = browser.send(browser.head("static/favicons/favicon.ico")).answer()
    assert (status, len(body)) == (200, int(fields["content-length"]))
    tag = f"If-None-Match: {fields['etag']}\r\n".encode()
    status, again, _ = browser.send(browser.head("static/favicons/favicon.ico", tag)).answer()
    assert status == 304
    assert again["content-security-policy"] == fields["content-security-policy"]
    assert "content-length" not in again
    assert browser.send(browser.head("static/favicons/favicon.ico", b'If-None-Match: "x"\r\n')).answer()[0] == 200


def test_slow_heads_and_slow_bodies_have_an_end(server, browse: Open):
    """The guard of the tests gives a head and a body two seconds."""
    head, body, beside = browse(), browse(), browse()
    head.send(b"GET /user/alice/heart/lab HTTP/1.1\r\n")
    body.send(body.head("api/contents/x", b"Content-Length: 100\r\n", "PUT"))
    begun = time.monotonic()
    while time.monotonic() - begun < 1.5:
        for browser in (head, body):
            browser.send(b"a")
        assert beside.send(beside.head("api/contents/y")).answer()[0] == 200
        time.sleep(0.2)
    assert head.answer()[0] == 408
    status, fields, _ = body.answer()
    assert (status, fields["connection"]) == (400, "close")
    assert head.ended() == body.ended() == b""
    assert time.monotonic() - begun < 15
    assert "/api/contents/x" not in server.asked


def test_who_goes_away_takes_the_question_along(server, browse: Open):
    """A browser that leaves before the answer: the connection to the workspace ends too, and nothing is kept of it."""
    gone: list[bool] = []

    def wait(connection: socket.socket) -> None:
        connection.settimeout(10)
        gone.append(connection.recv(1) == b"")

    server.answers["slow"] = wait
    browser = browse()
    browser.send(browser.head("api/contents/slow"))
    wait_for(lambda: server.asked == ["/api/contents/slow"], "the question", 10)
    browser.socket.close()
    wait_for(lambda: gone == [True], "the end of the connection", 10)
    after = browse()
    assert after.send(after.head("api/contents/x")).answer()[2] == OK[-2:]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Cookie: ", b"X-Cookie: ", 403),
        (b"Cookie: jupyterhub-user-alice-heart=", b"Cookie: jupyterhub-user-alice-heart=2", 403),
        (b"Cookie: jupyterhub-user-alice-heart=", b"Cookie: jupyterhub-user-bob-heart=", 403),
        (b"X-XSRFToken: ", b"X-No: ", 403),
        (b"X-XSRFToken: ", b"X-XSRFToken: x", 403),
        (b"X-XSRFToken: ", b"Origin: http://evil.example\r\nX-XSRFToken: ", 403),
        (b"X-XSRFToken: ", b"Origin: null\r\nX-XSRFToken: ", 403),
        (b"X-XSRFToken: ", b"Origin: \r\nX-XSRFToken: ", 403),
        (b"X-XSRFToken: ", b"Sec-Fetch-Site: cross-site\r\nX-XSRFToken: ", 403),
        (b"X-XSRFToken: ", b"Sec-Fetch-Site: same-site\r\nX-XSRFToken: ", 403),
        (b"X-XSRFToken: ", b"Content-Encoding: gzip\r\nX-XSRFToken: ", 422),
        (b"X-XSRFToken: ", b"Content-Length: 1\r\nX-XSRFToken: ", 422),
        (b"Host: ", b"Host: evil.example;", 422),
        (b"Host: ", b"X-Host: ", 422),
        (b"/alice/heart/", b"/bob/heart/", 404),
        (b"api/contents/x", b"files/x", 404),
        (b"api/contents/x", b"api/contents/../x", 404),
    ],
)
def test_the_short_way_is_no_way_around(server, browse: Open, old, new, status):
    """With a connection that is kept and a sign-in that is known, so that nothing has to be waited for."""
    browser = browse()
    good = browser.head("api/contents/x", b"", "GET")
    for _ in range(2):
        assert browser.send(good).answer()[0] == 200
    server.heads.clear()
    assert old in good
    assert browser.send(good.replace(old, new, 1)).answer()[0] == status
    assert server.asked == []


def test_the_short_way_ends_with_the_sign_in_and_with_the_account(server, house: GuardHouse, browse: Open):
    browser = browse()
    whole = browser.head("api/contents/x")
    assert browser.send(whole).answer()[0] == 200
    house.api.suspended["w1"] = "Too much has left this workspace today."

    def refused() -> bool:
        status, _, body = browser.send(whole).answer()
        return status == 403 and b"Too much" in body

    wait_for(refused, "the end of what passes", 30)
    server.heads.clear()
    assert refused()
    assert server.asked == []


def test_the_short_way_knows_whom_it_lets_in(server, house: GuardHouse, browse: Open):
    """A cookie that this guard signed, around a token that the Hub does not know, or knows as somebody else's."""
    owner = browse()
    assert owner.send(owner.head("api/contents/x")).answer()[0] == 200
    server.heads.clear()
    for token in ("unknown", "bobs"):
        headers = house.browser(house.routes["w1"], token)
        house.hub.tokens.pop(token)
        if token == "bobs":
            house.hub.tokens[token] = owner_model("bob", "heart")
        stranger = RawBrowser(house.places.guard_port, owner.base, headers)
        assert stranger.send(stranger.head("api/contents/x")).answer()[0] == 403
    assert server.asked == []


@pytest.mark.parametrize("chunked", [False, True])
def test_the_short_way_counts_and_caps(server, house: GuardHouse, browse: Open, chunked):
    """Every byte is in the report, and an answer that is too long for the policy is none."""

    def answer(size: int) -> bytes:
        body = b"a" * size
        if chunked:
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)

    server.answers = {"right": answer(4000), "long": answer(6000)}
    limits = asdict(DoorLimits(response_bytes=5000))
    route = route_for(server.folder, workspace_id="w4", server="short", limits=limits)
    house.add_route(route)
    browser = RawBrowser(house.places.guard_port, route["base_url"], house.browser(route))
    for _ in range(5):
        status, _, body = browser.send(browser.head("api/contents/right")).answer()
        assert (status, len(body)) == (200, 4000)
    wait_for(lambda: house.api.traffic.get("w4", [0, 0])[0] == 5 * 4000, "the report", 10)
    house.api.traffic.pop("w4")
    status, _, body = browser.send(browser.head("api/contents/long")).answer()
    assert (status, b"aaa" in body) == (413, False)
    browser.socket.close()
