"""Every way file bytes leave a Jupyter server, in ten thousand spellings: shown on a bare one, refused by the guard."""

import socket
from pathlib import Path

import pytest

from tests.door.conftest import LONG
from tests.door.parts import TOKEN, GuardHouse, route_for
from tests.door.spellings import MARKER, ROOTS, spellings
from tre.door.guard.paths import Kind, MethodRefused, PathRefused, admit, clean, split_base, split_target

COUNT = 12_000
OVER_HTTP = COUNT if LONG else COUNT // 10
FORWARDED = {Kind.UPSTREAM, Kind.CHANNELS}


class RawHttp:
    """Sends a request target byte for byte; one connection for as long as it lasts."""

    def __init__(self, address, headers: dict[str, str]) -> None:
        self._address, self._headers = address, headers
        self._socket: socket.socket | None = None

    def get(self, target: str) -> tuple[int, bytes]:
        for _ in range(2):
            try:
                return self._get(target)
            except (OSError, EOFError):
                self._socket = None
        return 0, b""

    def _get(self, target: str) -> tuple[int, bytes]:
        if self._socket is None:
            family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
            self._socket = socket.socket(family)
            self._socket.settimeout(20)
            self._socket.connect(self._address)
            self._rest = b""
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in self._headers.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status = int(head.split(" ", 2)[1])
        fields = {
            line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:] if line
        }
        body = self._body(fields) if status not in (101, 204, 304) else b""
        if status == 101 or fields.get("connection", "").lower() == "close":
            self._socket.close()
            self._socket = None
        return status, head.encode() + body

    def _body(self, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return self._exactly(int(fields["content-length"]))
        body = b""
        while fields.get("transfer-encoding") == "chunked":
            size = int(self._until(b"\r\n"), 16)
            body += self._exactly(size + 2)[:-2]
            if not size:
                break
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._rest:
            self._more()
        found, _, self._rest = self._rest.partition(mark)
        return found + mark

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        self._rest += data


@pytest.fixture(scope="module")
def traps(jupyter: Path) -> Path:
    """The marker in every place from which a Jupyter server gives out files."""
    home = jupyter / "home"
    (home / "secret.txt").write_text(MARKER)
    notebook = '{"cells":[{"cell_type":"code","id":"a","metadata":{},"source":"# %s","outputs":[],"execution_count":1}]'
    (home / "secret.ipynb").write_text(notebook % MARKER + ',"metadata":{},"nbformat":4,"nbformat_minor":5}')
    for folder in ("kernels/evil", "labextensions/evil"):
        place = home / ".local/share/jupyter" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "secret.txt").write_text(MARKER)
    (home / ".local/share/jupyter/kernels/evil/kernel.json").write_text(
        '{"argv": ["x"], "display_name": "x", "language": "x"}'
    )
    return jupyter


def test_the_attacks_work_on_a_bare_server(traps: Path):
    """Plain, and in enough other spellings to show that a list of forbidden words would not do."""
    bare = RawHttp(str(traps / "jupyter.sock"), {"Host": "localhost", "Authorization": f"token {TOKEN}"})
    for path, found in ROOTS.items():
        if found:
            status, text = bare.get(f"/{path}")
            assert status == 200, (path, status)
            assert found.encode() in text, path
    for path in (
        "files/%73ecret.txt",
        "files/./secret.txt",
        "files/%2e/secret.txt",
        "files/x/../secret.txt",
        "nbconvert/script/%73ecret.ipynb",
        "kernelspecs/%65vil/secret.txt",
        "lab/extensions/%65vil/secret.txt",
    ):
        assert MARKER.encode() in bare.get(f"/{path}")[1], path
    assert any(MARKER.encode() in bare.get(f"/{path}")[1] for path in list(spellings(300, seed=1))[len(ROOTS) :])


def test_none_is_on_the_list():
    """All of them against the pure rules: nothing is forwarded but paths of the contents API, whole and normal."""
    forwarded = []
    for path in spellings(COUNT, seed=2):
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
    assert front.get("/user/alice/heart/api/contents/secret.txt")[0] == 200
    leaks, odd = [], {}
    for path in spellings(OVER_HTTP, seed=2):
        status, text = front.get(f"/user/alice/heart/{path}")
        if MARKER.encode() in text:
            leaks.append(path)
        if status not in (400, 404):
            odd[path] = status
        if b"content-security-policy" not in text.lower():
            leaks.append(f"no policy: {path}")
    assert leaks == []
    assert {path: status for path, status in odd.items() if not is_own_answer(path)} == {}


def is_own_answer(path: str) -> bool:
    """Whether the guard answers this spelling itself: Lab's page, a redirect to it, or a file that is not there."""
    try:
        raw_path, raw_query = split_target(f"/user/alice/heart/{path}")
        return admit("GET", split_base(clean(raw_path))[1], raw_query).kind not in FORWARDED
    except (PathRefused, MethodRefused):
        return False


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
        status, text = front.get(f"{base}api/contents/secret.txt")
        assert status in (403, 404), (base, status)
        assert MARKER.encode() not in text
