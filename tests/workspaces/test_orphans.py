"""Leases without a workspace and workspaces without their lease: found, told and ended, and nobody else is."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.fixtures.workspaces import Desk, FailingLeases
from tre.credentials import Held, Secrets
from tre.data.carrying import CARRIER
from tre.errors import Unavailable
from tre.workspaces.model import Workspace
from tre.workspaces.orphans import GRACE, reconcile
from tre.workspaces.verifications import PROBE


@dataclass
class Listed(FailingLeases):
    def list_leases(self) -> list[Held]:
        self._ask("list")
        return [Held(lease, "cost", workspace, self._in(60)) for lease, workspace in self.live.items()]


@pytest.fixture
def listed(desk: Desk) -> Desk:
    desk.leases = Listed(desk.people.clock)
    return desk


def found(desk: Desk) -> list[tuple[str, str]]:
    return [(event["subject"], event["detail"]["found"]) for event in desk.events("credential.orphan")]


def pass_by(desk: Desk) -> None:
    desk.people.clock.set(desk.people.clock() + GRACE + timedelta(seconds=1))


def look(desk: Desk) -> int:
    return reconcile(desk.people.db, desk.leases)


def test_where_all_is_right_nothing_is_written(listed: Desk):
    listed.running()
    pass_by(listed)
    before = listed.events()
    assert [look(listed), look(listed)] == [0, 0]
    assert listed.events() == before


def test_a_lease_of_nobody_ends_and_is_told_once(listed: Desk):
    kept = listed.running()
    listed.leases.live["stray"] = "no-such-workspace"
    assert [look(listed), look(listed)] == [1, 0]
    assert list(listed.leases.live.values()) == [kept]
    assert found(listed) == [("workspace:no-such-workspace", "a lease without a workspace")]


def test_who_carries_an_extract_or_tries_walls_has_a_login_without_a_workspace(listed: Desk):
    listed.leases.live |= {"a": f"{CARRIER}x", "b": f"{PROBE}x"}
    pass_by(listed)
    assert look(listed) == 0
    assert listed.leases.live.keys() == {"a", "b"}


def test_one_that_cannot_be_ended_holds_up_no_other_and_is_found_again(listed: Desk, monkeypatch: pytest.MonkeyPatch):
    listed.leases.live |= {"stuck": "gone-1", "stray": "gone-2"}
    revoke = type(listed.leases).revoke

    def stuck(self: Listed, lease: str) -> None:
        if lease == "stuck":
            raise Unavailable("The secrets server does not answer.")
        revoke(self, lease)

    with monkeypatch.context() as patch:
        patch.setattr(type(listed.leases), "revoke", stuck)
        assert look(listed) == 1
    assert list(listed.leases.live) == ["stuck"]
    assert look(listed) == 1
    assert found(listed) == [(f"workspace:{name}", "a lease without a workspace") for name in ("gone-2", "gone-1")]


def test_the_lease_of_a_workspace_that_ended_is_an_orphan_after_a_while(listed: Desk):
    workspace_id = listed.running()
    lease, holder = next(iter(listed.leases.live.items()))
    listed.report(workspace_id, "stopped")
    listed.leases.live[lease] = holder
    assert look(listed) == 0
    pass_by(listed)
    assert look(listed) == 1
    assert (listed.leases.live, len(found(listed))) == ({}, 1)


def test_a_workspace_whose_lease_is_gone_ends(listed: Desk):
    workspace_id = listed.running()
    listed.leases.live.clear()
    assert look(listed) == 0
    pass_by(listed)
    assert look(listed) == 1
    workspace = listed.workspace(workspace_id)
    assert (workspace.state, workspace.reason) == ("stopping", "Its database login has ended.")
    assert found(listed) == [(f"workspace:{workspace_id}", "a workspace without its lease")]
    assert look(listed) == 0


def test_a_silent_secrets_server_ends_nothing(listed: Desk):
    workspace_id = listed.running()
    listed.leases.down = True
    pass_by(listed)
    with pytest.raises(Unavailable):
        look(listed)
    assert (listed.state(workspace_id), found(listed)) == ("running", [])


def test_with_the_real_secrets_server(desk: Desk, secrets: Secrets, data_server: object):
    """Its leases are named by accessors, ours begin with them."""
    secrets.project_prepare("cost")
    desk.leases = secrets
    workspace_id = desk.running()
    strays = [secrets.lease("cost", "nobody-s"), secrets.lease("cost", "", 600)]
    others = [held for held in secrets.list_leases() if held.project != "cost"]
    for held in others:
        secrets.revoke(held.id)
    pass_by(desk)
    assert look(desk) == len(strays)
    assert [held.workspace for held in secrets.list_leases()] == [workspace_id]
    secrets.revoke(desk.workspace(workspace_id).lease_id)
    assert look(desk) == 1
    assert desk.state(workspace_id) == "stopping"
    desk.change(Workspace, state="stopped")
