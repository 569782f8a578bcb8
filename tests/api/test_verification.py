"""What `tre verify` is told of a running workspace, and what it records."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.conftest import Api
from tre.api.auth import Client
from tre.door import tokens
from tre.errors import Unauthenticated


def facts(api: Api, workspace_id: str) -> dict[str, Any]:
    answer = api.inside(Client.machine, "GET", f"/workspaces/{workspace_id}/verification")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_only_a_workspace_that_runs_is_verified(api: Api) -> None:
    starting = api.desk.start().workspace_id
    answer = api.inside(Client.machine, "GET", f"/workspaces/{starting}/verification")
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "The workspace is starting.")
    assert api.inside(Client.machine, "GET", "/workspaces/other/verification").status_code == 404


def test_alone_it_is_told_of_a_stranger_whose_token_opens_nothing(api: Api) -> None:
    workspace_id = api.desk.running()
    found = facts(api, workspace_id)
    assert found["neighbour"] is None
    stranger = found["stranger"]
    keys, now = tokens.load_public_keys(found["public_key"].encode()), api.platform.db.clock()
    tokens.verify(stranger["token"], keys, workspace_id=stranger["workspace_id"], now=now)
    with pytest.raises(Unauthenticated):
        tokens.verify(stranger["token"], keys, workspace_id=workspace_id, now=now)
    asked = f"/workspaces/{stranger['workspace_id']}/requests"
    assert api.inside(Client.intake, "GET", asked).status_code == 404


def test_its_own_token_has_expired_and_no_secret_is_told(api: Api) -> None:
    workspace_id = api.desk.running()
    found = facts(api, workspace_id)
    keys, now = tokens.load_public_keys(found["public_key"].encode()), api.platform.db.clock()
    token = found["workspace"]["expired_token"]
    tokens.verify(token, keys, workspace_id=workspace_id, now=now - timedelta(minutes=90))
    with pytest.raises(Unauthenticated):
        tokens.verify(token, keys, workspace_id=workspace_id, now=now)
    assert found["workspace"]["database"] is True
    assert "a secret of the lease" not in str(found)


def test_a_red_result_is_recorded_as_such(api: Api) -> None:
    workspace_id = api.desk.running()
    body = {"ok": False, "left_out": [], "refused": 7, "reached": ["fork-bomb"], "could_not_run": ["vsock"]}
    answer = api.inside(Client.machine, "POST", f"/workspaces/{workspace_id}/verification", json=body)
    assert answer.status_code == 200
    (event,) = api.desk.events("workspace.verify")
    assert (event["actor"], event["subject"], event["detail"]) == ("machine", f"workspace:{workspace_id}", body)


def test_on_one_machine_nobody_tries_for_others(api: Api) -> None:
    workspace_id = api.desk.running()
    answer = api.inside(Client.machine, "POST", f"/workspaces/{workspace_id}/verifications")
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "On one machine nobody tries for others.")
    assert api.inside(Client.machine, "GET", f"/workspaces/{workspace_id}/verifications/1").status_code == 404
