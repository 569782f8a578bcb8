"""What an answer never says: a value, a traceback, another kind of error; and bodies that are too large."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import Api
from tre.api.app import INTERNAL_BODY, PREFIX, PUBLIC_BODY, public_app
from tre.api.auth import Client
from tre.errors import TreError, Unavailable
from tre.people.signin import TooManyAttempts
from tre.projects.rules import GateClosed

SECRET = "hunter2hunter2"


def test_every_error_names_its_code_and_its_kind():
    assert TooManyAttempts("x").as_dict()["error"]["kind"] == "refused"
    assert GateClosed("x", code="training_expired").as_dict() == {
        "error": {"code": "training_expired", "kind": "gate_closed", "message": "x"}
    }
    assert GateClosed("x").as_dict() == {"error": {"code": "gate_closed", "message": "x"}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/sign-in", {"username": {"a": SECRET}, "password": SECRET, "totp": "1"}, "username"),
        ("/sign-in", {"username": "bob", "password": SECRET * 100, "totp": "1"}, "password"),
        ("/sign-in", {"username": "bob", "password": [SECRET], "totp": "1"}, "password"),
        ("/people", {"username": "x", "name": SECRET, "password": SECRET, "organisation": "uni"}, "username"),
        ("/people/bob/roles", {"role": SECRET}, "role"),
        ("/people/bob/standings/end", {"kind": "training", "on": SECRET}, "on"),
        ("/projects", {"slug": SECRET * 9}, "slug"),
        ("/projects/cost/refuse", {"code": SECRET, "reason": "r", "would_change": "w"}, "code"),
        ("/me/interests", {"object": SECRET, "statement": "s"}, "object"),
    ],
)
def test_an_error_names_the_field_and_never_its_value(api: Api, path: str, body: dict[str, Any], field: str):
    answer = api.call("POST", path, by="ada", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000],
)
def test_a_body_that_is_none_is_refused_in_our_words(api: Api, body: bytes):
    headers = {"Content-Type": "application/json"}
    answer = api.call("POST", "/organisations", by="ada", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error"}
    assert b"a" * 50 not in answer.content


@pytest.mark.parametrize("text", ["\0", "\ud800", "\x1b[2J", "\u202e"])
def test_hostile_texts_everywhere_are_invalid_input(api: Api, text: str):
    body = {"slug": "x", "name": f"a{text}b"}
    # Half a character cannot be sent as UTF-8, only as an escape.
    import json

    content, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    assert api.call("POST", "/organisations", by="ada", content=content, headers=headers).status_code == 422
    for path in ("/people/a%00b", "/projects/a%00b", "/workspaces/a%00b", "/audit/events?subject=a%00b"):
        assert api.call("GET", path, by="ada").status_code in (404, 422)


def test_a_subject_too_long_for_an_index_is_still_recorded(api: Api):
    before = len(api.refusals())
    answer = api.call("POST", "/people/" + "x" * 20_000 + "/end", by="bob", json={"reason": "r"})
    assert answer.status_code == 403
    assert len(api.refusals()) == before + 1


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"not": value}
    return value


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_rows_too_deep_to_be_shown_are_refused(api: Api, depth: int):
    texts = ("title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")
    body = {
        **dict.fromkeys(texts, "text"),
        "slug": "deep",
        "end_date": "2027-01-01",
        "datasets": [{"dataset": "survey", "columns": ["age"], "rows": nested(depth)}],
    }
    assert api.call("POST", "/projects", by="bob", json=body).status_code in (400, 422)


def chunks(total: int, size: int = 65536) -> Iterator[bytes]:
    yield b'{"slug": "'
    for _ in range(total // size):
        yield b"x" * size
    yield b'"}'


def test_an_oversized_body_is_refused_before_it_is_parsed(api: Api):
    before = len(api.refusals())
    headers = {"Content-Type": "application/json"}
    whole = api.call("POST", "/organisations", content=b"x" * (PUBLIC_BODY + 1), headers=headers)
    in_pieces = api.call("POST", "/organisations", content=chunks(2 * PUBLIC_BODY), headers=headers)
    lying = api.call("POST", "/organisations", content=b"{}", headers={**headers, "Content-Length": "9" * 40})
    for answer in (whole, in_pieces, lying):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "limit_exceeded"
    assert [event["detail"]["code"] for event in api.refusals()[before:]] == ["limit_exceeded"] * 3
    fits = b" " * (PUBLIC_BODY - 2) + b"{}"
    assert api.call("POST", "/organisations", by="ada", content=fits, headers=headers).status_code == 422
    assert api.inside(Client.hub, "POST", "/sign-in", content=b"x" * (INTERNAL_BODY + 1)).status_code == 413


def test_a_traceback_never_reaches_the_answer(api: Api, caplog: pytest.LogCaptureFixture):
    app = public_app(api.platform)

    @app.get(PREFIX + "/broken")
    def broken() -> None:
        raise RuntimeError(SECRET)

    @app.get(PREFIX + "/ours")
    def ours() -> None:
        raise TreError("x" + SECRET[:0])

    client = TestClient(app, raise_server_exceptions=False)
    answer = client.get(PREFIX + "/broken")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "internal",
            "message": "Something went wrong on our side.",
            "hint": "The log of the api process says more.",
        }
    }
    assert "broken" in caplog.text
    assert client.get(PREFIX + "/ours").json() == {"error": {"code": "internal", "message": "x"}}


def test_unknown_paths_and_methods_answer_in_our_form(api: Api):
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/me", 405), ("POST", "/health", 405)):
        answer = api.call(method, path, by="ada")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, f"http_{status}")


def test_a_database_that_is_gone_is_unavailable_even_for_a_refusal(api: Api, monkeypatch: pytest.MonkeyPatch):
    """What cannot be recorded is not told: the answer says that a part is missing."""
    import tre.api.errors as module

    def fail(*arguments: object, **more: object) -> None:
        raise Unavailable("The state database does not answer.")

    monkeypatch.setattr(module, "record_refusal", fail)
    answer = api.call("GET", "/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
