"""Each controller decides on its own data: who may, what a grant can hold, and what the gate then says."""

import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from tests.data.conftest import ask, visits, visits_dataset, write_parquet
from tre.data import grants, rules, service
from tre.data.model import TRANSITIONS, Decision, Delivery, Extract, ExtractState, Grant, Variable
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound, Refusal
from tre.people.model import Role
from tre.projects.model import ProjectState, RefusalCode


@pytest.fixture
def ready(visits_world):
    visits_world.project("heart", [ask()], team=("rob",))
    return visits_world


def refuse(world, by="carol", **changes):
    words = {"code": RefusalCode.not_minimal, "reason": "too much", "would_change": "ask for less", **changes}
    return grants.refuse(world.db, world.actor(by), project="heart", dataset="visits", **words)


def gate(world, project="heart"):
    with world.db.read() as session:
        return [o.code for o in grants.obstacles(session, project, world.clock.now.date())]


def set_extract(world, state, reason=""):
    with world.db.transaction() as session:
        extract = session.scalars(select(Extract)).one()
        extract.state, extract.reason = state, reason


def test_a_grant_holds_what_was_decided_and_queues_its_extract(ready):
    number = ready.grant("heart", "visits", columns=("nhs", "age"), delivery=Delivery.both)
    with ready.db.read() as session:
        grant = grants.get(session, number)
        assert (grant.columns, grant.pseudonymised, grant.delivery) == (["nhs", "age"], ["nhs"], "both")
        assert grants.live_extract(session, number).state == ExtractState.queued
    event = ready.events("grant.give")[0]
    assert (event["actor"], event["subject"]) == ("carol", "project:heart")
    assert event["detail"]["columns"] == ["nhs", "age"]


def test_identifiers_and_units_are_pseudonymised_whatever_is_wanted(ready):
    number = ready.grant("heart", "visits", pseudonymised=("sex",))
    with ready.db.read() as session:
        grant = grants.get(session, number)
        assert grant.columns == ["nhs", "person", "age", "sex", "cost"]
        assert grant.pseudonymised == ["nhs", "person", "sex"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"columns": ("age", "seen")}, "columns"),
        ({"columns": ("age", "age")}, "columns"),
        ({"pseudonymised": ("seen",)}, "pseudonymised"),
        ({"pseudonymised": ("cost",)}, "pseudonymised"),
        ({"rows": {"column": "nhs", "op": "==", "value": "1"}}, "rows"),
        ({"rows": "1=1"}, "rows"),
        ({"until": date(2026, 3, 1)}, "until"),
        ({"until": date(2030, 1, 1)}, "until"),
    ],
)
def test_no_more_than_was_asked_and_no_longer_than_the_project(ready, terms, field):
    with pytest.raises(InvalidInput) as refusal:
        ready.grant("heart", "visits", **terms)
    assert refusal.value.field == field
    assert gate(ready) == ["grant_missing"]


def test_both_filters_hold(visits_world):
    asked, given = {"column": "age", "op": ">=", "value": 30}, {"column": "sex", "op": "==", "value": "F"}
    visits_world.project("heart", [ask(rows=asked)])
    number = visits_world.grant("heart", "visits", rows=given)
    with visits_world.db.read() as session:
        assert grants.get(session, number).rows == {"all": [asked, given]}


def test_an_asked_filter_on_an_identifier_cannot_be_granted(visits_world):
    """A proposal is written before the data's side sees it; the grant looks again."""
    visits_world.project("heart", [ask(rows={"column": "nhs", "op": "==", "value": "400 000 0000"})])
    with pytest.raises(InvalidInput) as refusal:
        visits_world.grant("heart", "visits")
    assert refusal.value.field == "asked rows"


def test_a_column_that_is_asked_for_but_unknown_cannot_be_granted(visits_world):
    visits_world.project("heart", [ask("age", "salary")])
    with pytest.raises(InvalidInput):
        visits_world.grant("heart", "visits")


def test_what_was_not_asked_for_cannot_be_granted(ready):
    write_parquet(ready.places, "beta", "visits", visits())
    other = visits_dataset(slug="other", organisation="beta")
    service.register(ready.db, ready.places, ready.actor("cyril"), other)
    with pytest.raises(Conflict):
        ready.grant("heart", "other", by="cyril")
    with pytest.raises(NotFound):
        ready.grant("heart", "nothing")
    with pytest.raises(NotFound):
        ready.grant("nothing", "visits")


@pytest.mark.parametrize("decide", ["give", "refuse"])
@pytest.mark.parametrize("by", ["cyril", "adam", "olga", "rita", "rob", "carl"])
def test_nobody_else_decides(ready, by, decide):
    """Another controller's custodian, administrator, auditor, members, and a custodian without an organisation."""
    ready.add("carl", Role.custodian, "acme", None)
    with pytest.raises(Forbidden):
        ready.grant("heart", "visits", by=by) if decide == "give" else refuse(ready, by=by)
    assert ready.events(f"grant.{decide}")[0]["outcome"] == "refused"
    assert gate(ready) == ["grant_missing"]


def test_a_custodian_in_the_team_does_not_decide(visits_world):
    visits_world.project("heart", [ask()], team=("carol",))
    for left in (False, True):
        if left:
            from tre.projects.service import remove_member

            remove_member(visits_world.db, visits_world.actor("adam"), "heart", username="carol", reason="moved")
        with pytest.raises(Forbidden) as refusal:
            visits_world.grant("heart", "visits")
        assert refusal.value.error_code == "own_project"


@pytest.mark.parametrize("object", ["project:heart", "organisation:uni", "organisation:acme"])
def test_a_conflict_of_interest_keeps_from_deciding(ready, object):
    ready.interest("carol", object)
    with pytest.raises(Forbidden) as refusal:
        ready.grant("heart", "visits")
    assert refusal.value.error_code == "conflict_of_interest"
    with pytest.raises(Forbidden):
        refuse(ready)


@pytest.mark.parametrize("state", list(ProjectState))
def test_only_open_projects_are_decided_on(ready, state):
    ready.set_state("heart", state)
    if state in (ProjectState.proposed, ProjectState.approved):
        ready.grant("heart", "visits")
    else:
        with pytest.raises(Conflict):
            ready.grant("heart", "visits")


def test_a_project_past_its_end_gets_nothing(ready):
    ready.clock.forward(days=301)
    with pytest.raises(Conflict):
        refuse(ready)


def test_a_refusal_says_why_and_what_would_change_it(ready):
    with pytest.raises(InvalidInput) as missing:
        refuse(ready, would_change=" ")
    assert missing.value.field == "would_change"
    refuse(ready)
    with ready.db.read() as session:
        (obstacle,) = grants.obstacles(session, "heart", ready.clock.now.date())
    assert obstacle.code == "grant_refused"
    assert "not_minimal" in obstacle.message
    assert obstacle.remedy == "ask for less"
    # A refusal is no end: after the talk, the same controller may grant.
    ready.grant("heart", "visits")
    assert gate(ready) == ["extract_not_ready"]


def test_a_standing_grant_is_ended_before_another_decision(ready):
    number = ready.grant("heart", "visits")
    with pytest.raises(Conflict):
        ready.grant("heart", "visits")
    with pytest.raises(Conflict):
        refuse(ready)
    grants.end(ready.db, ready.actor("carol"), number, reason="new columns")
    assert gate(ready) == ["grant_ended"]
    with pytest.raises(Conflict):
        grants.end(ready.db, ready.actor("carol"), number, reason="again")
    assert ready.grant("heart", "visits") > number


def test_a_grant_that_ran_out_makes_room(ready):
    ready.grant("heart", "visits", until=ready.until(10))
    ready.clock.forward(days=10)
    assert gate(ready) == ["extract_not_ready"]
    ready.clock.forward(days=1)
    assert gate(ready) == ["grant_ended"]
    ready.grant("heart", "visits")
    with ready.db.read() as session:
        first, second = session.scalars(select(Grant).order_by(Grant.id))
        assert (first.ended_by, second.ended_at) == ("system", None)


@pytest.mark.parametrize(("by", "may"), [("carol", True), ("adam", True), ("cyril", False), ("rita", False)])
def test_custodian_and_administrator_end_a_grant(ready, by, may):
    number = ready.grant("heart", "visits")
    if may:
        grants.end(ready.db, ready.actor(by), number, reason="breach")
    else:
        with pytest.raises(Refusal):
            grants.end(ready.db, ready.actor(by), number, reason="breach")
    assert gate(ready) == (["grant_ended"] if may else ["extract_not_ready"])


def test_a_refusal_cannot_be_ended_and_an_unknown_grant_is_not_found(ready):
    with pytest.raises(Conflict):
        grants.end(ready.db, ready.actor("carol"), refuse(ready), reason="x")
    with pytest.raises(NotFound):
        grants.end(ready.db, ready.actor("carol"), 4711, reason="x")


@pytest.mark.parametrize(
    ("state", "codes"),
    [(state, [] if state is ExtractState.ready else ["extract_not_ready"]) for state in ExtractState],
)
def test_the_gate_waits_for_the_extract(ready, state, codes):
    ready.grant("heart", "visits")
    set_extract(ready, state, "disk full" if state is ExtractState.failed else "")
    assert gate(ready) == codes


def test_every_dataset_must_be_granted(ready):
    write_parquet(ready.places, "beta", "visits", visits())
    service.register(ready.db, ready.places, ready.actor("cyril"), visits_dataset(slug="other", organisation="beta"))
    ready.project("two", [ask(), ask("age", dataset="other"), ask("age", dataset="unknown")])
    ready.grant("two", "visits")
    assert gate(ready, "two") == ["extract_not_ready", "grant_missing", "grant_missing"]


def test_a_withdrawn_dataset_is_not_granted(ready):
    service.withdraw(ready.db, ready.actor("carol"), "visits", reason="superseded")
    with pytest.raises(Conflict):
        ready.grant("heart", "visits")


@pytest.mark.parametrize(
    ("by", "sees"), [("rita", 1), ("rob", 1), ("carol", 1), ("adam", 1), ("olga", 1), ("cyril", 0), ("uma", 0)]
)
def test_who_sees_a_grant(ready, by, sees):
    ready.add("uma", Role.researcher, "uni")
    ready.grant("heart", "visits")
    with ready.db.read() as session:
        assert len(grants.list_grants(session, ready.actor(by), project="heart", dataset="visits")) == sees


def test_two_custodians_deciding_at_once_make_one_decision(ready):
    ready.add("cora", Role.custodian, "acme", "acme")
    outcomes, start = [], threading.Barrier(2)

    def decide(by):
        start.wait()
        try:
            outcomes.append(ready.grant("heart", "visits", by=by))
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=decide, args=(by,)) for by in ("carol", "cora")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(None) == 1
    with ready.db.read() as session:
        assert len(session.scalars(select(Extract)).all()) == 1


@pytest.mark.parametrize("state", list(ExtractState))
@pytest.mark.parametrize("target", list(ExtractState))
def test_every_pair_of_extract_states(state, target):
    if target in TRANSITIONS[state]:
        rules.check_transition(Extract(state=state), target)
    else:
        with pytest.raises(Conflict):
            rules.check_transition(Extract(state=state), target)


def test_a_grant_without_a_last_day_does_not_stand():
    """Such a row cannot be written by us; if one is there, it opens nothing."""
    today = date(2026, 1, 1)
    assert not rules.stands(Grant(decision=Decision.granted, until=None), today)
    assert not rules.stands(None, today)
    assert rules.stands(Grant(decision=Decision.granted, until=today), today)
    assert not rules.stands(Grant(decision=Decision.granted, until=today - timedelta(days=1)), today)


def test_numbers_with_fractions_are_no_identifiers():
    weight = Variable(name="weight", kind="float", identifier=True, unit=False)
    with pytest.raises(InvalidInput):
        rules.check_pseudonymised((), ["weight"], [weight])
