"""The table of transitions, the gate's obstacles alone and in pairs, days at the border: pure functions, enumerated."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest

from tre.audit import Actor
from tre.errors import Conflict, Forbidden, GateClosed, InvalidInput
from tre.people.model import Person, Role, RoleHeld, Standing, StandingHeld
from tre.projects import agreement, rules
from tre.projects.model import TRANSITIONS, Member, Project, ProjectState

TODAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ALLOWED = {
    ("proposed", "approved"),
    ("proposed", "refused"),
    ("approved", "suspended"),
    ("approved", "closed"),
    ("suspended", "approved"),
    ("suspended", "closed"),
}


def project(state: str = "approved", end_date: date = TODAY + DAY) -> Project:
    return Project(slug="cost", state=state, end_date=end_date, state_reason="", proposed_by="bob")


def member() -> Member:
    """Whom nothing keeps out."""
    standings = [StandingHeld(kind=kind, awarded_on=TODAY, expires_on=TODAY) for kind in Standing]
    person = Person(username="bob", active=True, roles=[RoleHeld(role=Role.researcher)], standings=standings)
    return Member(person=person, left_at=None, agreement=agreement.DIGEST)


@pytest.mark.parametrize(("before", "after"), list(product(ProjectState, ProjectState)))
def test_every_pair_of_states(before: ProjectState, after: ProjectState):
    if (before, after) in ALLOWED:
        rules.check_transition(project(before), after)
        return
    with pytest.raises(Conflict) as refused:
        rules.check_transition(project(before), after)
    assert str(before) in refused.value.message
    assert refused.value.hint.startswith("Possible now: ")


def test_the_table_knows_every_state():
    assert set(TRANSITIONS) == set(ProjectState)


def close_to(name: str, project: Project, member: Member) -> tuple[Project, Member | None, str]:
    """Puts one obstacle between the two, and says its code."""
    match name:
        case "proposed" | "refused" | "suspended" | "closed":
            project.state = name
            return project, member, f"project_{name}"
        case "ended":
            project.end_date = TODAY - DAY
            return project, member, "project_ended"
        case "left":
            member.left_at = NOW
            return project, member, "not_a_member"
        case "stranger":
            return project, None, "not_a_member"
        case "account":
            member.person.active = False
            return project, member, "account_ended"
        case "role":
            member.person.roles = [RoleHeld(role=Role.administrator), RoleHeld(role=Role.checker)]
            return project, member, "not_a_researcher"
        case "agreement":
            member.agreement = None
            return project, member, "agreement_missing"
        case "old agreement":
            member.agreement = "0" * 64
            return project, member, "agreement_missing"
        case _:
            kind, state = name.split()
            for standing in member.person.standings:
                if standing.kind == kind:
                    standing.awarded_on = TODAY + DAY if state == "missing" else TODAY - 9 * DAY
                    standing.expires_on = TODAY + DAY if state == "missing" else TODAY - DAY
            return project, member, f"{kind}_{state}"


NAMES = (
    "proposed", "refused", "suspended", "closed", "ended", "left", "stranger", "account", "role", "agreement",
    "old agreement", "training expired", "training missing", "accreditation expired", "accreditation missing",
)  # fmt: skip
STATES = {"proposed", "refused", "suspended", "closed"}


def obstacles(*names: str) -> tuple[set[str], set[str]]:
    """(codes found, codes expected)."""
    where, who = project(), member()
    found: Member | None = who
    expected = set()
    for name in names:
        where, after, code = close_to(name, where, who)
        found = None if after is None or found is None else found
        expected.add(code)
    codes = [o.code for o in rules.project_obstacles(where, TODAY) + rules.member_obstacles(found, "bob", TODAY)]
    assert len(codes) == len(set(codes))
    return set(codes), expected


def test_nothing_keeps_out_whom_nothing_keeps_out():
    assert obstacles() == (set(), set())


@pytest.mark.parametrize("name", NAMES)
def test_every_obstacle_alone(name: str):
    found, expected = obstacles(name)
    assert found == expected


@pytest.mark.parametrize(("one", "two"), list(combinations(NAMES, 2)))
def test_every_pair_of_obstacles(one: str, two: str):
    found, expected = obstacles(one, two)
    if {one, two} <= STATES or one.split()[0] == two.split()[0] or {one, two} == {"agreement", "old agreement"}:
        # A project has one state, a member one training and one agreement: the second hides the first.
        assert found == {close_to(two, project(), member())[2]}
    elif "not_a_member" in expected:
        # Of somebody outside the team, nothing more is told.
        assert found == {code for code in expected if code.startswith(("project_", "not_a_member"))}
    else:
        assert found == expected


@pytest.mark.parametrize(("end", "closed"), [(TODAY - DAY, True), (TODAY, False), (TODAY + DAY, False)])
def test_a_project_is_open_on_its_last_day(end: date, closed: bool):
    assert bool(rules.project_obstacles(project(end_date=end), TODAY)) is closed


def test_an_obstacle_says_why_the_project_stands_still():
    where = project("suspended")
    where.state_reason = "Breach reported."
    (obstacle,) = rules.project_obstacles(where, TODAY)
    assert obstacle.message == "Project cost is suspended (Breach reported.)."


def test_the_gate_names_every_obstacle_and_each_remedy_once():
    where, who = project("closed", TODAY - DAY), member()
    who.person.active = False
    with pytest.raises(GateClosed) as closed:
        rules.check_gate(rules.project_obstacles(where, TODAY) + rules.member_obstacles(who, "bob", TODAY))
    assert closed.value.error_code == "project_closed"
    assert closed.value.kind == "gate_closed"
    assert closed.value.message == "Project cost is closed. Project cost ended on 2026-05-31. bob's account has ended."
    assert closed.value.hint == "Ask an administrator. Propose a continuation."
    rules.check_gate([])


@pytest.mark.parametrize(
    ("end", "accepted"),
    [
        (TODAY - DAY, False),
        (TODAY, False),
        (TODAY + DAY, True),
        (TODAY + rules.LONGEST_PROJECT, True),
        (TODAY + rules.LONGEST_PROJECT + DAY, False),
        (date.min, False),
        (date.max, False),
    ],
)
def test_the_end_date_lies_in_the_future_but_not_far(end: date, accepted: bool):
    if accepted:
        rules.check_end_date(end, TODAY)
        return
    with pytest.raises(InvalidInput) as refused:
        rules.check_end_date(end, TODAY)
    assert refused.value.field == "end_date"


@pytest.mark.parametrize(
    "asks",
    [
        [],
        [("survey", [])],
        [("survey", ["age", "age"])],
        [("survey", ["age"]), ("survey", ["income"])],
        [("../survey", ["age"])],
        [("Survey", ["age"])],
        [("survey", ["age\0"])],
        [("survey", [""])],
        [("survey", ["a\nb"])],
        [("survey", ["x" * 201])],
    ],
)
def test_what_is_asked_for_is_named_once_and_can_be_shown(asks: Any):
    with pytest.raises(InvalidInput) as refused:
        rules.check_asks(asks)
    assert refused.value.field == "datasets"


def nested(depth: int) -> Any:
    rows: Any = 1
    for number in range(depth):
        rows = {"not": rows} if number % 2 else [rows]
    return rows


def test_rows_are_bounded_in_depth():
    rules.check_rows(None)
    rules.check_rows(nested(rules.DEEPEST_ROWS - 1))
    for depth in (rules.DEEPEST_ROWS, 900):
        with pytest.raises(InvalidInput) as refused:
            rules.check_rows(nested(depth))
        assert refused.value.field == "rows"


ROLES = [frozenset(chosen) for size in (0, 1, 2) for chosen in combinations(Role, size)]


@pytest.mark.parametrize("roles", ROLES, ids=lambda roles: "+".join(sorted(roles)) or "nobody")
@pytest.mark.parametrize("relation", ["stranger", "proposer", "member"])
@pytest.mark.parametrize("concerned", [False, True])
def test_who_decides_and_who_sees(roles: frozenset[Role], relation: str, concerned: bool):
    username = {"stranger": "eve", "proposer": "bob", "member": "cy"}[relation]
    actor, members = Actor(username, roles), {"cy"}
    may_decide = Role.administrator in roles and relation == "stranger"
    may_see = bool(roles & {Role.administrator, Role.auditor}) or relation == "member" or concerned
    for allowed, check in (
        (may_decide, lambda: rules.check_decide(actor, project(), members)),
        (may_see, lambda: rules.check_see(actor, members, concerned=concerned)),
    ):
        if allowed:
            check()
        else:
            with pytest.raises(Forbidden):
                check()
