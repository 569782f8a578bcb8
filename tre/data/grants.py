"""The use cases of a grant: each controller gives, refuses or ends on its own data; and what the gate hears of it.

A grant given queues its extract in the same transaction. Building and removing extracts is left to `extracts`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, joinedload, lazyload

from tre.audit import Actor, UseCase, use_case
from tre.data import filters, rules
from tre.data.model import Dataset, Decision, Delivery, Extract, ExtractState, Grant
from tre.data.service import get as get_dataset
from tre.errors import Conflict, Hidden, NotFound
from tre.people.rules import Obstacle, check_no_conflict, check_text
from tre.people.service import conflicts_of, custodian_of
from tre.projects.model import Project, RefusalCode
from tre.projects.service import everybody_ever, member_names
from tre.projects.service import get as get_project
from tre.store import Database
from tre.store.canonical import digest_of


@dataclass(frozen=True)
class Terms:
    """What a controller gives: some of the columns asked for (empty: all), a filter beside the one asked for, further
    columns to pseudonymise, how it is delivered and until which day.
    """

    until: date
    delivery: Delivery = Delivery.both
    columns: tuple[str, ...] = ()
    pseudonymised: tuple[str, ...] = ()
    rows: dict[str, Any] | None = None


def give(db: Database, actor: Actor, *, project: str, dataset: str, terms: Terms, reason: str) -> int:
    """The grant's number. Raises `Forbidden`, `InvalidInput` by field, `Conflict` where one stands already."""
    with use_case(db, actor, "grant.give", f"project:{project}") as case:
        wanted, data = _decidable(case, project, dataset)
        ask = rules.check_asked(wanted, dataset)
        rules.check_until(terms.until, case.now.date(), wanted.end_date)
        columns = rules.check_columns(terms.columns or tuple(ask.columns), ask, data.variables)
        grant = Grant(
            project_id=wanted.id,
            dataset_id=data.id,
            decision=Decision.granted,
            columns=columns,
            pseudonymised=rules.check_pseudonymised(terms.pseudonymised, columns, data.variables),
            rows=_rows(ask.rows, terms.rows, data),
            delivery=terms.delivery,
            until=terms.until,
            reason=check_text(reason, field="reason", longest=2000),
            decided_by=actor.username,
            decided_at=case.now,
        )
        case.session.add(grant)
        case.session.flush()
        case.session.add(_queued(case, grant))
        case.note(grant=grant.id, dataset=dataset, columns=columns, pseudonymised=grant.pseudonymised)
        case.note(
            rows=digest_of(grant.rows), delivery=terms.delivery, until=terms.until.isoformat(), reason=grant.reason
        )
        return grant.id


def refuse(
    db: Database, actor: Actor, *, project: str, dataset: str, code: RefusalCode, reason: str, would_change: str
) -> int:
    """A refusal always says why and what would change it. A later grant may follow."""
    with use_case(db, actor, "grant.refuse", f"project:{project}") as case:
        wanted, data = _decidable(case, project, dataset)
        rules.check_asked(wanted, dataset)
        grant = Grant(
            project_id=wanted.id,
            dataset_id=data.id,
            decision=Decision.refused,
            columns=[],
            pseudonymised=[],
            code=code,
            reason=check_text(reason, field="reason", longest=2000),
            would_change=check_text(would_change, field="would_change", longest=2000),
            decided_by=actor.username,
            decided_at=case.now,
        )
        case.session.add(grant)
        case.session.flush()
        case.note(grant=grant.id, dataset=dataset, code=code, reason=grant.reason, would_change=grant.would_change)
        return grant.id


def end(db: Database, actor: Actor, grant_id: int, *, reason: str) -> None:
    """Ends running workspaces within seconds; the extract is removed, with proof, at the worker's next pass."""
    with use_case(db, actor, "grant.end", f"grant:{grant_id}") as case:
        grant = get(case.session, grant_id, lock=True)
        rules.check_end(actor, grant.dataset.organisation_slug, custodian_of(case.session, actor.username))
        if grant.decision != Decision.granted or grant.ended_at is not None:
            raise Conflict("This is no grant that stands.")
        grant.ended_at, grant.ended_by = case.now, actor.username
        grant.end_reason = check_text(reason, field="reason", longest=500)
        case.note(project=grant.project.slug, dataset=grant.dataset.slug, reason=grant.end_reason)


def _decidable(case: UseCase, slug: str, dataset: str) -> tuple[Project, Dataset]:
    """The project (locked: two deciding at once follow each other) and the dataset, once it is clear that the actor
    may decide here.
    """
    project = get_project(case.session, slug, lock=True)
    data = get_dataset(case.session, dataset)
    username = case.actor.username
    rules.check_decide(
        case.actor, data.organisation_slug, custodian_of(case.session, username), everybody_ever(project)
    )
    teams = {member.person.organisation_slug for member in project.members if member.left_at is None}
    objects = [f"project:{slug}", *[f"organisation:{team}" for team in sorted({*teams, data.organisation_slug})]]
    check_no_conflict(username, objects, conflicts_of(case.session, username))
    rules.check_open(data)
    rules.check_decidable(project, case.now.date())
    standing = newest(case.session, project.id, data.id)
    if rules.stands(standing, case.now.date()):
        raise Conflict(f"A grant of {dataset} to {slug} stands.", hint="End it first: `tre grant end`.")
    if standing and standing.decision == Decision.granted and standing.ended_at is None:
        # It ran out by itself; the next decision writes that down.
        standing.ended_at, standing.ended_by, standing.end_reason = case.now, "system", "its last day passed"
        case.session.flush()
    return project, data


def _rows(asked: dict[str, Any] | None, given: dict[str, Any] | None, data: Dataset) -> dict[str, Any] | None:
    """Both filters hold, so that a grant never gives a row that was not asked for."""
    return filters.both(
        filters.check_rows(asked, data.variables, field="asked rows"), filters.check_rows(given, data.variables)
    )


def _queued(case: UseCase, grant: Grant) -> Extract:
    return Extract(
        grant_id=grant.id,
        name=f"x_{secrets.token_hex(12)}",
        state=ExtractState.queued,
        state_since=case.now,
        queued_at=case.now,
    )


def obstacles(session: Session, project: str, today: date) -> list[Obstacle]:
    """Everything that the data's side puts between a project and its workspaces: every dataset it asked for must be
    decided, granted today and its extract ready. A refused one is simply not there, unless nothing else is.
    """
    get_project(session, project)
    return obstacles_of(session, [project], today)[project]


def obstacles_of(session: Session, projects: Collection[str], today: date) -> dict[str, list[Obstacle]]:
    """The same for many projects, by slug, in a number of queries that does not grow with them."""
    wanted = session.scalars(select(Project).where(Project.slug.in_(projects))).all()
    grants = _newest_of(session, [project.id for project in wanted])
    extracts = _live_extracts(session, [grant.id for grant in grants.values()])
    found = {}
    for project in wanted:
        decided = [(ask.dataset, grants.get((project.id, ask.dataset))) for ask in project.asks]
        each = [rules.grant_obstacles(name, one, extracts.get(one.id) if one else None, today) for name, one in decided]
        usable = not all(each)
        mine = [obstacle for obstacles in each for obstacle in obstacles]
        found[project.slug] = [one for one in mine if not (usable and one.code == "grant_refused")]
    return found


def _newest_of(session: Session, project_ids: Collection[int]) -> dict[tuple[int, str], Grant]:
    """By project and dataset."""
    query = (
        select(Grant)
        .where(Grant.project_id.in_(project_ids))
        .distinct(Grant.project_id, Grant.dataset_id)
        .order_by(Grant.project_id, Grant.dataset_id, Grant.id.desc())
        .options(lazyload(Grant.project), joinedload(Grant.dataset).lazyload(Dataset.variables))
    )
    return {(grant.project_id, grant.dataset.slug): grant for grant in session.scalars(query)}


def _live_extracts(session: Session, grant_ids: Collection[int]) -> dict[int, Extract]:
    """By grant, without what is in them."""
    query = (
        select(Extract)
        .where(Extract.grant_id.in_(grant_ids), Extract.state != ExtractState.removed)
        .options(lazyload(Extract.grant), defer(Extract.manifest))
    )
    return {extract.grant_id: extract for extract in session.scalars(query)}


def get(session: Session, grant_id: int, *, lock: bool = False) -> Grant:
    """Raises `NotFound`."""
    query = select(Grant).where(Grant.id == grant_id)
    grant = session.scalars(query.with_for_update(of=Grant) if lock else query).first()
    if grant is None:
        raise NotFound(
            f"There is no grant {grant_id}.", field="grant", hint="`tre grant list` shows those you may see."
        )
    return grant


def seen(session: Session, actor: Actor, grant_id: int) -> Grant:
    """Raises `NotFound`, or `Hidden` for whom the grant does not concern."""
    grant = get(session, grant_id)
    mine = custodian_of(session, actor.username)
    if not rules.can_see_grants(actor, grant.dataset.organisation_slug, mine, member_names(grant.project)):
        raise Hidden(f"There is no grant {grant_id}.", field="grant")
    return grant


def newest(session: Session, project_id: int, dataset_id: int) -> Grant | None:
    query = select(Grant).where(Grant.project_id == project_id, Grant.dataset_id == dataset_id)
    return session.scalars(query.order_by(Grant.id.desc()).limit(1)).first()


def live_extract(session: Session, grant_id: int) -> Extract | None:
    query = select(Extract).where(Extract.grant_id == grant_id, Extract.state != ExtractState.removed)
    return session.scalars(query).first()


def list_grants(session: Session, actor: Actor, *, project: str = "", dataset: str = "") -> Sequence[Grant]:
    """Newest first, those that the actor may see: members, custodians of the data, administrators, auditors."""
    query = select(Grant).join(Project).join(Dataset).order_by(Grant.id.desc())
    if project:
        query = query.where(Project.slug == project)
    if dataset:
        query = query.where(Dataset.slug == dataset)
    mine = custodian_of(session, actor.username)
    return [
        grant
        for grant in session.scalars(query)
        if rules.can_see_grants(actor, grant.dataset.organisation_slug, mine, member_names(grant.project))
    ]
