"""From projects in the database to wishes: who has a namespace, who may run, with which numbers, in few queries."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from tests.fixtures.workspaces import Desk
from tests.workspaces.kubernetes.house import EVERYTHING
from tre.errors import InvalidInput
from tre.people.model import Role
from tre.projects import service as projects
from tre.workspaces import policy
from tre.workspaces.kubernetes import desired
from tre.workspaces.model import WorkspaceState
from tre.workspaces.plan import Limits

RETENTION = timedelta(days=90)


def wishes(desk: Desk) -> dict[str, desired.Wish]:
    with desk.people.db.read() as session:
        return {wish.slug: wish for wish in desired.wishes(session, desk.people.clock(), RETENTION)}


def test_an_approved_project_is_open_for_its_people(desk: Desk):
    cy = desk.people.add("cy", Role.researcher)
    desk.projects.approved("benefit", cy, team=("bob",))
    projects.remove_member(desk.people.db, desk.people.admin, "benefit", username="cy", reason="left")
    with desk.people.db.read() as session:
        limits = policy.limits_of(policy.policy_of(session, ""))
    assert wishes(desk) == {
        "benefit": desired.Wish("benefit", True, False, 1, ("bob", "cy"), limits),
        "cost": desired.Wish("cost", True, False, 1, ("bob",), limits),
    }


def test_what_was_never_approved_has_no_namespace(desk: Desk):
    desk.projects.propose("idea", desk.bob)
    assert list(wishes(desk)) == ["cost"]


def test_suspended_and_closed_are_not_open_and_only_closed_ends(desk: Desk):
    projects.suspend(desk.people.db, desk.people.admin, "cost", reason="A breach.")
    desk.people.clock.advance(days=1000)
    assert [(wish.open, wish.over) for wish in wishes(desk).values()] == [(False, False)]
    projects.close(desk.people.db, desk.people.admin, "cost", reason="Done.")
    desk.people.clock.advance(days=90, seconds=-1)
    assert [(wish.open, wish.over) for wish in wishes(desk).values()] == [(False, False)]
    desk.people.clock.advance(seconds=1)
    assert [(wish.open, wish.over) for wish in wishes(desk).values()] == [(False, True)]


def test_a_projects_own_numbers_and_its_live_workspaces(desk: Desk):
    numbers = {"memory_bytes": 8 << 30, "cpus": 1.5, "idle_seconds": 3600}
    policy.set_numbers(desk.people.db, desk.people.admin, numbers, project="cost", reason="It is large.")
    workspace = desk.running()
    wish = wishes(desk)["cost"]
    assert (wish.limits.memory_bytes, wish.limits.cpus, wish.live) == (8 << 30, 1.5, {workspace})
    assert all(type(getattr(wish.limits, name)) is type(value) for name, value in vars(Limits()).items())
    desk.report(workspace, WorkspaceState.stopped)
    assert wishes(desk)["cost"].live == frozenset()


def test_more_projects_are_no_more_queries(desk: Desk):
    asked: list[str] = []
    event.listen(desk.people.db.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    wishes(desk)
    few = len(asked)
    cy = desk.people.add("cy", Role.researcher)
    for number in range(5):
        desk.projects.approved(f"more-{number}", cy)
        numbers = {"memory_bytes": 8 << 30}
        policy.set_numbers(desk.people.db, desk.people.admin, numbers, project=f"more-{number}", reason="It is large.")
    asked.clear()
    assert len(wishes(desk)) == 6
    assert len(asked) == few <= 8


def test_a_project_that_would_live_in_our_own_namespace_has_no_objects():
    wish = desired.Wish("system", True, False, 1, ("bob",), Limits())
    with pytest.raises(InvalidInput, match="platform's own namespace"):
        list(desired.objects(EVERYTHING, wish))
