"""The use cases of a project: who decides, never on their own; refusals that say why; two at once; hostile texts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.people import People, Projects
from tre.audit import Actor
from tre.audit.model import AuditEvent
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound
from tre.people import service as people_service
from tre.people.model import Role
from tre.projects import agreement, service
from tre.projects.model import ProjectState, RefusalCode
from tre.projects.service import Ask, Proposal
from tre.store import Database

Decision = Callable[[Database, Actor], None]
DECISIONS: dict[str, Decision] = {
    "approve": lambda db, actor: service.approve(db, actor, "cost", reason="Good."),
    "refuse": lambda db, actor: service.refuse(
        db, actor, "cost", code=RefusalCode.team, reason="Alone.", would_change="A second researcher."
    ),
    "suspend": lambda db, actor: service.suspend(db, actor, "cost", reason="Breach."),
    "close": lambda db, actor: service.close(db, actor, "cost", reason="Done."),
}
BEFORE = {"approve": "proposed", "refuse": "proposed", "suspend": "approved", "close": "approved"}


@pytest.fixture
def bob(people: People) -> Actor:
    return people.add("bob", Role.researcher)


@pytest.fixture
def bea(people: People) -> Actor:
    """A second administrator, who may do research as well."""
    return people.add("bea", Role.administrator, Role.researcher)


def state_of(db: Database, slug: str = "cost") -> str:
    with db.read() as session:
        return service.get(session, slug).state


def last_event(db: Database) -> AuditEvent:
    with db.read() as session:
        found = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
    assert found is not None
    return found


def prepare(projects: Projects, by: Actor, decision: str, **more: Any) -> None:
    """A project in a state from which the decision is possible."""
    make = projects.propose if BEFORE[decision] == "proposed" else projects.approved
    make("cost", by, **more)


ROLES = [frozenset(chosen) for size in (0, 1, 2) for chosen in combinations(Role, size)]


@pytest.mark.parametrize("roles", ROLES, ids=lambda roles: "+".join(sorted(roles)) or "nobody")
def test_every_combination_of_roles_does_what_one_of_its_roles_may(
    people: People, projects: Projects, bob: Actor, roles: frozenset[Role]
):
    custodian = ("uni",) if Role.custodian in roles else ()
    actor = people.add("actor", *roles - {Role.custodian}, custodian_of=custodian)
    db = people.db
    projects.propose("cost", bob)
    cases: list[tuple[Role, Callable[[], Any]]] = [
        (Role.researcher, lambda: projects.propose("other", actor)),
        (Role.administrator, lambda: DECISIONS["approve"](db, actor)),
        (Role.administrator, lambda: DECISIONS["suspend"](db, actor)),
        (Role.administrator, lambda: service.add_member(db, actor, "cost", username="cy")),
        (Role.administrator, lambda: service.remove_member(db, actor, "cost", username="cy", reason="Left.")),
        (Role.administrator, lambda: DECISIONS["close"](db, actor)),
    ]
    people.add("cy", Role.researcher)
    for needed, use_case in cases:
        if needed in roles:
            use_case()
            assert last_event(db).outcome == "done"
        else:
            with pytest.raises(Forbidden):
                use_case()
            assert (last_event(db).actor, last_event(db).outcome) == ("actor", "refused")
    with pytest.raises(Forbidden):
        service.accept_agreement(db, actor, "cost", digest=agreement.DIGEST)


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("relation", ["proposer", "member", "left", "former proposer", "interest", "none"])
def test_nobody_decides_on_a_project_of_their_own(
    people: People, projects: Projects, bob: Actor, bea: Actor, decision: str, relation: str
):
    by, team = (bea, ()) if "proposer" in relation else (bob, ("bea",) if relation in ("member", "left") else ())
    prepare(projects, by, decision, team=team)
    if relation in ("left", "former proposer"):
        service.remove_member(people.db, bea, "cost", username="bea", reason="To decide.")
    if relation == "interest":
        people_service.declare_conflict(people.db, bea, object="project:cost", statement="My brother's.")
    if relation == "none":
        DECISIONS[decision](people.db, bea)
        assert state_of(people.db) != BEFORE[decision]
        return
    with pytest.raises(Forbidden) as refused:
        DECISIONS[decision](people.db, bea)
    assert refused.value.error_code == ("conflict_of_interest" if relation == "interest" else "own_project")
    assert state_of(people.db) == BEFORE[decision]
    assert last_event(people.db).outcome == "refused"


@pytest.mark.parametrize(("one", "two"), [("approve", "refuse"), ("approve", "approve"), ("suspend", "close")])
def test_of_two_who_decide_at_once_one_does(
    people: People, projects: Projects, bob: Actor, bea: Actor, at_once: Callable[..., list[object]], one: str, two: str
):
    prepare(projects, bob, one)
    results = at_once(lambda: DECISIONS[one](people.db, people.admin), lambda: DECISIONS[two](people.db, bea))
    kinds = sorted(type(result).__name__ for result in results)
    # Closing is possible after suspending too; nothing else is possible twice.
    assert kinds in ([["Conflict", "NoneType"]] if one != "suspend" else [["Conflict", "NoneType"], ["NoneType"] * 2])
    with people.db.read() as session:
        made = service.get(session, "cost").decisions
    assert len(made) == kinds.count("NoneType") + (one == "suspend")


@pytest.mark.parametrize(
    ("field", "value"), [("reason", " "), ("would_change", ""), ("would_change", "\0"), ("reason", "x" * 2001)]
)
def test_a_refusal_says_why_and_what_would_change_it(
    people: People, projects: Projects, bob: Actor, field: str, value: str
):
    projects.propose("cost", bob)
    texts = {"reason": "Too much.", "would_change": "Fewer columns.", field: value}
    with pytest.raises(InvalidInput) as refused:
        service.refuse(people.db, people.admin, "cost", code=RefusalCode.not_minimal, **texts)
    assert refused.value.field == field
    assert state_of(people.db) == "proposed"


def test_a_refusal_is_kept_with_its_code_and_is_final(people: People, projects: Projects, bob: Actor):
    projects.propose("cost", bob)
    DECISIONS["refuse"](people.db, people.admin)
    with people.db.read() as session:
        (decision,) = service.get(session, "cost").decisions
    assert (decision.decision, decision.code, decision.reason, decision.would_change, decision.decided_by) == (
        "refused",
        "team",
        "Alone.",
        "A second researcher.",
        "ada",
    )
    assert last_event(people.db).detail == {
        "reason": "Alone.",
        "code": "team",
        "would_change": "A second researcher.",
    }
    for decide in DECISIONS.values():
        with pytest.raises(Conflict):
            decide(people.db, people.admin)
    with pytest.raises(Conflict):
        projects.propose("cost", bob)


def test_the_life_of_a_project(people: People, projects: Projects, bob: Actor):
    projects.propose("cost", bob)
    for name in ("approve", "suspend", "approve", "suspend", "close"):
        DECISIONS[name](people.db, people.admin)
    with people.db.read() as session:
        project = service.get(session, "cost")
    assert [decision.decision for decision in project.decisions] == [
        "approved",
        "suspended",
        "approved",
        "suspended",
        "closed",
    ]
    assert (project.state, project.state_reason) == (ProjectState.closed, "Done.")


PROPOSAL = Proposal(
    slug="cost",
    title="Cost",
    purpose="p",
    public_benefit="b",
    legal_basis="l",
    risk_of_sharing="r",
    cost_of_withholding="c",
    end_date=date(2027, 1, 1),
    asks=(Ask("survey", ("age",)),),
)


@pytest.mark.parametrize(
    "field",
    ["title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding"],
)
@pytest.mark.parametrize("bad", ["", " \u200b", "\x1b[2J", "a\0", "\u202ecod", "x" * 4001])
def test_every_text_of_a_proposal_is_mandatory_and_harmless(people: People, bob: Actor, field: str, bad: str):
    with pytest.raises(InvalidInput) as refused:
        service.propose(people.db, bob, replace(PROPOSAL, **{field: bad}))
    assert refused.value.field == field
    with people.db.read() as session:
        assert service.list_projects(session) == []


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"slug": "Cost"}, InvalidInput, "slug"),
        ({"slug": "../../etc"}, InvalidInput, "slug"),
        ({"slug": "c" * 31}, InvalidInput, "slug"),
        ({"title": "two\nlines"}, InvalidInput, "title"),
        ({"asks": ()}, InvalidInput, "datasets"),
        ({"asks": (Ask("survey\0", ("age",)),)}, InvalidInput, "datasets"),
        ({"asks": (Ask("survey", ("age",), {"a": "\0"}),)}, InvalidInput, ""),
        ({"asks": (Ask("survey", ("age",), {"a": float("inf")}),)}, InvalidInput, ""),
        ({"team": ("nobody",)}, NotFound, "username"),
        ({"team": ("\0",)}, InvalidInput, ""),
        ({"end_date": PROPOSAL.end_date.replace(year=2026)}, InvalidInput, "end_date"),
    ],
)
def test_a_proposal_that_does_not_fit_changes_nothing(
    people: People, bob: Actor, change: dict[str, Any], error: type[Exception], field: str
):
    with pytest.raises(error) as refused:
        service.propose(people.db, bob, replace(PROPOSAL, **change))
    assert refused.value.field == field  # type: ignore[attr-defined]
    with people.db.read() as session:
        assert service.list_projects(session) == []


def test_two_proposals_of_one_name_at_once_are_one(
    people: People, bob: Actor, bea: Actor, at_once: Callable[..., list[object]]
):
    results = at_once(
        lambda: service.propose(people.db, bob, PROPOSAL), lambda: service.propose(people.db, bea, PROPOSAL)
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


def test_the_proposer_is_a_member_once(people: People, projects: Projects, bob: Actor, bea: Actor):
    projects.propose("cost", bob, team=("bea", "bob", "bea"))
    with people.db.read() as session:
        project = service.get(session, "cost")
        assert service.member_names(project) == {"bob", "bea"}
        assert len(project.members) == 2
        assert project.end_date == people.clock().date() + timedelta(days=365)
