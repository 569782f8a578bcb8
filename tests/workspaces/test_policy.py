"""The numbers that bound workspaces: who may set them, to what, for whom, and what the record says."""

import math
from dataclasses import asdict

import pytest

from tests.fixtures.workspaces import Desk
from tre.audit import Actor
from tre.errors import Forbidden, InvalidInput, NotFound
from tre.people import service as people
from tre.people.model import Role
from tre.workspaces import policy, traffic
from tre.workspaces.model import NUMBERS, WorkspacePolicy
from tre.workspaces.plan import DoorLimits, Limits

EVE = Actor("eve", frozenset({Role.researcher}), "cli")


def put(desk: Desk, actor: Actor | None = None, project: str = "", **numbers: float | None) -> None:
    policy.set_numbers(desk.people.db, actor or desk.people.admin, numbers, project=project, reason="Needed.")


def numbers(desk: Desk, project: str = "") -> dict[str, float]:
    with desk.people.db.read() as session:
        found = policy.policy_of(session, project)
        return {name: getattr(found, name) for name in NUMBERS}


def test_every_number_lies_within_its_own_bounds_and_is_held_by_somebody(desk: Desk):
    held = {*asdict(Limits()), *asdict(DoorLimits())}
    budgets = {"alarm_bytes_per_day", "suspend_bytes_per_day", "suspend_seconds"}
    assert held | budgets == set(NUMBERS)
    for name, value in numbers(desk).items():
        assert NUMBERS[name].lowest <= value <= NUMBERS[name].highest, name
    assert {name: value for name, value in numbers(desk).items() if name in held} == {
        **asdict(Limits()),
        **asdict(DoorLimits()),
    }


def test_a_number_acts_at_the_next_start_and_is_on_record(desk: Desk):
    put(desk, idle_seconds=7200, memory_bytes=1 << 30)
    plan = desk.start()
    assert (plan.door.idle_seconds, plan.limits.memory_bytes) == (7200, 1 << 30)
    (event,) = desk.events("workspace_policy.set")
    assert (event["actor"], event["subject"], event["outcome"]) == ("ada", "platform:workspaces", "done")
    assert event["detail"] == {
        "reason": "Needed.",
        "numbers": {
            "idle_seconds": {"from": 14400, "to": 7200},
            "memory_bytes": {"from": 4 << 30, "to": 1 << 30},
        },
    }


def test_an_exception_holds_for_its_project_alone_until_it_is_given_back(desk: Desk):
    before = numbers(desk)
    put(desk, project="cost", cpus=1.5, suspend_bytes_per_day=1 << 31)
    assert numbers(desk) == before
    assert numbers(desk, "cost") == {**before, "cpus": 1.5, "suspend_bytes_per_day": 1 << 31}
    assert desk.start().limits.cpus == 1.5
    with desk.people.db.read() as session:
        shown = {row["name"]: row["of"] for row in policy.show(session, desk.people.admin, "cost")}
    assert [name for name, of in shown.items() if of == "project"] == ["cpus", "suspend_bytes_per_day"]
    put(desk, project="cost", cpus=None, suspend_bytes_per_day=None)
    assert numbers(desk, "cost") == before


def test_a_budget_of_a_project_acts_on_a_workspace_that_runs(desk: Desk):
    workspace_id = desk.running()
    put(desk, project="cost", alarm_bytes_per_day=0, suspend_bytes_per_day=1 << 20)
    assert traffic.book(desk.people.db, workspace_id, out_bytes=1 << 20, in_bytes=0).suspended


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"idle": 1}, "idle"),
        ({"id": 1}, "id"),
        ({"idle_seconds": 0}, "idle_seconds"),
        ({"idle_seconds": -5}, "idle_seconds"),
        ({"idle_seconds": 400.5}, "idle_seconds"),
        ({"idle_seconds": math.nan}, "idle_seconds"),
        ({"cpus": math.inf}, "cpus"),
        ({"memory_bytes": 1e30}, "memory_bytes"),
        ({"max_age_seconds": 7 * 86400}, "max_age_seconds"),
        ({"max_age_seconds": 600}, "idle_seconds"),
        ({"busy_seconds": 2 * 86400}, "busy_seconds"),
        ({"alarm_bytes_per_day": 1 << 40}, "alarm_bytes_per_day"),
        ({"idle_seconds": None}, "idle_seconds"),
        ({}, "numbers"),
    ],
)
def test_a_number_that_does_not_fit_is_named_and_changes_nothing(desk: Desk, changes: dict[str, float], field: str):
    before = numbers(desk)
    with pytest.raises(InvalidInput) as refused:
        put(desk, **changes)
    assert refused.value.field == field
    assert numbers(desk) == before


def test_a_change_for_all_that_breaks_a_projects_order_is_refused(desk: Desk):
    put(desk, project="cost", idle_seconds=20 * 3600)
    with pytest.raises(InvalidInput, match="For project cost, idle_seconds"):
        put(desk, max_age_seconds=18 * 3600)
    assert numbers(desk)["max_age_seconds"] == 24 * 3600


def test_only_administrators_set_and_nobody_for_a_project_of_their_own(desk: Desk):
    for actor in (EVE, desk.bob, Actor("audrey", frozenset({Role.auditor}), "cli")):
        with pytest.raises(Forbidden):
            put(desk, actor, idle_seconds=600)
    people.give_role(desk.people.db, desk.people.admin, username="bob", role=Role.administrator)
    with pytest.raises(Forbidden, match="of their own"):
        put(desk, desk.people.actor("bob"), project="cost", idle_seconds=600)
    refused = [event for event in desk.events("workspace_policy.set") if event["outcome"] == "refused"]
    assert [event["actor"] for event in refused] == ["eve", "bob", "audrey", "bob"]
    with pytest.raises(NotFound):
        put(desk, project="nowhere", idle_seconds=600)


def test_only_administrators_and_auditors_look(desk: Desk):
    with desk.people.db.read() as session, pytest.raises(Forbidden):
        policy.show(session, desk.bob, "cost")


def test_two_who_set_at_once_both_count(desk: Desk, at_once):
    assert at_once(lambda: put(desk, idle_seconds=7200), lambda: put(desk, processes=100)) == [None, None]
    found = numbers(desk)
    assert (found["idle_seconds"], found["processes"]) == (7200, 100)


def test_the_policy_that_is_read_is_a_copy(desk: Desk):
    with desk.people.db.transaction() as session:
        policy.policy_of(session, "").processes = 1
    with desk.people.db.read() as session:
        assert session.get_one(WorkspacePolicy, 1).processes == 512
