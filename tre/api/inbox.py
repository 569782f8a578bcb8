"""Whose turn is it? Everything that waits for one person, gathered from the rooms: the inbox of their home page and of
`tre inbox`.

Asks the rules who may act; decides nothing. A task is a sentence and the page where it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from sqlalchemy.orm import Session

from tre.api.auth import CurrentActor, PlatformHere
from tre.audit import Actor
from tre.data import extracts, grants
from tre.data import rules as data_rules
from tre.data import service as data
from tre.errors import TreError
from tre.outputs.lists import MAX_PAGE, Filters, RequestRow, list_requests
from tre.outputs.states import Owner, RequestState
from tre.people.model import Role
from tre.people.rules import has_role, standing_obstacles
from tre.people.service import custodian_of, get_person
from tre.projects import agreement, rules, service
from tre.projects.model import Project, ProjectState

router = APIRouter(tags=["inbox"])
#: Tasks of one kind in one inbox; the lists have them all.
MOST = 25


@dataclass(frozen=True)
class Task:
    """`page` is where it is done, below the platform's address; `since` when the turn came to this person, `due` until
    when it should be done, `due_in` working days from today.
    """

    text: str
    page: str
    since: datetime | None = None
    due: datetime | None = None
    due_in: int | None = None


@router.get("/inbox")
def inbox(platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """What waits for the caller."""
    with platform.db.read() as session:
        found = tasks(session, actor, platform.db.clock())
    return {"count": len(found), "tasks": [asdict(task) for task in found]}


def tasks(session: Session, actor: Actor, now: datetime) -> list[Task]:
    """Everything that waits for this person, what waits longest first; tasks without a date come first."""
    found = [*own_standing(session, actor, now), *agreements(session, actor)]
    found += [*proposals(session, actor), *undecided_datasets(session, actor)]
    found += [*failed_extracts(session, actor, now), *unsettled(session, actor, now)]
    found += [*own_requests(session, actor, now), *reviews(session, actor, now)]
    return sorted(found, key=lambda task: (task.since is not None, task.since.timestamp() if task.since else 0))


def page(*parts: object) -> str:
    """A page below the platform's address; every part is one segment, whatever is in it."""
    return "/".join(quote(str(part), safe="") for part in parts)


def may(check: Callable[..., object], *arguments: Any) -> bool:
    try:
        check(*arguments)
    except TreError:
        return False
    return True


def own_standing(session: Session, actor: Actor, now: datetime) -> list[Task]:
    if not has_role(actor, Role.researcher):
        return []
    person = get_person(session, actor.username)
    found = standing_obstacles(person.username, person.standings, now.date())
    return [Task(f"{obstacle.message} {obstacle.remedy}", page("me")) for obstacle in found]


def agreements(session: Session, actor: Actor) -> list[Task]:
    """Projects of theirs whose agreement they have not accepted."""
    found = []
    for project in service.list_projects(session, member=actor.username):
        member = service.find_member(project, actor.username)
        if member and member.agreement != agreement.DIGEST and project.state == ProjectState.approved:
            text = f"Accept the agreement of {project.title}"
            found.append(Task(text, page("projects", project.slug, "agreement"), project.state_since))
    return found


def proposals(session: Session, actor: Actor) -> list[Task]:
    """Proposals on which this administrator may decide."""
    if not has_role(actor, Role.administrator):
        return []
    return [
        Task(f"Decide on the proposal {project.title}", page("projects", project.slug, "decide"), project.proposed_at)
        for project in service.list_projects(session, state=ProjectState.proposed)
        if may(rules.check_decide, actor, project, service.everybody_ever(project))
    ]


def undecided_datasets(session: Session, actor: Actor) -> list[Task]:
    """Datasets of this custodian's organisation that a project asked for and nobody has decided on."""
    if not has_role(actor, Role.custodian):
        return []
    return [
        Task(
            f"Decide whether {project.title} gets {dataset}",
            page("projects", project.slug, "datasets", dataset),
            project.proposed_at,
        )
        for state in (ProjectState.proposed, ProjectState.approved)
        for project in service.list_projects(session, state=state)
        for dataset in undecided(session, actor, project)
    ]


def undecided(session: Session, actor: Actor, project: Project) -> list[str]:
    mine = custodian_of(session, actor.username)
    found = []
    for ask in project.asks:
        dataset = data.find(session, ask.dataset)
        if dataset is None or dataset.withdrawn_at is not None:
            continue
        if grants.newest(session, project.id, dataset.id) is not None:
            continue
        everybody = service.everybody_ever(project)
        if may(data_rules.check_decide, actor, dataset.organisation_slug, mine, everybody):
            found.append(ask.dataset)
    return found


def failed_extracts(session: Session, actor: Actor, now: datetime) -> list[Task]:
    """Extracts that were not built: until somebody looks, no workspace of the project starts."""
    if not has_role(actor, Role.administrator, Role.custodian):
        return []
    mine = custodian_of(session, actor.username)
    return [
        Task(
            f"Build the extract of {grant.dataset.title} for {grant.project.title} again, or end the grant",
            page("projects", grant.project.slug),
            extract.state_since,
        )
        for extract in extracts.failed(session, now.date())
        if (grant := extract.grant) and may(data_rules.check_end, actor, grant.dataset.organisation_slug, mine)
    ]


def unsettled(session: Session, actor: Actor, now: datetime) -> list[Task]:
    """Projects that only an administrator brings to an end: their data and keys are there as long as they are open."""
    if not has_role(actor, Role.administrator):
        return []
    suspended = service.list_projects(session, state=ProjectState.suspended)
    ended = [p for p in service.list_projects(session, state=ProjectState.approved) if p.end_date < now.date()]
    words = [(project, f"Resume or close the suspended project {project.title}") for project in suspended]
    words += [(project, f"Close {project.title}: it ended on {project.end_date:%-d %B %Y}") for project in ended]
    return [
        Task(text, page("projects", project.slug), project.state_since)
        for project, text in words
        if may(rules.check_decide, actor, project, service.everybody_ever(project))
    ]


def own_requests(session: Session, actor: Actor, now: datetime) -> list[Task]:
    """Release requests of theirs that were returned to them, or failed."""
    filters = Filters(turn=Owner.author, author=actor.username, limit=MOST)
    return [
        Task(f"Your request {row.title} is {row.state}", page("requests", row.id), row.since)
        for row in list_requests(session, actor, filters, now=now).rows
    ]


def reviews(session: Session, actor: Actor, now: datetime) -> list[Task]:
    """What an output checker may vote on, decide or release."""
    if not has_role(actor, Role.checker):
        return []

    def rows(filters: Filters) -> tuple[RequestRow, ...]:
        return list_requests(session, actor, filters, now=now).rows

    def task(verb: str, row: RequestRow) -> Task:
        return Task(f"{verb} the request {row.title}", page("requests", row.id), row.since, row.due_at, row.due_in)

    found = [task("Review", row) for row in rows(Filters(waiting=True, limit=MOST))]
    in_review = rows(Filters(state=RequestState.in_review, limit=MAX_PAGE))
    found += [task("Decide on", row) for row in in_review if row.mine and row.reviews >= row.required]
    return found + [task("Release", row) for row in rows(Filters(state=RequestState.approved, limit=MOST))]
