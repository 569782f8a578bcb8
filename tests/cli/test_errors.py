"""Exit codes equal the error tree; a token that others can read is refused; nothing of others drives the terminal."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import tre.cli.client as client
from tests.cli.conftest import Run
from tre import errors
from tre.cli.client import SavedToken, check_url, load_token, part, save_token
from tre.cli.show import as_line, show, text
from tre.errors import InvalidInput, TreError, Unauthenticated, error_of
from tre.people.signin import TooManyAttempts

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TreError)]
# Colours, the clipboard (OSC 52), the title, C1, DEL, backspaces, overrides of direction, a line separator.
HOSTILE = "\x1b[2Ja\x1b]52;c;cm0=\x07b\x9b31mc\x7fd\b\re\u202ef\u2066g\u2028h\x00"


@pytest.fixture
def signed_in(token_file: Path) -> Path:
    save_token(SavedToken("http://127.0.0.1:9", "t", "bob"))
    return token_file


def answer(monkeypatch: pytest.MonkeyPatch, status: int, body: Any) -> None:
    def request(*arguments: Any, **more: Any) -> httpx.Response:
        if isinstance(body, bytes):
            return httpx.Response(status, content=body)
        return httpx.Response(status, json=body)

    monkeypatch.setattr(httpx, "request", request)


@pytest.mark.parametrize("kind", [*TREE, TooManyAttempts], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("code", ["", "a_finer_code"])
def test_the_exit_code_is_that_of_the_error_on_the_other_side(
    tre: Run, signed_in: Path, monkeypatch: pytest.MonkeyPatch, kind: type[TreError], code: str
):
    error = kind("No.", code=code, hint="Do this.", field="name")
    answer(monkeypatch, kind.http_status, error.as_dict())
    ran = tre("person", "list")
    assert (ran.code, ran.out) == (kind.exit_code, "")
    assert ran.err == "Error (name): No.\n  Do this.\n"
    as_json = tre("person", "list", "--json")
    assert as_json.code == kind.exit_code
    told = json.loads(as_json.err)["error"]
    assert (told["message"], told["code"]) == ("No.", error.error_code)


def test_the_exit_codes_differ_where_a_script_would_act_differently():
    assert {kind.__name__: kind.exit_code for kind in TREE} == {
        "TreError": 70,
        "InvalidInput": 2,
        "NotFound": 3,
        "Conflict": 4,
        "Refusal": 5,
        "Unauthenticated": 6,
        "Forbidden": 5,
        "GateClosed": 7,
        "Hidden": 3,
        "LimitExceeded": 8,
        "Unavailable": 75,
        "Broken": 20,
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 6), (403, 5), (404, 3), (409, 4), (413, 8), (422, 2), (429, 8), (503, 75), (500, 70), (418, 70)],
)
@pytest.mark.parametrize("body", [b"", b"<html>", [], {"error": {}}, {"detail": "x"}])
def test_an_answer_that_is_not_ours_is_read_by_its_status(
    tre: Run, signed_in: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: int, body: Any
):
    answer(monkeypatch, status, body)
    assert tre("person", "list").code == code


def test_an_error_that_is_none_becomes_one():
    assert error_of(500, {"error": {"code": None, "message": None}}).message == "The platform answered with status 500."
    assert error_of(409, "text").exit_code == 4


def test_no_platform_is_code_75(tre: Run, signed_in: Path):
    ran = tre("person", "list")
    assert (ran.code, ran.err.splitlines()[0]) == (75, "Error: The platform at http://127.0.0.1:9 does not answer.")


def test_what_nobody_expected_is_code_70_and_no_traceback(tre: Run, signed_in: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(httpx, "request", fail)
    ran = tre("person", "list")
    assert (ran.code, "a secret" in ran.err + ran.out) == (70, False)
    monkeypatch.setenv("TRE_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        tre("person", "list")


def test_ctrl_c_is_code_130(tre: Run, signed_in: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx, "request", interrupt)
    assert tre("person", "list").code == 130


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o620, 0o602, 0o610])
def test_a_token_that_others_can_read_or_write_is_refused(signed_in: Path, tre: Run, mode: int):
    signed_in.chmod(mode)
    ran = tre("person", "list")
    assert ran.code == 6
    assert "can be read by others" in ran.err


def test_a_token_is_written_for_its_owner_alone(signed_in: Path):
    import os

    assert signed_in.stat().st_mode & 0o777 == 0o600
    assert signed_in.parent.stat().st_mode & 0o777 == 0o700
    assert load_token() == SavedToken("http://127.0.0.1:9", "t", "bob")
    old = os.umask(0)
    try:
        save_token(SavedToken("http://127.0.0.1:9", "u", "bob"))
    finally:
        os.umask(old)
    assert signed_in.stat().st_mode & 0o777 == 0o600
    assert load_token().token == "u"


def test_a_link_left_where_the_token_is_written_is_not_followed(signed_in: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    (signed_in.parent / "token.json.new").symlink_to(elsewhere)
    save_token(SavedToken("http://127.0.0.1:9", "u", "bob"))
    assert not elsewhere.exists()
    assert load_token().token == "u"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"url": "x"}', '{"url": "x", "token": "t", "username": "u", "x": 1}']
)
def test_a_token_file_that_is_none_means_signed_out(signed_in: Path, content: str):
    signed_in.write_text(content)
    with pytest.raises(Unauthenticated, match="not signed in"):
        load_token()


@pytest.mark.parametrize("missing", ["TRE_TOKEN_FILE", "XDG_CONFIG_HOME"])
def test_where_the_token_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TRE_TOKEN_FILE", raising=False)
    monkeypatch.delenv(missing, raising=False)
    folder = tmp_path / ".config" if missing == "XDG_CONFIG_HOME" else tmp_path / "xdg"
    assert client.token_file() == folder / "tre" / "token.json"


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://localhost", "example.org", "", "http://127.0.0.1.example.org", "http:///x"]
)
def test_a_password_never_travels_in_the_clear(tre: Run, url: str, tmp_path: Path):
    with pytest.raises(InvalidInput):
        check_url(url)
    if url:
        assert tre("login", "--url", url, "--username", "bob", "--totp", "1", "--password-file", "/dev/null").code == 2


@pytest.mark.parametrize(
    "url", ["https://tre.example.org/", "http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000"]
)
def test_addresses(url: str):
    assert check_url(url) == url.rstrip("/")


def test_a_name_stays_one_part_of_its_path():
    assert part("../people?x=1#y z\n") == "..%2Fpeople%3Fx%3D1%23y%20z%0A"


def harmless(shown: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in shown)


@pytest.mark.parametrize(
    "value",
    [
        {
            "title": HOSTILE,
            "members": [{"name": HOSTILE, HOSTILE: "x"}],
            "texts": [HOSTILE],
            "inner": {HOSTILE: HOSTILE},
        },
        [{"title": HOSTILE, "number": 1, "flag": True, "none": None, "list": []}],
        HOSTILE,
        {},
        [],
    ],
)
def test_nothing_of_others_drives_the_terminal(capsys: pytest.CaptureFixture[str], value: Any):
    show(value)
    shown = capsys.readouterr().out
    assert harmless(shown), repr(shown)
    line = as_line(value)
    assert harmless(line), repr(line)
    assert "\n" not in line
    assert json.loads(line) == value


def test_hostile_errors_and_answers_are_shown_harmlessly(tre: Run, signed_in: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, 409, {"error": {"code": "conflict", "message": HOSTILE, "hint": HOSTILE, "field": HOSTILE}})
    for arguments in (("person", "list"), ("person", "list", "--json")):
        ran = tre(*arguments)
        assert harmless(ran.err + ran.out), repr(ran.err)
    rows = [{"username": HOSTILE, "name": HOSTILE, "roles": [{"role": HOSTILE}]}]
    answer(monkeypatch, 200, rows)
    for arguments in (("person", "list"), ("person", "list", "--json"), ("person", "show", "x")):
        ran = tre(*arguments)
        assert ran.code == 0
        assert harmless(ran.err + ran.out), repr(ran.out)


def test_lines_of_others_do_not_look_like_ours(capsys: pytest.CaptureFixture[str]):
    show({"purpose": "To learn.\nstate    approved", "state": "proposed"})
    assert capsys.readouterr().out == "purpose  To learn.\n         state    approved\nstate    proposed\n"


def test_values_for_people():
    shown = {
        "-": [None, "", [], {}, {"a": None}],
        "yes": [True],
        "no": [False],
        "0": [0],
        "1, a": [[1, "a"]],
        "role: custodian, of: rand": [{"role": "custodian", "of": "rand", "until": None}],
        "2026-11-29 02:24:32 UTC": ["2026-11-29T02:24:32.178949Z", "2026-11-29T02:24:32Z"],
        "2026-11-29T02:24:32": ["2026-11-29T02:24:32"],
    }
    for words, values in shown.items():
        assert {text(value) for value in values} == {words}
