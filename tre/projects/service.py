"""The use cases of a project: propose, decide, suspend, resume, close, members, agreement; and what its gate says now.

`tre.data` decides on datasets and grants, `tre.workspaces` ends what a closed gate no longer allows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound
from tre.people.model import Person, Role
from tre.people.rules import Obstacle, check_line, check_no_conflict, check_role, check_slug, check_text
from tre.people.service import conflicts_of, get_person
from tre.projects import agreement, rules
from tre.projects.model import DatasetAsk, Member, Project, ProjectDecision, ProjectState, RefusalCode
from tre.store import Database


@dataclass(frozen=True)
class Ask:
    """Columns (and rows, as a typed expression; None for all) that a proposal asks of one dataset."""

    dataset: str
    columns: tuple[str, ...]
    rows: dict[str, Any] | None = None


@dataclass(frozen=True)
class Proposal:
    """What a researcher fills in. Risk of sharing and cost of withholding are both mandatory: they are weighed
    together.
    """

    slug: str
    title: str
    purpose: str
    public_benefit: str
    legal_basis: str
    risk_of_sharing: str
    cost_of_withholding: str
    end_date: date
    asks: tuple[Ask, ...]
    team: tuple[str, ...] = ()


#: A project's slug and a person's name.
Pair = tuple[str, str]
_TEXTS = ("purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")


def propose(db: Database, actor: Actor, proposal: Proposal) -> None:
    """The proposer is a member. Raises `InvalidInput` by field, `Conflict` when the name is taken."""
    with use_case(db, actor, "project.propose", f"project:{proposal.slug}") as case:
        check_role(actor, Role.researcher)
        check_slug(proposal.slug, field="slug")
        rules.check_end_date(proposal.end_date, case.now.date())
        rules.check_asks([(ask.dataset, ask.columns) for ask in proposal.asks])
        for ask in proposal.asks:
            rules.check_rows(ask.rows)
        if find(case.session, proposal.slug):
            raise Conflict(f"There is a project {proposal.slug} already.", field="slug", hint="Choose another name.")
        project = _new_project(case, proposal)
        for username in dict.fromkeys((actor.username, *proposal.team)):
            person = get_person(case.session, username)
            project.members.append(Member(person_id=person.id, joined_at=case.now))
        case.session.add(project)
        case.note(datasets=[ask.dataset for ask in proposal.asks], team=list(proposal.team))


def _new_project(case: UseCase, proposal: Proposal) -> Project:
    texts = {name: check_text(getattr(proposal, name), field=name) for name in _TEXTS}
    return Project(
        slug=proposal.slug,
        title=check_line(proposal.title, field="title", longest=300),
        end_date=proposal.end_date,
        state=ProjectState.proposed,
        state_since=case.now,
        proposed_by=case.actor.username,
        proposed_at=case.now,
        asks=[DatasetAsk(dataset=ask.dataset, columns=list(ask.columns), rows=ask.rows) for ask in proposal.asks],
        **texts,
    )


def approve(db: Database, actor: Actor, slug: str, *, reason: str) -> None:
    """From proposed, or from suspended (resumed)."""
    _decide(db, actor, slug, ProjectState.approved, "project.approve", reason)


def refuse(db: Database, actor: Actor, slug: str, *, code: RefusalCode, reason: str, would_change: str) -> None:
    """A refusal always says why and what would change it."""
    _decide(db, actor, slug, ProjectState.refused, "project.refuse", reason, code, would_change)


def suspend(db: Database, actor: Actor, slug: str, *, reason: str) -> None:
    """Ends running workspaces within seconds; the homes stay."""
    _decide(db, actor, slug, ProjectState.suspended, "project.suspend", reason)


def close(db: Database, actor: Actor, slug: str, *, reason: str) -> None:
    """For ever. Ends workspaces and grants."""
    _decide(db, actor, slug, ProjectState.closed, "project.close", reason)


def _decide(
    db: Database,
    actor: Actor,
    slug: str,
    target: ProjectState,
    action: str,
    reason: str,
    code: RefusalCode | None = None,
    would_change: str = "",
) -> None:
    with use_case(db, actor, action, f"project:{slug}") as case:
        project = get(case.session, slug, lock=True)
        rules.check_decide(actor, project, everybody_ever(project))
        check_no_conflict(actor.username, [f"project:{slug}"], conflicts_of(case.session, actor.username))
        rules.check_transition(project, target)
        text = check_text(reason, field="reason", longest=2000)
        if target is ProjectState.refused:
            would_change = check_text(would_change, field="would_change", longest=2000)
        project.state, project.state_since, project.state_reason = target, case.now, text
        project.decisions.append(
            ProjectDecision(
                decision=target,
                code=code or "",
                reason=text,
                would_change=would_change,
                decided_by=actor.username,
                decided_at=case.now,
            )
        )
        case.note(reason=text, code=code, would_change=would_change)


def accept_agreement(db: Database, actor: Actor, slug: str, *, digest: str) -> None:
    """A member accepts the text that they were shown; `digest` proves that it was the one in force."""
    with use_case(db, actor, "project.accept_agreement", f"project:{slug}") as case:
        member = find_member(get(case.session, slug), actor.username)
        if member is None:
            raise Forbidden("Only members of the project accept its agreement.")
        if digest != agreement.DIGEST:
            raise InvalidInput("This is not the agreement in force.", field="digest", hint="Read it again.")
        member.agreement, member.agreed_at = digest, case.now
        case.note(version=agreement.VERSION, digest=digest)


def add_member(db: Database, actor: Actor, slug: str, *, username: str) -> None:
    """Administrators of no part of the project add members after the proposal, so that nobody joins a team that was not
    decided on. Who comes back accepts the agreement again.
    """
    with use_case(db, actor, "project.add_member", f"project:{slug}") as case:
        check_role(actor, Role.administrator)
        if actor.username == username:
            raise Forbidden(
                "Nobody adds themselves to a project.", hint="Ask another administrator.", code="own_rights"
            )
        project, person = get(case.session, slug, lock=True), get_person(case.session, username)
        rules.check_decide(actor, project, everybody_ever(project))
        check_no_conflict(actor.username, [f"project:{slug}"], conflicts_of(case.session, actor.username))
        rules.check_open(project)
        member = next((m for m in project.members if m.person_id == person.id), None)
        if member and member.left_at is None:
            raise Conflict(f"{username} is a member already.")
        if member:
            member.left_at, member.joined_at = None, case.now
            member.agreement = member.agreed_at = None
        else:
            project.members.append(Member(person_id=person.id, joined_at=case.now))
        case.note(member=username)


def remove_member(db: Database, actor: Actor, slug: str, *, username: str, reason: str) -> None:
    with use_case(db, actor, "project.remove_member", f"project:{slug}") as case:
        if actor.username != username:
            check_role(actor, Role.administrator)
        member = find_member(get(case.session, slug, lock=True), username)
        if member is None:
            raise Conflict(f"{username} is not a member.")
        member.left_at = case.now
        case.note(member=username, reason=check_text(reason, field="reason", longest=500))


def gate(session: Session, slug: str, username: str, today: date) -> list[Obstacle]:
    """Every obstacle between this person and a workspace of this project, but for those of `tre.data`."""
    return gates(session, [(slug, username)], today)[slug, username]


def gates(session: Session, pairs: Collection[Pair], today: date) -> dict[Pair, list[Obstacle]]:
    """The same for many, in a number of queries that does not grow with them. Raises `NotFound`."""
    slugs = {slug for slug, _ in pairs}
    known = {each.slug: each for each in session.scalars(select(Project).where(Project.slug.in_(slugs)))}
    if missing := sorted(slugs - known.keys()):
        raise NotFound(f"There is no project {missing[0]}.", field="project")
    return {(slug, username): _gate(known[slug], username, today) for slug, username in pairs}


def _gate(project: Project, username: str, today: date) -> list[Obstacle]:
    member = next((m for m in project.members if m.person.username == username), None)
    return rules.project_obstacles(project, today) + rules.member_obstacles(member, username, today)


def find(session: Session, slug: str, *, lock: bool = False) -> Project | None:
    query = select(Project).where(Project.slug == slug)
    return session.scalars(query.with_for_update() if lock else query).first()


def get(session: Session, slug: str, *, lock: bool = False) -> Project:
    """Raises `NotFound`."""
    project = find(session, slug, lock=lock)
    if project is None:
        raise NotFound(f"There is no project {slug}.", field="project")
    return project


def member_names(project: Project) -> set[str]:
    """Present members."""
    return {member.person.username for member in project.members if member.left_at is None}


def everybody_ever(project: Project) -> set[str]:
    """Present and former members and the proposer: none of them checks the project's outputs."""
    return {member.person.username for member in project.members} | {project.proposed_by}


def find_member(project: Project, username: str) -> Member | None:
    return next((m for m in project.members if m.person.username == username and m.left_at is None), None)


def list_projects(session: Session, *, state: str = "", member: str = "") -> Sequence[Project]:
    query = select(Project).order_by(Project.slug)
    if state:
        query = query.where(Project.state == state)
    if member:
        query = query.join(Member).join(Person).where(Person.username == member, Member.left_at.is_(None))
    return session.scalars(query).all()
