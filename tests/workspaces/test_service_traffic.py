"""The budget's arithmetic: one alarm, a suspension at each multiple, over midnight, at once."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.database import START
from tests.fixtures.workspaces import Desk
from tre.errors import NotFound
from tre.workspaces import gate, rules, traffic
from tre.workspaces.model import Traffic, WorkspacePolicy, WorkspaceState

POLICY = WorkspacePolicy(alarm_bytes_per_day=200, suspend_bytes_per_day=1000, suspend_seconds=600)
PAUSE = timedelta(seconds=600)


@pytest.fixture
def workspace_id(desk: Desk) -> str:
    desk.change(WorkspacePolicy, alarm_bytes_per_day=200, suspend_bytes_per_day=1000, suspend_seconds=600)
    return desk.running()


def book(desk: Desk, workspace_id: str, out_bytes: int, in_bytes: int = 0) -> rules.Verdict:
    return traffic.book(desk.people.db, workspace_id, out_bytes=out_bytes, in_bytes=in_bytes)


def written(desk: Desk) -> list[dict]:
    return [event["detail"] for event in desk.events("workspace.traffic")]


def test_an_alarm_is_written_once_a_day(desk: Desk, workspace_id: str):
    assert [book(desk, workspace_id, size).alarm for size in (199, 1, 1, 300)] == [False, True, False, False]
    assert written(desk) == [{"out_bytes": 200, "suspended": False}]
    desk.people.clock.advance(days=1)
    assert [book(desk, workspace_id, size).alarm for size in (199, 1)] == [False, True]
    assert len(written(desk)) == 2


def test_the_door_closes_opens_and_closes_again_on_the_same_day(desk: Desk, workspace_id: str):
    assert not book(desk, workspace_id, 999).suspended
    verdict = book(desk, workspace_id, 1)
    assert (verdict.suspended, verdict.reason) == (
        True,
        "Too much left this workspace today; the door opens at 12:10 UTC.",
    )
    desk.people.clock.advance(seconds=599)
    assert book(desk, workspace_id, 0).suspended
    desk.people.clock.advance(seconds=1)
    assert not book(desk, workspace_id, 999).suspended
    assert book(desk, workspace_id, 1).suspended
    desk.people.clock.advance(seconds=600)
    assert not book(desk, workspace_id, 0).suspended
    assert written(desk) == [
        {"out_bytes": 999, "suspended": False},
        {"out_bytes": 1000, "suspended": True},
        {"out_bytes": 2000, "suspended": True},
    ]


def test_bytes_that_pass_while_the_door_closes_count_and_prolong(desk: Desk, workspace_id: str):
    book(desk, workspace_id, 1000)
    desk.people.clock.advance(seconds=300)
    assert book(desk, workspace_id, 999).reason.endswith("12:10 UTC.")
    assert book(desk, workspace_id, 1).reason.endswith("12:15 UTC.")
    desk.people.clock.advance(seconds=301)
    assert book(desk, workspace_id, 0).suspended


def test_a_suspension_lasts_over_midnight(desk: Desk, workspace_id: str):
    desk.people.clock.set(START.replace(hour=23, minute=55))
    assert book(desk, workspace_id, 1000).suspended
    desk.people.clock.advance(minutes=6)
    assert book(desk, workspace_id, 1).suspended
    with desk.people.db.read() as session:
        now = desk.people.clock()
        codes = [obstacle.code for obstacle in gate.obstacles(session, "cost", "bob", now)]
        assert codes == ["traffic_suspended"]
        assert gate.lost(session, "cost", "bob", now) == []
    desk.people.clock.advance(minutes=4)
    assert not book(desk, workspace_id, 1).suspended


def test_what_enters_is_booked_and_not_judged(desk: Desk, workspace_id: str):
    assert book(desk, workspace_id, 0, 10_000) == rules.Verdict(False, False)
    with desk.people.db.read() as session:
        account = traffic.traffic_of(session, "cost", "bob", date(2026, 6, 1))
        assert account is not None
        assert (account.out_bytes, account.in_bytes) == (0, 10_000)


def test_the_account_belongs_to_person_project_and_day_not_to_the_workspace(desk: Desk, workspace_id: str):
    book(desk, workspace_id, 999)
    desk.report(workspace_id, WorkspaceState.stopped)
    again = desk.running()
    assert book(desk, again, 1).suspended
    # What the guard reports late of the one that ended is booked too.
    assert book(desk, workspace_id, 1).suspended


def test_no_byte_is_lost_when_reports_meet(desk: Desk, workspace_id: str, at_once: Callable[..., list[object]]):
    results = at_once(*[lambda: [book(desk, workspace_id, 10) for _ in range(10)]] * 6)
    assert all(isinstance(result, list) for result in results)
    with desk.people.db.read() as session:
        account = traffic.traffic_of(session, "cost", "bob", date(2026, 6, 1))
        assert account is not None
        assert account.out_bytes == 600
    assert len(written(desk)) == 1


def test_sums_beyond_every_number_are_held(desk: Desk, workspace_id: str):
    for _ in range(3):
        assert book(desk, workspace_id, 1 << 62, 1 << 62).suspended


def test_an_unknown_workspace_has_no_account(desk: Desk):
    with pytest.raises(NotFound):
        book(desk, "0" * 16, 1)


@given(st.lists(st.integers(0, 700), max_size=30))
def test_the_door_closes_once_for_each_multiple_however_the_bytes_come(sizes: list[int]):
    account = Traffic(out_bytes=0, alarmed=False)
    alarms = suspensions = 0
    for size in sizes:
        account.out_bytes += size
        verdict = rules.judge_traffic(account, POLICY, START, booked=size, closed_until=None)
        alarms += verdict.alarm and not account.alarmed
        account.alarmed |= verdict.alarm
        suspensions += verdict.suspended
    assert suspensions == sum(sizes) // 1000
    assert alarms == (sum(sizes) >= 200)


def test_a_policy_of_nothing_suspends_every_byte():
    nothing = WorkspacePolicy(alarm_bytes_per_day=0, suspend_bytes_per_day=0, suspend_seconds=600)
    account = Traffic(out_bytes=1, alarmed=False)
    assert rules.judge_traffic(account, nothing, START, booked=1, closed_until=None).suspended


@pytest.mark.parametrize(("seconds", "closed"), [(-1, False), (0, False), (1, True)])
def test_a_suspension_ends_at_its_moment(seconds: int, closed: bool):
    until = START + timedelta(seconds=seconds)
    assert bool(rules.suspension_obstacle(until, START)) is closed
    account = Traffic(out_bytes=1, alarmed=True)
    assert rules.judge_traffic(account, POLICY, START, booked=0, closed_until=until).suspended is closed
    assert rules.suspension_obstacle(None, START) == []
