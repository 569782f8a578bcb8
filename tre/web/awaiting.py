"""Whose turn is it? Everything that waits for one person, gathered from the rooms for their home page.

Asks the rules who may act; decides nothing. A task is a sentence and the page where it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from tre.data import grants
from tre.data import rules as data_rules
from tre.data import service as data
from tre.outputs.lists import MAX_PAGE, Filters, RequestRow, list_requests
from tre.outputs.states import Owner, RequestState
from tre.people.model import Role
from tre.people.rules import standing_obstacles
from tre.people.service import custodian_of, get_person
from tre.projects import agreement, rules, service
from tre.projects.model import Project, ProjectState
from tre.web.page import link, may
from tre.web.session import Visit
from tre.web.words import name_of

#: Tasks of one kind on one page; the lists behind the sections have them all.
MOST = 25


@dataclass(frozen=True)
class Task:
    """`since` is when the turn came to this person, `due` until when it should be done."""

    text: str
    href: str
    since: datetime | None = None
    due: datetime | None = None


def tasks(session: Session, visit: Visit) -> list[Task]:
    """Everything that waits for this person, what waits longest first; tasks without a date come first."""
    found = [*own_standing(session, visit), *agreements(session, visit)]
    found += [*proposals(session, visit), *undecided_datasets(session, visit)]
    found += [*own_requests(session, visit), *reviews(session, visit)]
    return sorted(found, key=lambda task: (task.since is not None, task.since.timestamp() if task.since else 0))


def own_standing(session: Session, visit: Visit) -> list[Task]:
    if not visit.has(Role.researcher):
        return []
    person = get_person(session, visit.actor.username)
    found = standing_obstacles(person.username, person.standings, visit.now.date())
    return [Task(f"{obstacle.message} {obstacle.remedy}", link("me")) for obstacle in found]


def agreements(session: Session, visit: Visit) -> list[Task]:
    """Projects of mine whose agreement I have not accepted."""
    found = []
    for project in service.list_projects(session, member=visit.actor.username):
        member = service.find_member(project, visit.actor.username)
        if member and member.agreement != agreement.DIGEST and project.state == ProjectState.approved:
            text = f"Accept the agreement of {project.title}"
            found.append(Task(text, link("projects", project.slug, "agreement"), project.state_since))
    return found


def proposals(session: Session, visit: Visit) -> list[Task]:
    """Proposals on which this administrator may decide."""
    if not visit.has(Role.administrator):
        return []
    return [
        Task(f"Decide on the proposal {project.title}", link("projects", project.slug, "decide"), project.proposed_at)
        for project in service.list_projects(session, state=ProjectState.proposed)
        if may(rules.check_decide, visit.actor, project, service.everybody_ever(project))
    ]


def undecided_datasets(session: Session, visit: Visit) -> list[Task]:
    """Datasets of this custodian's organisation that a project asked for and nobody has decided on."""
    if not visit.has(Role.custodian):
        return []
    return [
        Task(
            f"Decide whether {project.title} gets {dataset}",
            link("projects", project.slug, "datasets", dataset),
            project.proposed_at,
        )
        for state in (ProjectState.proposed, ProjectState.approved)
        for project in service.list_projects(session, state=state)
        for dataset in undecided(session, visit, project)
    ]


def undecided(session: Session, visit: Visit, project: Project) -> list[str]:
    mine = custodian_of(session, visit.actor.username)
    found = []
    for ask in project.asks:
        dataset = data.find(session, ask.dataset)
        if dataset is None or dataset.withdrawn_at is not None:
            continue
        if grants.newest(session, project.id, dataset.id) is not None:
            continue
        everybody = service.everybody_ever(project)
        if may(data_rules.check_decide, visit.actor, dataset.organisation_slug, mine, everybody):
            found.append(ask.dataset)
    return found


def own_requests(session: Session, visit: Visit) -> list[Task]:
    """My release requests that were returned to me, or failed."""
    filters = Filters(turn=Owner.author, author=visit.actor.username, limit=MOST)
    return [
        Task(f"Your request {row.title} is {name_of(row.state)}", link("requests", row.id), row.since)
        for row in list_requests(session, visit.actor, filters, now=visit.now).rows
    ]


def reviews(session: Session, visit: Visit) -> list[Task]:
    """What an output checker may vote on, decide or release."""
    if not visit.has(Role.checker):
        return []

    def rows(filters: Filters) -> tuple[RequestRow, ...]:
        return list_requests(session, visit.actor, filters, now=visit.now).rows

    def task(verb: str, row: RequestRow) -> Task:
        return Task(f"{verb} the request {row.title}", link("requests", row.id), row.since, row.due_at)

    found = [task("Review", row) for row in rows(Filters(waiting=True, limit=MOST))]
    in_review = rows(Filters(state=RequestState.in_review, limit=MAX_PAGE))
    found += [task("Decide on", row) for row in in_review if row.mine and row.reviews >= row.required]
    return found + [task("Release", row) for row in rows(Filters(state=RequestState.approved, limit=MOST))]
