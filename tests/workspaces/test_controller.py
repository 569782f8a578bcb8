"""Each loss ends a workspace in one pass; timeouts, clocks that jump, parts that fail, and nothing to do."""

from datetime import timedelta

import pytest

from tests.fixtures.workspaces import Desk
from tests.workspaces.test_service import LOSSES, OBSTACLES
from tre.errors import NotFound, Unavailable
from tre.workspaces import controller, service
from tre.workspaces.model import TIMEOUTS, Workspace, WorkspacePolicy, WorkspaceState
from tre.workspaces.rules import CLOCK_SLACK
from tre.workspaces.service import TOKEN_LIFE

SECOND = timedelta(seconds=1)


def test_a_pass_with_nothing_to_do_writes_nothing(desk: Desk):
    desk.running()
    before, asked = desk.events(), list(desk.leases.asked)
    assert [desk.converge(), desk.converge()] == [0, 0]
    assert (desk.events(), desk.leases.asked, desk.sandboxes.ended) == (before, asked, [])


@pytest.mark.parametrize("code", LOSSES)
@pytest.mark.parametrize("state", [WorkspaceState.starting, WorkspaceState.running])
def test_each_lost_precondition_ends_it_in_one_pass(desk: Desk, code: str, state: WorkspaceState):
    workspace_id = desk.start().workspace_id if state is WorkspaceState.starting else desk.running()
    LOSSES[code](desk)
    # Some losses come with a day: the workspace itself must not be what is too old.
    moment = desk.people.clock()
    desk.change(Workspace, state_since=moment, requested_at=moment, expires_at=moment + timedelta(hours=1))
    assert desk.converge() == 1
    workspace = desk.workspace(workspace_id)
    assert (workspace.state, desk.leases.live, desk.sandboxes.ended) == ("stopping", {}, [workspace_id])
    assert workspace.reason
    event = desk.events("workspace.stop")[-1]
    assert (event["actor"], event["detail"]) == ("system", {"reason": workspace.reason})


def test_a_suspension_for_traffic_closes_the_door_and_ends_nothing(desk: Desk):
    workspace_id = desk.running()
    OBSTACLES["traffic_suspended"](desk)
    assert desk.converge() == 0
    assert desk.state(workspace_id) == "running"


@pytest.mark.parametrize("state", list(TIMEOUTS))
@pytest.mark.parametrize("direction", [1, -1])
def test_a_state_of_the_platform_ends_at_its_timeout_also_when_the_clock_was_set_back(
    desk: Desk, state: WorkspaceState, direction: int
):
    workspace_id = desk.start().workspace_id
    now, limit = desk.people.clock(), TIMEOUTS[state] if direction > 0 else CLOCK_SLACK
    desk.change(Workspace, state=state, state_since=now)
    desk.people.clock.set(now + limit * direction)
    desk.converge()
    assert desk.state(workspace_id) == state
    desk.people.clock.set(now + (limit + SECOND) * direction)
    desk.converge()
    workspace = desk.workspace(workspace_id)
    assert workspace.state == "failed"
    assert workspace.reason == f"Nothing heard for {int(TIMEOUTS[state].total_seconds())} s while {state}."
    assert (desk.leases.live, set(desk.sandboxes.ended)) == ({}, {workspace_id})


def test_a_workspace_ends_at_its_age(desk: Desk):
    desk.change(WorkspacePolicy, max_age_seconds=100)
    workspace_id = desk.running()
    desk.people.clock.advance(seconds=99)
    assert desk.converge() == 0
    desk.people.clock.advance(seconds=1)
    assert desk.converge() == 1
    assert desk.workspace(workspace_id).reason == "The workspace reached its maximum age."


def test_a_clock_set_back_by_much_ends_it_and_by_little_does_not(desk: Desk):
    workspace_id = desk.running()
    start = desk.people.clock()
    desk.people.clock.set(start - CLOCK_SLACK)
    assert desk.converge() == 0
    desk.people.clock.set(start - CLOCK_SLACK - SECOND)
    assert desk.converge() == 1
    assert desk.workspace(workspace_id).reason == "The platform's clock was set back."


def test_one_that_starts_by_a_clock_that_is_ahead_has_its_time(desk: Desk):
    """Another process wrote when it began, on a node whose clock is another."""
    workspace_id = desk.start().workspace_id
    start = desk.people.clock()
    for apart in (timedelta(minutes=3), CLOCK_SLACK):
        desk.people.clock.set(start - apart)
        assert desk.converge() == 0
    desk.people.clock.set(start - CLOCK_SLACK - SECOND)
    assert desk.converge() == 1
    assert desk.state(workspace_id) == "failed"


def test_a_clock_set_back_over_a_day_does_not_open_what_a_date_closed(desk: Desk):
    workspace_id = desk.running()
    OBSTACLES["project_ended"](desk)
    desk.people.clock.advance(days=-3)
    assert desk.converge() == 1
    assert desk.state(workspace_id) == "stopping"


def test_revocation_is_repeated_until_it_succeeds(desk: Desk):
    workspace_id = desk.running()
    LOSSES["project_suspended"](desk)
    desk.leases.down = True
    for _ in range(3):
        desk.converge()
        assert desk.state(workspace_id) == "stopping"
        assert desk.workspace(workspace_id).lease_revoked_at is None
    # The sandbox was asked to end in the very first pass, though the credential could not be revoked.
    assert desk.sandboxes.ended == [workspace_id] * 3
    desk.leases.down = False
    desk.converge()
    assert (desk.state(workspace_id), desk.leases.live) == ("stopping", {})
    assert desk.workspace(workspace_id).lease_revoked_at is not None


@pytest.mark.parametrize("end", [WorkspaceState.stopped, WorkspaceState.failed])
def test_a_credential_left_by_an_ended_workspace_is_revoked(desk: Desk, end: WorkspaceState):
    workspace_id = desk.running()
    desk.leases.down = True
    with pytest.raises(Unavailable):
        desk.report(workspace_id, end)
    assert desk.state(workspace_id) == end
    desk.converge()
    desk.leases.down = False
    assert desk.converge() == 1
    assert desk.leases.live == {}
    assert desk.converge() == 0


def test_a_stop_while_the_secrets_server_is_down_says_so_and_is_carried_out(desk: Desk):
    workspace_id = desk.running()
    desk.leases.down = True
    with pytest.raises(Unavailable):
        service.stop(desk.people.db, desk.leases, desk.bob, workspace_id, "Done.")
    assert desk.state(workspace_id) == "stopping"
    desk.leases.down = False
    desk.converge()
    assert desk.leases.live == {}


@pytest.mark.parametrize("broken", [Unavailable("The Hub does not answer."), RuntimeError("bug")])
def test_a_sandbox_that_cannot_be_ended_is_asked_again_and_fails_visibly(desk: Desk, broken: Exception):
    workspace_id = desk.running()
    LOSSES["project_suspended"](desk)
    desk.sandboxes.broken = broken
    desk.converge()
    assert (desk.state(workspace_id), desk.leases.live) == ("stopping", {})
    desk.people.clock.advance(seconds=61)
    desk.converge()
    workspace = desk.workspace(workspace_id)
    assert workspace.state == "failed"
    # The reason that the person reads is the first one, not that the end took long.
    assert workspace.reason.startswith("Project cost is suspended")


@pytest.mark.parametrize("error", [Unavailable("no"), RuntimeError("a secret in the text")])
def test_one_that_fails_does_not_hold_up_the_others(
    desk: Desk, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from tests.fixtures.workspaces import grant_survey
    from tre.people.model import Role

    first = desk.running()
    cy = desk.people.add("cy", Role.researcher)
    desk.projects.approved("benefit", cy)
    grant_survey(desk.people, "benefit")
    plan = service.start(desk.people.db, desk.leases, desk.places, cy, "benefit")
    desk.report(plan.workspace_id, WorkspaceState.running)
    desk.people.clock.advance(hours=25)
    real = service.stop

    def stop(db: object, leases: object, actor: object, workspace_id: str, reason: str) -> object:
        if workspace_id == first:
            raise error
        return real(db, leases, actor, workspace_id, reason)

    monkeypatch.setattr(service, "stop", stop)
    assert desk.converge() == 1
    assert (desk.state(first), desk.state(plan.workspace_id)) == ("running", "stopping")
    assert "a secret" not in caplog.text
    assert first in caplog.text


def test_a_lease_is_renewed_in_its_second_half_and_its_loss_ends_the_workspace(desk: Desk):
    workspace_id = desk.running()
    desk.people.clock.advance(minutes=29)
    desk.converge()
    assert "renew" not in desk.leases.asked
    desk.people.clock.advance(minutes=1)
    assert desk.converge() == 0
    assert desk.leases.asked.count("renew") == 1
    assert desk.workspace(workspace_id).lease_expires_at == desk.people.clock() + timedelta(hours=1)
    desk.leases.live.clear()
    desk.people.clock.advance(minutes=31)
    assert desk.converge() == 1
    assert desk.workspace(workspace_id).reason == "Its database login has ended."


def test_a_secrets_server_that_is_down_ends_nothing_by_itself(desk: Desk):
    workspace_id = desk.running()
    desk.people.clock.advance(minutes=40)
    desk.leases.down = True
    desk.converge()
    assert desk.state(workspace_id) == "running"


def test_a_workspace_without_a_lease_is_not_renewed(desk: Desk):
    desk.running()
    desk.change(Workspace, lease_id=None, lease_expires_at=None)
    desk.people.clock.advance(hours=2)
    assert desk.converge() == 0
    assert "renew" not in desk.leases.asked


def test_two_controllers_at_once_end_it_once(desk: Desk, at_once: object):
    workspace_id = desk.running()
    LOSSES["project_suspended"](desk)
    at_once(desk.converge, desk.converge, desk.converge)
    assert (desk.state(workspace_id), desk.leases.live) == ("stopping", {})
    assert len(desk.events("workspace.stop")) == len(desk.events("credential.revoke")) == 1


def test_the_platforms_end_ends_every_workspace_and_its_login(desk: Desk):
    workspace_id = desk.running()
    assert desk.close() == 1
    workspace = desk.workspace(workspace_id)
    assert (workspace.state, workspace.reason) == ("stopped", "The platform was stopped.")
    assert (desk.leases.live, desk.sandboxes.ended) == ({}, [workspace_id])
    before = desk.events()
    assert desk.close() == 0
    assert desk.events() == before


def test_one_that_is_starting_ends_too(desk: Desk):
    workspace_id = desk.start().workspace_id
    assert desk.close() == 1
    assert (desk.state(workspace_id), desk.leases.live) == ("failed", {})


def test_a_login_that_could_not_be_revoked_at_the_end_is_revoked_by_the_next_platform(desk: Desk):
    workspace_id = desk.running()
    desk.leases.down = True
    assert desk.close() == 0
    assert (desk.state(workspace_id), len(desk.leases.live)) == ("stopped", 1)
    desk.leases.down = False
    assert desk.converge() == 1
    assert desk.leases.live == {}


def test_an_intake_token_is_renewed_in_its_second_half_for_as_long_as_the_workspace_runs(desk: Desk):
    workspace_id = desk.running()
    service.issue_token(desk.people.db, desk.tokens.make, workspace_id)
    begun = desk.people.clock()
    for minutes in range(0, 12 * 60, 10):
        desk.people.clock.set(begun + timedelta(minutes=minutes))
        assert desk.converge() == 0
        ends = desk.workspace(workspace_id).token_expires_at
        assert ends is not None
        assert ends - desk.people.clock() > TOKEN_LIFE / 2 - timedelta(minutes=10)
    assert desk.tokens.handed == [(workspace_id, f"token {number}") for number in range(2, 2 + 23)]
    assert "token" not in str(desk.events("workspace"))


def test_a_token_that_does_not_reach_its_workspace_is_made_again(desk: Desk):
    workspace_id = desk.running()
    service.issue_token(desk.people.db, desk.tokens.make, workspace_id)
    desk.people.clock.advance(minutes=40)
    for desk.tokens.broken in (NotFound("gone"), Unavailable("sealed"), OSError("disk"), None, None):
        desk.converge()
    assert desk.tokens.handed == [(workspace_id, "token 5")]
    desk.people.clock.advance(hours=-2)
    desk.change(Workspace, requested_at=desk.people.clock())
    desk.converge()
    assert len(desk.tokens.handed) == 2, "one of the future opens nothing: the clock was set back"


def test_a_workspace_that_ends_gets_no_token(desk: Desk):
    workspace_id = desk.running()
    service.issue_token(desk.people.db, desk.tokens.make, workspace_id)
    desk.people.clock.advance(minutes=40)
    LOSSES["project_suspended"](desk)
    for _ in range(3):
        desk.converge()
    assert desk.tokens.handed == []


def test_what_was_being_stopped_has_stopped_whatever_the_door_calls_it(desk: Desk):
    """The Hub only sees a sandbox that is gone; the reason is the one of before."""
    workspace_id = desk.running()
    service.stop(desk.people.db, desk.leases, controller.SYSTEM_STOPS, workspace_id, "Nobody has worked in it.")
    desk.report(workspace_id, WorkspaceState.failed, "not running")
    workspace = desk.workspace(workspace_id)
    assert (workspace.state, workspace.reason) == ("stopped", "Nobody has worked in it.")
