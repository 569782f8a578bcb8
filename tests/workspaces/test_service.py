"""A workspace starts through the whole gate only, once, and never leaves a credential behind."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.fixtures.workspaces import Desk
from tre.audit import Actor
from tre.data.model import Dataset, Decision, Delivery, Extract, ExtractState, Grant
from tre.errors import Conflict, Forbidden, GateClosed, InvalidInput, NotFound, Unavailable
from tre.people import identities
from tre.people import service as people_service
from tre.people.model import Role, Standing
from tre.projects import agreement
from tre.projects import service as projects
from tre.projects.model import DatasetAsk, Member, Project
from tre.workspaces import service
from tre.workspaces.model import TIMEOUTS, TRANSITIONS, Traffic, Workspace, WorkspacePolicy, WorkspaceState
from tre.workspaces.plan import DataMount, Limits

DAY = timedelta(days=1)
TODAY = date(2026, 6, 1)
YESTERDAY = TODAY - DAY


def end_standing(desk: Desk, kind: Standing) -> None:
    people_service.end_standings(desk.people.db, desk.people.admin, username="bob", kind=kind, on=TODAY)


OBSTACLES: dict[str, Callable[[Desk], None]] = {
    "sign_in_lapsed": lambda d: leave_the_provider(d),
    "project_suspended": lambda d: projects.suspend(d.people.db, d.people.admin, "cost", reason="Breach."),
    "project_closed": lambda d: projects.close(d.people.db, d.people.admin, "cost", reason="Done."),
    "project_proposed": lambda d: d.change(Project, state="proposed"),
    "project_refused": lambda d: d.change(Project, state="refused"),
    "project_ended": lambda d: d.change(Project, end_date=YESTERDAY),
    "not_a_member": lambda d: projects.remove_member(d.people.db, d.bob, "cost", username="bob", reason="A rest."),
    "accreditation_expired": lambda d: (d.people.clock.advance(days=1), end_standing(d, Standing.accreditation)),
    "training_expired": lambda d: (d.people.clock.advance(days=1), end_standing(d, Standing.training)),
    "account_ended": lambda d: people_service.end_account(d.people.db, d.people.admin, username="bob", reason="Left."),
    "not_a_researcher": lambda d: people_service.take_role(
        d.people.db, d.people.admin, username="bob", role=Role.researcher
    ),
    "agreement_missing": lambda d: d.change(Member, agreement="0" * 64),
    "grant_missing": lambda d: d.change(DatasetAsk, dataset="other"),
    "grant_refused": lambda d: d.change(Grant, decision=Decision.refused, code="other", would_change="Less."),
    "grant_ended": lambda d: d.change(Grant, until=YESTERDAY),
    "extract_not_ready": lambda d: d.change(Extract, state=ExtractState.failed, reason="Source gone."),
    "traffic_suspended": lambda d: suspend_traffic(d),
}
# A suspension only closes the door of a workspace that runs.
LOSSES = {name: close for name, close in OBSTACLES.items() if name != "traffic_suspended"}


def leave_the_provider(desk: Desk) -> None:
    db, who = desk.people.db, {"issuer": "https://id.example", "subject": "s-1"}
    identities.add_identity(db, desk.people.admin, username="bob", **who)
    identities.sign_in(db, **who, life=timedelta(hours=1), via="web")
    identities.lose(db, username="bob", **who, reason="The provider said no.")


def suspend_traffic(desk: Desk) -> None:
    now = desk.people.clock()
    with desk.people.db.transaction() as session:
        until = now + timedelta(minutes=10)
        session.add(Traffic(project_slug="cost", username="bob", day=now.date(), alarmed=True, suspended_until=until))


@pytest.mark.parametrize("code", OBSTACLES)
def test_a_start_is_refused_by_each_obstacle_and_audited(desk: Desk, code: str):
    OBSTACLES[code](desk)
    with pytest.raises(GateClosed) as closed:
        desk.start()
    assert closed.value.error_code == code
    assert closed.value.hint
    last = desk.events()[-1]
    assert (last["actor"], last["action"], last["outcome"]) == ("bob", "workspace.start", "refused")
    assert last["detail"] == {"project": "cost", "person": "bob", "code": code, "message": closed.value.message}
    assert desk.leases.asked == []
    with desk.people.db.read() as session:
        assert session.scalar(select(func.count()).select_from(Workspace)) == 0


def test_the_plan_is_whole(desk: Desk):
    plan = desk.start()
    places = desk.places
    assert (plan.person, plan.project, plan.base_url) == ("bob", "cost", "/user/bob/cost/")
    assert plan.home == str(places.homes / "cost" / "bob")
    assert plan.intake_socket == str(places.intake_sockets / plan.workspace_id / "intake.sock")
    assert plan.data == (DataMount("survey", str(places.data.extracts / "x_cost")),)
    assert plan.postgres_socket_dir == places.data_server.host
    assert plan.secrets == {
        "pg_service.conf": "[project]\nhost=/run/tre/postgresql\ndbname=p_1\nuser=w_1\npassword=a secret of the lease\n"
    }
    assert plan.limits == Limits()
    assert len(plan.jupyter_token) >= 43
    assert "a secret of the lease" not in repr(plan)
    assert [(e["actor"], e["action"], e["outcome"]) for e in desk.events()[-2:]] == [
        ("bob", "workspace.start", "done"),
        ("system", "credential.lease", "done"),
    ]
    assert "a secret" not in str(desk.events())


@pytest.mark.parametrize(("delivery", "mounts", "database"), [(Delivery.files, 1, False), (Delivery.database, 0, True)])
def test_only_what_was_granted_is_delivered(desk: Desk, delivery: Delivery, mounts: int, database: bool):
    desk.change(Grant, delivery=delivery)
    plan = desk.start()
    assert len(plan.data) == mounts
    assert (plan.postgres_socket_dir is not None, bool(plan.secrets), bool(desk.leases.asked)) == (database,) * 3


def test_the_limits_are_those_of_the_policy_now(desk: Desk):
    desk.change(WorkspacePolicy, memory_bytes=1 << 30, processes=9, cpus=0.5, max_age_seconds=60)
    plan = desk.start()
    assert (plan.limits.memory_bytes, plan.limits.processes, plan.limits.cpus) == (1 << 30, 9, 0.5)
    assert desk.workspace(plan.workspace_id).expires_at == desk.people.clock() + timedelta(seconds=60)


def test_a_policy_that_makes_no_plan_leaves_a_visible_failure(desk: Desk):
    desk.change(WorkspacePolicy, processes=0)
    with pytest.raises(InvalidInput):
        desk.start()
    with desk.people.db.read() as session:
        (workspace,) = service.list_workspaces(session)
    assert (workspace.state, workspace.reason) == ("failed", "limit processes must be a positive number")
    assert desk.leases.live == {}


def test_two_starts_at_once_give_one(desk: Desk, at_once: Callable[..., list[object]]):
    results = at_once(*[desk.start] * 5)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["LaunchPlan"]
    with desk.people.db.read() as session:
        assert len(service.list_workspaces(session)) == len(desk.leases.live) == 1
    with pytest.raises(Conflict, match="runs already"):
        desk.start()


def test_another_start_waits_for_the_end_of_the_first(desk: Desk):
    workspace_id = desk.running()
    service.stop(desk.people.db, desk.leases, desk.bob, workspace_id, "Done.")
    with pytest.raises(Conflict):
        desk.start()
    desk.report(workspace_id, WorkspaceState.stopped)
    assert desk.start().workspace_id != workspace_id


def test_nobody_starts_for_a_project_that_there_is_not(desk: Desk):
    with pytest.raises(NotFound):
        service.start(desk.people.db, desk.leases, desk.places, desk.bob, "nowhere")
    with pytest.raises(GateClosed):
        desk.start(desk.people.admin)


def test_a_lease_that_cannot_be_had_leaves_failed_with_a_visible_reason(desk: Desk):
    desk.leases.down = True
    with pytest.raises(Unavailable):
        desk.start()
    with desk.people.db.read() as session:
        (workspace,) = service.list_workspaces(session)
    assert (workspace.state, workspace.reason) == ("failed", "The secrets server does not answer.")
    assert desk.events()[-1]["action"] == "workspace.fail"
    desk.leases.down = False
    assert desk.start()


def test_a_workspace_stopped_while_its_lease_is_made_keeps_no_lease(desk: Desk):
    desk.leases.before_lease = lambda workspace: service.stop(
        desk.people.db, desk.leases, desk.bob, workspace, "Changed my mind."
    )
    with pytest.raises(Conflict, match="ended while it started"):
        desk.start()
    with desk.people.db.read() as session:
        (workspace,) = service.list_workspaces(session)
    assert (workspace.state, workspace.reason, desk.leases.live) == ("failed", "Changed my mind.", {})
    assert workspace.lease_revoked_at is not None


def test_a_lease_that_cannot_be_recorded_is_revoked(desk: Desk):
    def forget(workspace: str) -> None:
        with desk.people.db.transaction() as session:
            session.delete(session.get_one(Workspace, workspace))

    desk.leases.before_lease = forget
    with pytest.raises(NotFound):
        desk.start()
    assert desk.leases.live == {}


@pytest.mark.parametrize("before", WorkspaceState)
@pytest.mark.parametrize("event", [WorkspaceState.running, WorkspaceState.stopped, WorkspaceState.failed])
def test_every_report_in_every_state(desk: Desk, before: WorkspaceState, event: WorkspaceState):
    workspace_id = desk.start().workspace_id
    desk.change(Workspace, state=before)
    count = len(desk.events("workspace"))
    live = before not in (WorkspaceState.stopped, WorkspaceState.failed)
    if event is WorkspaceState.running and before not in (WorkspaceState.starting, WorkspaceState.running):
        with pytest.raises(Conflict):
            desk.report(workspace_id, event)
        assert desk.state(workspace_id) == before
        return
    for _ in range(2):
        desk.report(workspace_id, event, "said the door\0")
    written = [item["action"] for item in desk.events("workspace")[count:]]
    if before == event or not live:
        assert (desk.state(workspace_id), written) == (before, [])
        return
    after = WorkspaceState.stopped if before is WorkspaceState.stopping else event
    if event is WorkspaceState.stopped and WorkspaceState.stopped not in TRANSITIONS[before]:
        after = WorkspaceState.failed
    assert (desk.state(workspace_id), written) == (after, [service.ACTION[after]])
    if after is not WorkspaceState.running:
        assert desk.workspace(workspace_id).reason == "said the door\N{REPLACEMENT CHARACTER}"
        assert desk.leases.live == {}


def test_who_stops_what(desk: Desk):
    people = desk.people
    people.add("cy", Role.researcher, Role.checker)
    people.add("audrey", Role.auditor)
    workspace_id = desk.running()
    for name in ("cy", "audrey"):
        with pytest.raises(Forbidden):
            service.stop(people.db, desk.leases, people.actor(name), workspace_id, "Mine.")
        assert desk.events()[-1]["outcome"] == "refused"
    assert desk.state(workspace_id) == "running"
    stopped = service.stop(people.db, desk.leases, people.admin, workspace_id, "Enough.\0")
    assert (stopped.state, desk.leases.live) == ("stopping", {})
    service.end(people.db, desk.leases, workspace_id, WorkspaceState.stopped, "")
    with pytest.raises(Conflict):
        service.stop(people.db, desk.leases, desk.bob, workspace_id, "Again.")
    with pytest.raises(NotFound):
        service.stop(people.db, desk.leases, desk.bob, "0" * 16, "None.")


def test_a_stop_that_broke_off_is_asked_for_again(desk: Desk):
    """The secrets server was away: the login is revoked by the second try, which changes nothing else."""
    people, workspace_id = desk.people, desk.running()
    desk.leases.down = True
    with pytest.raises(Unavailable):
        service.stop(people.db, desk.leases, desk.bob, workspace_id, "Done.")
    assert desk.state(workspace_id) == "stopping"
    assert desk.leases.live
    desk.leases.down, events = False, len(desk.events())
    again = service.stop(people.db, desk.leases, desk.bob, workspace_id, "Again.")
    assert (again.state, again.reason, desk.leases.live) == ("stopping", "Done.", {})
    assert [event["action"] for event in desk.events()[events:]] == ["credential.revoke"]


def test_who_sees_what(desk: Desk):
    from tre.workspaces.rules import check_see

    workspace = desk.workspace(desk.running())
    for roles, allowed in (
        ({"administrator"}, True),
        ({"auditor"}, True),
        ({"checker", "custodian", "researcher"}, False),
        (set(), False),
    ):
        actor = Actor("eve", frozenset(roles))
        if allowed:
            check_see(actor, workspace)
        else:
            with pytest.raises(Forbidden):
                check_see(actor, workspace)
    check_see(Actor("bob"), workspace)


def test_a_credential_is_revoked_once(desk: Desk, at_once: Callable[..., list[object]]):
    workspace_id = desk.running()
    results = at_once(*[lambda: service.revoke(desk.people.db, desk.leases, workspace_id)] * 4)
    assert results == [None] * 4
    assert len(desk.events("credential.revoke")) == 1
    asked = len(desk.leases.asked)
    service.revoke(desk.people.db, desk.leases, workspace_id)
    assert len(desk.leases.asked) == asked


def test_a_lease_is_renewed_and_one_that_is_gone_is_not(desk: Desk):
    workspace_id = desk.running()
    desk.people.clock.advance(minutes=40)
    service.renew(desk.people.db, desk.leases, workspace_id)
    assert desk.workspace(workspace_id).lease_expires_at == desk.people.clock() + timedelta(hours=1)
    desk.leases.live.clear()
    with pytest.raises(NotFound):
        service.renew(desk.people.db, desk.leases, workspace_id)
    desk.change(Workspace, lease_id=None)
    service.renew(desk.people.db, desk.leases, workspace_id)


def test_workspaces_are_found_newest_first(desk: Desk):
    first = desk.running()
    desk.report(first, WorkspaceState.stopped)
    desk.people.clock.advance(minutes=1)
    second = desk.running()
    with desk.people.db.read() as session:
        assert [w.id for w in service.list_workspaces(session)] == [second, first]
        assert [w.id for w in service.list_workspaces(session, live=True, username="bob", project="cost")] == [second]
        assert service.list_workspaces(session, username="cy") == []
        assert service.list_workspaces(session, project="other") == []
        outline = service.outline(session, desk.places, service.get(session, second), TODAY)
    assert outline["data"] == {"survey": str(desk.places.data.extracts / "x_cost")}
    assert "secret" not in str(outline)
    assert Path(outline["home"]).name == "bob"


def test_every_state_that_the_platform_owns_has_a_timeout():
    owned = {state for state in WorkspaceState if TRANSITIONS[state]} - {WorkspaceState.running}
    assert set(TIMEOUTS) == owned
    assert agreement.DIGEST
    assert Dataset.__tablename__ == "dataset"
