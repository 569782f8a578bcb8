"""A verification as a row: asked for once, taken by who leads, never stuck, and on record; no wall is tried here."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.workspaces import Desk
from tre.errors import Conflict, NotFound
from tre.workspaces import verifications
from tre.workspaces.kubernetes import desired
from tre.workspaces.model import VERIFICATION_TIMEOUTS, VerificationState, WorkspaceState
from tre.workspaces.probes.report import Report, Result
from tre.workspaces.verifications import MOST_ATTEMPTS, Task, Told

GOOD = Result("pod-api-server", "probe-1", "network policy", "talk to the API server", "refused", "nothing there")
BAD = Result("pod-kubelet", "probe-1", "network policy", "talk to a kubelet", "reached", "tcp://10.0.0.1:10250 is open")
GUARD = Result("guard-files", "w1", "guard", "fetch a file", "refused", "1300 spellings")
REPORT = Report((GOOD, BAD, GOOD), ("etcd (nobody gets an answer)",))


def taken(desk: Desk) -> Task:
    task = verifications.take(desk.people.db)
    assert task is not None
    return task


def told(desk: Desk, workspace_id: str, number: int) -> Told:
    return verifications.look(desk.people.db, workspace_id, number)


def actions(desk: Desk) -> list[tuple[str, str]]:
    return [(event["action"], event["actor"]) for event in desk.events() if "verif" in event["action"]]


def guests(desk: Desk) -> frozenset[tuple[str, str]]:
    with desk.people.db.read() as session:
        (wish,) = desired.wishes(session, desk.people.clock(), timedelta(days=90))
    return wish.guests


def test_from_the_question_to_the_report(desk: Desk):
    workspace_id, db = desk.running(), desk.people.db
    assert verifications.take(db) is None
    asked = verifications.request(db, workspace_id)
    assert (asked.state, asked.report, guests(desk)) == ("requested", None, frozenset())
    task = taken(desk)
    assert (task.number, task.workspace_id, task.project, task.former) == (asked.number, workspace_id, "cost", "")
    assert guests(desk) == {(task.probe, "")}
    verifications.shows(db, task, "the-uid")
    verifications.says(db, task, "from inside")
    assert guests(desk) == {(task.probe, "the-uid")}
    assert (told(desk, workspace_id, task.number).state, told(desk, workspace_id, task.number).progress) == (
        "running",
        "from inside",
    )
    verifications.done(db, task, REPORT)
    ended = told(desk, workspace_id, task.number)
    assert (ended.state, ended.progress, ended.reason, guests(desk)) == ("done", "", "", frozenset())
    assert ended.report is not None
    assert Report.from_dict(ended.report) == REPORT
    (event,) = desk.events("workspace.verify")
    assert event["subject"] == f"workspace:{workspace_id}"
    assert event["detail"] == {
        "ok": False,
        "left_out": ["etcd (nobody gets an answer)"],
        "refused": 1,
        "reached": ["pod-kubelet"],
        "could_not_run": [],
    }
    assert actions(desk) == [
        ("verification.request", "machine"),
        ("verification.begin", "system"),
        ("workspace.verify", "system"),
    ]


def test_what_was_found_through_the_guard_is_on_record_at_once_and_a_part_of_the_report(desk: Desk):
    """Green from inside is no more than that, and a controller that fails hides nothing."""
    workspace_id, db = desk.running(), desk.people.db
    for files in (GUARD, replace(GUARD, verdict="reached")):
        door = Report((files,), ("nobody else",))
        verifications.request(db, workspace_id, door)
        assert desk.events("verification.request")[-1]["detail"]["door"] == door.record()
        task = taken(desk)
        verifications.done(db, task, Report((GOOD,), ("etcd",)))
        ended = told(desk, workspace_id, task.number)
        assert ended.report is not None
        whole = Report((GOOD, files), ("etcd", "nobody else"))
        assert Report.from_dict(ended.report) == whole
        assert desk.events("workspace.verify")[-1]["detail"] == whole.record()
    assert [event["detail"]["ok"] for event in desk.events("workspace.verify")] == [True, False]


def test_one_at_a_time_for_each_workspace(desk: Desk):
    workspace_id, db = desk.running(), desk.people.db
    asked = verifications.request(db, workspace_id)
    for _ in range(2):
        with pytest.raises(Conflict, match=f"Verification {asked.number} of this workspace is under way"):
            verifications.request(db, workspace_id)
        verifications.take(db)
    with pytest.raises(NotFound):
        verifications.look(db, "another", asked.number)
    with pytest.raises(NotFound):
        verifications.look(db, workspace_id, asked.number + 1)


def test_two_who_ask_at_once_are_one(desk: Desk, at_once):
    workspace_id = desk.running()
    ask = lambda: verifications.request(desk.people.db, workspace_id).state  # noqa: E731
    answers = at_once(ask, ask)
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "VerificationState"]


def test_only_of_a_workspace_that_runs(desk: Desk):
    starting = desk.start().workspace_id
    with pytest.raises(Conflict, match="The workspace is starting"):
        verifications.request(desk.people.db, starting)
    with pytest.raises(NotFound):
        verifications.request(desk.people.db, "other")
    desk.report(starting, WorkspaceState.running)
    asked = verifications.request(desk.people.db, starting)
    desk.report(starting, WorkspaceState.stopped)
    assert verifications.take(desk.people.db) is None
    ended = told(desk, starting, asked.number)
    assert (ended.state, ended.reason) == ("failed", "The workspace is stopped.")


def test_what_was_broken_off_is_tried_again_by_the_next_who_leads_and_not_for_ever(desk: Desk):
    workspace_id, db = desk.running(), desk.people.db
    asked = verifications.request(db, workspace_id)
    first = taken(desk)
    verifications.shows(db, first, "first")
    second = taken(desk)
    assert (second.former, second.number) == (first.probe, first.number)
    # Its own pod lives, the former's does not, whatever becomes of the former.
    assert guests(desk) == {(second.probe, "")}
    for late in (
        lambda: verifications.says(db, first, "still here"),
        lambda: verifications.shows(db, first, "first"),
        lambda: verifications.done(db, first, REPORT),
        lambda: verifications.fail(db, first, "no"),
    ):
        with pytest.raises(Conflict, match="no longer in these hands"):
            late()
    assert told(desk, workspace_id, asked.number).state == "running"
    assert MOST_ATTEMPTS == 2
    assert verifications.take(db) is None
    ended = told(desk, workspace_id, asked.number)
    assert (ended.state, ended.reason, guests(desk)) == ("failed", "It was broken off 2 times.", frozenset())
    # Another one may be asked for.
    assert verifications.request(db, workspace_id).state == "requested"


@pytest.mark.parametrize("state", VERIFICATION_TIMEOUTS)
def test_every_state_ends_also_where_no_controller_runs(desk: Desk, state: VerificationState):
    workspace_id, db = desk.running(), desk.people.db
    asked = verifications.request(db, workspace_id)
    task = taken(desk) if state == VerificationState.running else None
    desk.people.clock.set(desk.people.clock() + VERIFICATION_TIMEOUTS[state])
    assert told(desk, workspace_id, asked.number).state == state
    desk.people.clock.set(desk.people.clock() + timedelta(seconds=1))
    ended = told(desk, workspace_id, asked.number)
    minutes = {"requested": 10, "running": 15}[state]
    assert (ended.state, ended.reason) == ("failed", f"It was {state} for longer than {minutes} minutes.")
    if task:
        with pytest.raises(Conflict):
            verifications.done(db, task, REPORT)
    assert actions(desk)[-1] == ("verification.fail", "system")
    assert guests(desk) == frozenset()


def test_with_nothing_to_do_nothing_is_written(desk: Desk):
    desk.running()
    before = desk.events()
    assert [verifications.take(desk.people.db), verifications.expire(desk.people.db)] == [None, 0]
    assert desk.events() == before
