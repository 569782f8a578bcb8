"""What becomes of a verification where nothing can be tried: a reason, always, and never in somebody else's hands."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.fixtures.workspaces import Desk
from tests.workspaces.kubernetes.house import cluster
from tre.errors import Unavailable
from tre.stack.ports import free_ports
from tre.workspaces import verifications
from tre.workspaces.kubernetes.aims import Surroundings
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.verification import Intake
from tre.workspaces.kubernetes.verifier import Verifier
from tre.workspaces.verifications import Told

Tokens = Callable[[str, str], Intake | None]


def nobody(project: str, probe: str) -> AbstractContextManager[None]:
    """No login: the project has no database."""
    return nullcontext()


@pytest.fixture
def nowhere(tmp_path: Path) -> Api:
    """The way to an API server that does not answer."""
    entry = {"name": "x", "cluster": {"server": f"http://127.0.0.1:{free_ports(1)}"}, "user": {}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    file = tmp_path / "kubeconfig"
    whole = {"current-context": "x", "clusters": [entry], "users": [entry], "contexts": [context]}
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **whole}))
    return Api.connect(file)


def ended(desk: Desk, api: Api, tokens: Tokens) -> Told:
    db, workspace_id = desk.people.db, desk.running()
    asked = verifications.request(db, workspace_id)
    assert Verifier(db, api, cluster(), Surroundings, tokens, nobody).verify(lambda: True) == 0
    return verifications.look(db, workspace_id, asked.number)


def test_where_the_api_server_is_silent_that_is_the_reason(desk: Desk, nowhere: Api):
    told = ended(desk, nowhere, lambda workspace, probe: None)
    assert (told.state, told.reason) == ("failed", "The API server does not answer.")
    assert desk.events("verification.fail")[-1]["detail"]["reason"] == told.reason
    assert desk.events("workspace.verify") == []


def test_where_no_token_can_be_made_that_is_the_reason(desk: Desk, nowhere: Api):
    def sealed(workspace: str, probe: str) -> Intake:
        raise Unavailable("The secrets server is sealed.")

    assert ended(desk, nowhere, sealed).reason == "The secrets server is sealed."


def test_what_nobody_foresaw_is_named_without_its_words(desk: Desk, nowhere: Api):
    """They may quote what they carried."""

    def broken(workspace: str, probe: str) -> Intake:
        raise ValueError("a token")

    told = ended(desk, nowhere, broken)
    assert (told.state, told.reason) == (
        "failed",
        "An unexpected error (ValueError); the controller's log says more.",
    )


def test_whoever_was_overtaken_says_nothing_of_the_others_work(desk: Desk, nowhere: Api):
    taken = []

    def late(workspace: str, probe: str) -> None:
        taken.append(verifications.take(desk.people.db))

    told = ended(desk, nowhere, late)
    assert (told.state, told.reason) == ("running", "")
    verifications.says(desk.people.db, taken[0], "goes on")


def test_whoever_may_not_go_on_leaves_it_to_the_next(desk: Desk, nowhere: Api):
    """It leads no longer, or is to leave: no fault of the verification's."""
    db, workspace_id = desk.people.db, desk.running()
    asked = verifications.request(db, workspace_id)
    verifier = Verifier(db, nowhere, cluster(), Surroundings, lambda workspace, probe: None, nobody)
    assert verifier.verify(lambda: False) == 0
    assert verifications.look(db, workspace_id, asked.number).state == "running"
    assert verifier.verify(lambda: True) == 0
    assert verifications.look(db, workspace_id, asked.number).reason == "The API server does not answer."


def test_with_nothing_asked_for_nothing_is_done(desk: Desk, nowhere: Api):
    before = desk.events()
    assert (
        Verifier(desk.people.db, nowhere, cluster(), Surroundings, lambda workspace, probe: None, nobody).verify(
            lambda: True
        )
        == 0
    )
    assert (desk.events(), nowhere.requests) == (before, {})
