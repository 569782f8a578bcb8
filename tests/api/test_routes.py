"""Every route there is, enumerated: who may call it, with which token, and what its body may hold."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.conftest import OPEN, Api, filled, routes
from tests.fixtures.workspaces import Desk
from tre.api.app import PREFIX, internal_app, public_app
from tre.api.auth import Client
from tre.people import service as people
from tre.people.signin import SignedIn, issue_token

BOB = SignedIn("bob", "Bob", frozenset(), 0)
# The only thing that a token for reading may do besides: end itself.
LEAVING = ("POST", "/sign-out")


def public_routes() -> list[tuple[str, str, dict[str, Any]]]:
    return routes(public_app(None).openapi(), PREFIX)  # type: ignore[arg-type]


def internal_routes() -> list[tuple[str, str, dict[str, Any]]]:
    return routes(internal_app(None).openapi(), "/internal")  # type: ignore[arg-type]


def test_the_open_routes_are_there_and_are_all():
    assert {(method, path) for method, path, _ in public_routes()} >= OPEN | {LEAVING}


def test_every_other_route_refuses_without_a_token(api: Api):
    db = api.platform.db
    expired, _ = issue_token(db, BOB, scope="all", via="cli", life=timedelta(seconds=-1))
    revoked, _ = issue_token(db, BOB, scope="all", via="cli")
    assert api.call("POST", "/sign-out", headers={"Authorization": f"Bearer {revoked}"}).status_code == 200
    good = api.token("bob")
    shown = {
        "none": {},
        "empty": {"Authorization": "Bearer "},
        "garbage": {"Authorization": "Bearer \x80\xff"},
        "long": {"Authorization": "Bearer " + "x" * 60_000},
        "basic": {"Authorization": f"Basic {good}"},
        "cookie": {"Cookie": f"token={good}; Authorization=Bearer {good}"},
        "expired": {"Authorization": f"Bearer {expired}"},
        "revoked": {"Authorization": f"Bearer {revoked}"},
    }
    for method, path, _ in public_routes():
        if (method, path) in OPEN:
            continue
        before = len(api.refusals())
        # Every way of not having a token on one route, the plain ones on all.
        tried = shown if path == "/me" else {name: shown[name] for name in ("none", "revoked")}
        for headers in tried.values():
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = api.call(method, filled(path) + "?token=" + good, headers=raw)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated"), (method, path)
        assert len(api.refusals()) == before + len(tried), (method, path)
    assert good not in str(api.desk.events())


def test_a_token_for_reading_writes_nowhere(api: Api):
    for method, path, _ in public_routes():
        if (method, path) in OPEN or method == "GET" or (method, path) == LEAVING:
            continue
        before = len(api.refusals())
        answer = api.call(method, filled(path), by="ada", scope="read")
        assert answer.status_code == 403, (method, path)
        assert answer.json()["error"]["message"] == "This token may only read.", (method, path)
        assert [event["actor"] for event in api.refusals()[before:]] == ["ada"], (method, path)
    assert api.call("GET", "/me", by="ada", scope="read").status_code == 200


def test_a_token_for_reading_can_end_itself(api: Api):
    assert api.call("POST", "/sign-out", by="bob", scope="read").json() == {"signed_out": "bob"}
    assert api.call("GET", "/me", by="bob", scope="read").status_code == 401


def test_somebody_without_any_role_changes_nothing(api: Api):
    """Whatever a route thinks of its input, it succeeds for nobody who may not."""
    api.desk.people.add("eve")
    allowed = {LEAVING, ("POST", "/me/interests")}
    for method, path, _ in public_routes():
        if (method, path) in OPEN or method == "GET" or (method, path) in allowed:
            continue
        answer = api.call(method, filled(path), by="eve", json={})
        assert answer.status_code in (403, 404, 422), (method, path, answer.text)


def test_every_refused_look_is_recorded_with_who_looked(api: Api):
    api.desk.people.add("eve")
    for path in ("/people", "/people/bob", "/audit/events", "/projects/cost", "/projects/cost/gate"):
        answer = api.call("GET", path, by="eve")
        assert answer.status_code == 403, path
        last = api.refusals()[-1]
        assert (last["actor"], last["via"], last["action"], last["subject"]) == (
            "eve",
            "cli",
            "api.call",
            f"path:{PREFIX}{path}",
        )


def test_a_refusal_inside_a_use_case_is_recorded_once(api: Api):
    before = len(api.refusals())
    assert api.call("POST", "/organisations", by="bob", json={"slug": "x", "name": "X"}).status_code == 403
    assert [event["action"] for event in api.refusals()[before:]] == ["organisation.add"]


def test_roles_taken_away_act_on_the_next_call(api: Api, desk: Desk):
    desk.people.add("audrey", people.Role.auditor)
    assert api.call("GET", "/people", by="audrey").status_code == 200
    people.take_role(desk.people.db, desk.people.admin, username="audrey", role=people.Role.auditor)
    assert api.call("GET", "/people", by="audrey").status_code == 403


@pytest.mark.parametrize("which", ["public", "internal"])
def test_every_body_refuses_unknown_fields(which: str):
    app = public_app(None) if which == "public" else internal_app(None)  # type: ignore[arg-type]
    document = app.openapi()
    open_ended = {
        name
        for name, schema in document["components"]["schemas"].items()
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
    }
    # These two are FastAPI's own words about its errors, never a body.
    assert open_ended <= {"HTTPValidationError", "ValidationError"}
    for _, path, operation in routes(document, ""):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "$ref" in content["schema"], path


def test_an_unknown_field_is_named(api: Api):
    body = {"slug": "x", "name": "X", "role": "administrator"}
    answer = api.call("POST", "/organisations", by="ada", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "role")
    assert api.call("GET", "/organisations", by="ada").json() == [{"slug": "uni", "name": "uni"}]


# Which process of the door may call what; a route that is missing here has not been thought about.
CLIENTS = {
    "/bootstrap": Client.machine,
    "/sign-in": Client.hub,
    "/identities/sign-in": Client.hub,
    "/identities/redeem": Client.hub,
    "/identities/refused": Client.hub,
    "/people/{username}": Client.hub,
    "/people/{username}/renew": Client.machine,
    "/people/{username}/confirmation": Client.hub,
    "/intake-key": Client.intake,
    "/workspaces": Client.hub,
    "/workspaces/{workspace_id}/events": Client.hub,
    "/workspaces/{workspace_id}/idle": Client.guard,
    "/workspaces/{workspace_id}/traffic": Client.guard,
    "/routes": Client.guard,
    "/workspaces/{workspace_id}/requests": Client.intake,
    "/workspaces/{workspace_id}/requests/{request}": Client.intake,
    "/workspaces/{workspace_id}/requests/content/{sha256}": Client.intake,
    "/workspaces/{workspace_id}/verification": Client.machine,
    "/workspaces/{workspace_id}/verifications": Client.machine,
    "/workspaces/{workspace_id}/verifications/{number}": Client.machine,
}


def test_the_internal_api_refuses_everybody_but_the_client_a_route_is_for(api: Api):
    for method, path, _ in internal_routes():
        owner = CLIENTS[path]
        for client in (None, *Client):
            before = len(api.refusals())
            answer = api.inside(client, method, filled(path), json={})
            if client is owner:
                assert answer.status_code != 401, (method, path, client)
                continue
            assert answer.status_code == 401, (method, path, client)
            assert len(api.refusals()) == before + 1
    people_tokens = {"Authorization": f"Bearer {api.token('ada')}"}
    assert api.internal.get("/internal/people/bob", headers=people_tokens).status_code == 401


def test_without_its_token_file_the_internal_api_refuses_everybody(api: Api):
    path = api.platform.settings.secret_file("internal-hub.token")
    for content in (None, "", "\n"):
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        for header in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer \n"}, {"Authorization": "Bearer x"}):
            assert api.internal.get("/internal/people/bob", headers=header).status_code == 401
    path.touch()


def test_the_two_applications_share_no_route(api: Api):
    assert api.client.post("/internal/bootstrap", json={}).status_code == 404
    assert api.internal.get(PREFIX + "/me").status_code == 404
    assert api.internal.get("/openapi.json").status_code == 404
