"""Every way file bytes leave a Jupyter server, in ten thousand spellings: shown on a bare one, refused by the guard."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.door.conftest import LONG
from tests.door.parts import TOKEN, GuardHouse, bare_jupyter, route_for
from tre.door.guard.paths import Kind, MethodRefused, PathRefused, admit, clean, split_base, split_target
from tre.door.probes import guard
from tre.door.probes.guard import Door, Trap, as_the_proxy_may_read, attempts, is_on_the_list, what_was_reached
from tre.door.probes.raw import RawHttp
from tre.door.probes.spellings import ADDRESSES, TRAP, spellings

COUNT = 12_000
OVER_HTTP = COUNT if LONG else COUNT // 10
FORWARDED = {Kind.UPSTREAM, Kind.CHANNELS}
PER_FAMILY = 1300 if LONG else 130
MARKER = "the-marker-that-must-not-leave"
PLAIN = tuple(address.replace(TRAP, "secret") for addresses in ADDRESSES.values() for address in addresses)

#: What is found in a bare server's answer; nothing where it has no such handler.
FOUND = {
    **dict.fromkeys([path for path in PLAIN if "secret" in path and ".." not in path], MARKER),
    "view/secret.txt": "secret.txt",
    "api/terminals": "[",
    "api/spec.yaml": "swagger",
    "metrics": "HELP",
    "kernelspecs/python3/kernel.json": "argv",
}
del FOUND["proxy/8080/secret.txt"]


@pytest.fixture(scope="module")
def traps(jupyter: Path) -> Path:
    """The marker in every place from which a Jupyter server gives out files."""
    home = jupyter / "home"
    (home / "secret.txt").write_text(MARKER)
    notebook = '{"cells":[{"cell_type":"code","id":"a","metadata":{},"source":"# %s","outputs":[],"execution_count":1}]'
    (home / "secret.ipynb").write_text(notebook % MARKER + ',"metadata":{},"nbformat":4,"nbformat_minor":5}')
    for folder in ("kernels/secret", "labextensions/secret"):
        place = home / ".local/share/jupyter" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "secret.txt").write_text(MARKER)
    (home / ".local/share/jupyter/kernels/secret/kernel.json").write_text(
        '{"argv": ["x"], "display_name": "x", "language": "x"}'
    )
    return jupyter


def test_the_attacks_work_on_a_bare_server(traps: Path):
    """Plain, and in enough other spellings to show that a list of forbidden words would not do."""
    bare = RawHttp(str(traps / "jupyter.sock"), {"Host": "localhost", "Authorization": f"token {TOKEN}"})
    for path, found in FOUND.items():
        status, text = bare.ask("GET", f"/{path}")
        assert status == 200, (path, status)
        assert found.encode() in text, path
    for path in (
        "files/%73ecret.txt",
        "files/./secret.txt",
        "files/%2e/secret.txt",
        "files/x/../secret.txt",
        "nbconvert/script/%73ecret.ipynb",
        "kernelspecs/%73ecret/secret.txt",
        "lab/extensions/%73ecret/secret.txt",
    ):
        assert MARKER.encode() in bare.ask("GET", f"/{path}")[1], path
    assert any(
        MARKER.encode() in bare.ask("GET", f"/{path}")[1] for path in list(spellings(PLAIN, 300, seed=1))[len(PLAIN) :]
    )


def test_none_is_on_the_list():
    """All of them against the pure rules: nothing is forwarded but paths of the contents API, whole and normal."""
    forwarded = []
    for path in spellings(PLAIN, COUNT, seed=2):
        try:
            raw_path, raw_query = split_target(f"/user/alice/heart/{path}")
            base, rest = split_base(clean(raw_path))
            found = admit("GET", rest, raw_query)
        except (PathRefused, MethodRefused):
            continue
        assert base == "/user/alice/heart/"
        if found.kind in FORWARDED:
            forwarded.append((path, found))
    for path, found in forwarded:
        assert found.path.startswith("api/contents/"), (path, found)
        assert not {"..", ".", ""} & set(found.path.split("/")), (path, found)


def test_all_are_refused_by_the_guard(house: GuardHouse, traps: Path):
    """Over HTTP, signed in as the owner, with the header that Lab sends."""
    route = route_for(traps)
    house.add_route(route)
    front = RawHttp(("127.0.0.1", house.places.guard_port), house.browser(route))
    assert front.ask("GET", "/user/alice/heart/api/contents/secret.txt")[0] == 200
    leaks, odd = [], {}
    for path in spellings(PLAIN, OVER_HTTP, seed=2):
        status, text = front.ask("GET", f"/user/alice/heart/{path}")
        if MARKER.encode() in text:
            leaks.append(path)
        if status not in (400, 404):
            odd[path] = status
        if b"content-security-policy" not in text.lower():
            leaks.append(f"no policy: {path}")
    assert leaks == []
    assert {path: status for path, status in odd.items() if not is_on_the_list(f"/user/alice/heart/{path}")} == {}


def test_other_workspaces_bases_are_refused(house: GuardHouse, traps: Path):
    """One's own cookie and header do not open another's address, however it is written."""
    route = route_for(traps)
    house.add_route(route)
    house.add_route(route_for(traps, workspace_id="w2", user="bob"))
    front = RawHttp(("127.0.0.1", house.places.guard_port), house.browser(route))
    for base in (
        "/user/bob/heart/",
        "/user/%62ob/heart/",
        "/user/alice/heart/../../bob/heart/",
        "/user/alice/heart/%2e%2e/%2e%2e/bob/heart/",
        "/user/alice/../bob/heart/",
        "//user/bob/heart/",
        "/user/BOB/heart/",
    ):
        status, text = front.ask("GET", f"{base}api/contents/secret.txt")
        assert status in (403, 404), (base, status)
        assert MARKER.encode() not in text


# The same as `tre verify` tries it.


BASE = "/user/alice/heart/"


@pytest.mark.parametrize(
    ("target", "status", "answer", "reached"),
    [
        (f"{BASE}files/secret.txt", 200, b"what else", "it was answered with 200"),
        (f"{BASE}api/terminals", 204, b"", "it was answered with 204"),
        (f"{BASE}terminals/websocket/1", 101, b"", "a websocket was opened"),
        (f"{BASE}lab", 200, MARKER.encode(), "the file's content came out"),
        (f"{BASE}files/secret.txt", 404, MARKER.encode(), "the file's content came out"),
        (f"{BASE}files/secret.txt", 404, b"", ""),
        (f"{BASE}files/secret.txt", 302, b"", ""),
        (f"{BASE}lab/../api/terminals/..", 200, b"the guard is ready", ""),
        (f"{BASE}api/contents/..%5c..%5cmetrics/..", 200, b"a list of names", ""),
        (f"{BASE}lab/tree/..%2fx/../api/terminals", 200, b"Lab's page", ""),
        (f"{BASE}lab/tree/..\\..\\lab/tree/%2E%2e%2F%2E%2e%2Fview/secret.txt", 200, b"Lab's page", ""),
        (f"{BASE}lab/../files/secret.txt", 200, b"", "it was answered with 200"),
        (f"{BASE}%66iles/secret.txt", 200, b"", "it was answered with 200"),
    ],
)
def test_what_counts_as_reached(target: str, status: int, answer: bytes, reached: str):
    assert what_was_reached(as_the_proxy_may_read(target), status, answer, MARKER) == reached


INSIDE = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "answer", "reached"),
    [
        (f"{BASE}kernelspecs/x/x.txt", INSIDE, "the workspace's own server answered with 404"),
        (f"{BASE}kernelspecs/x/x.txt", INSIDE.replace(b"application/json", b"text/html"), ""),
        (f"{BASE}api/contents/x.txt", INSIDE, ""),
        (f"{BASE}api/contents/x/../secret.txt", INSIDE + MARKER.encode(), ""),
        (f"{BASE}files/x/../secret.txt", INSIDE + MARKER.encode(), "the file's content came out"),
        (f"{BASE}api/status/../contents/secret.txt", MARKER.encode(), "the file's content came out"),
    ],
)
def test_who_answered_counts_where_nothing_is_found(target: str, answer: bytes, reached: str):
    """The owner reads files as the contents API's JSON, and the proxy may make that of another spelling."""
    assert what_was_reached(as_the_proxy_may_read(target), 404, answer, MARKER) == reached


def test_what_must_be_on_no_list_is_not_looked_up_there():
    assert what_was_reached((), 200, b"the page", MARKER) == "it was answered with 200"


@pytest.fixture
def trap(traps: Path) -> Trap:
    return Trap("secret", MARKER)


def door_of(house: GuardHouse, route: dict, other: str = "") -> Door:
    address = ("127.0.0.1", house.places.guard_port)
    return Door(address, route["base_url"], route["workspace_id"], house.browser(route), other)


def verdicts(door: Door, trap: Trap) -> dict[str, str]:
    return {result.name: result.verdict for result in attempts(door, trap, count=PER_FAMILY)}


def test_every_family_is_refused_at_the_guard(house: GuardHouse, traps: Path, trap: Trap):
    route, other = route_for(traps), route_for(traps, workspace_id="w2", user="bob")
    house.add_route(route)
    house.add_route(other)
    found = verdicts(door_of(house, route, other["base_url"]), trap)
    assert found == {f"guard-{family}": "refused" for family in (*ADDRESSES, "another-workspace")}


def test_a_session_that_is_not_let_in_proves_nothing(house: GuardHouse, traps: Path, trap: Trap):
    route = route_for(traps)
    house.add_route(route)
    door = replace(door_of(house, route), headers={"Host": "localhost"})
    assert set(verdicts(door, trap).values()) == {"could_not_run"}


def test_a_door_that_closes_meanwhile_proves_nothing(house: GuardHouse, traps: Path, trap: Trap, monkeypatch):
    route = route_for(traps)
    house.add_route(route)

    ask = guard._family

    def closing(*arguments: object) -> object:
        result = ask(*arguments)
        house.admin("DELETE", f"/routes/{route['workspace_id']}")
        return result

    monkeypatch.setattr(guard, "_family", closing)
    assert set(verdicts(door_of(house, route), trap).values()) == {"could_not_run"}


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A bare Jupyter server where the guard should be."""
    folder = Path(tmp_path_factory.mktemp("bare"))
    process = bare_jupyter(folder, base_url="/user/alice/heart/")
    headers = {"Host": "localhost", "Authorization": f"token {TOKEN}"}
    yield Door(str(folder / "jupyter.sock"), "/user/alice/heart/", "w1", headers)
    process.stop()


def test_without_the_guard_files_come_out(unguarded: Door, trap: Trap):
    home = Path(str(unguarded.address)).parent / "home"
    (home / "secret.txt").write_text(MARKER)
    found = verdicts(unguarded, trap)
    assert {found[f"guard-{family}"] for family in ("files", "terminals", "other-handlers", "view")} == {"reached"}


class Anything(http.server.BaseHTTPRequestHandler):
    """Answers every address with what was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(MARKER)))
        self.end_headers()
        self.wfile.write(MARKER.encode())

    def log_message(self, *_: object) -> None:
        """In silence."""


def test_a_guard_that_lets_everything_through_is_seen_in_every_family(trap: Trap):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    door = Door(server.server_address, "/user/alice/heart/", "w1", {"Host": "localhost"}, "/user/bob/heart/")
    try:
        assert set(verdicts(door, trap).values()) == {"reached"}
    finally:
        server.shutdown()
        server.server_close()
