"""Lists of release requests: who sees which, filtered, searched, page by page.

Decides the scope of a person (members their projects, output checkers what they have no tie to, custodians what is out
of their data, administrators and auditors all) and how a page is cut: by identifier, newest first, so that page 1,000
costs what page 1 costs. No row tells anything of a sealed vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, and_, column, func, literal_column, or_, select, true, values
from sqlalchemy import Text as SqlText
from sqlalchemy.orm import Session, aliased

from tre.audit import Actor
from tre.errors import InvalidInput
from tre.outputs import limits
from tre.outputs.access import granted_data_of
from tre.outputs.limits import Limits
from tre.outputs.model import ReleaseRequest, RequestVersion, Review
from tre.outputs.states import OUT, OWNERS, Owner, RequestState
from tre.people.model import Person, Role
from tre.people.rules import has_role
from tre.people.service import conflicts_of, custodian_of, get_person
from tre.projects.model import Member, Project

MAX_PAGE = 200
SIMPLE: ColumnElement[str] = literal_column("'simple'::regconfig")


@dataclass(frozen=True)
class Filters:
    """Empty means any. `turn` is an owner of states, `search` words that begin words of title, project or author.
    `waiting` leaves what this checker may still vote on, oldest first. `after` is the last identifier of the page
    before.
    """

    state: str = ""
    project: str = ""
    author: str = ""
    turn: str = ""
    search: str = ""
    waiting: bool = False
    after: int | None = None
    limit: int = 50


@dataclass(frozen=True)
class RequestRow:
    """One line of a list. `due_in` is working days from today; `reviews` of `required` are complete; `mine` says that
    one's own is among them.
    """

    id: int
    project: str
    author: str
    title: str
    state: str
    turn: str
    since: datetime
    version: int
    due_at: datetime | None
    due_in: int | None
    overdue: bool
    reviews: int
    required: int
    mine: bool


@dataclass(frozen=True)
class RequestPage:
    """`after` leads to the next page; None on the last."""

    rows: tuple[RequestRow, ...]
    after: int | None


@dataclass(frozen=True)
class Scope:
    """`everything`, but for `hidden` projects and, outside their own, authors of `hidden_organisations`; or only the
    projects of `own`. In any case what is out of the projects that were granted data which they answer for, `granted`.
    """

    everything: bool
    own: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    hidden_organisations: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()


def scope_of(session: Session, actor: Actor) -> Scope:
    query = select(Project.slug, Member.left_at).join(Member).join(Person).where(Person.username == actor.username)
    teams = session.execute(query).all()
    own = tuple(sorted(slug for slug, left in teams if left is None))
    if has_role(actor, Role.administrator, Role.auditor):
        return Scope(True, own)
    answers_for = custodian_of(session, actor.username) if has_role(actor, Role.custodian) else set()
    granted = tuple(sorted(granted_data_of(session, answers_for) - set(own)))
    if not has_role(actor, Role.checker):
        return Scope(False, own, granted=granted)
    interests = [interest.partition(":") for interest in conflicts_of(session, actor.username)]
    organisations = {name for kind, _, name in interests if kind == "organisation"}
    proposed = session.scalars(select(Project.slug).where(Project.proposed_by == actor.username))
    tied = {slug for slug, _ in teams} | set(proposed) | {name for kind, _, name in interests if kind == "project"}
    tied |= granted_data_of(session, organisations)
    colleagues = organisations | {get_person(session, actor.username).organisation_slug}
    return Scope(True, own, tuple(sorted(tied - set(own))), tuple(sorted(colleagues)), granted)


def list_requests(session: Session, actor: Actor, filters: Filters, *, now: datetime) -> RequestPage:
    """Raises `InvalidInput` for a filter that nothing could match."""
    if not 1 <= filters.limit <= MAX_PAGE:
        raise InvalidInput(f"A page has 1 to {MAX_PAGE} lines.", field="limit")
    scope = scope_of(session, actor)
    conditions = [*_conditions(filters), *(_waiting(session, actor) if filters.waiting else [])]
    query = _in_order(_scoped(scope, conditions, filters), filters)
    found = session.execute(query).all()
    rows, more = found[: filters.limit], len(found) > filters.limit
    return RequestPage(_rows(session, actor, rows, now), rows[-1].id if more else None)


_COLUMNS = ("id", "project_slug", "author", "title", "state", "state_since", "version", "due_at")


def _columns(entity: Any = ReleaseRequest) -> list[Any]:
    return [getattr(entity, name) for name in _COLUMNS]


def _scoped(scope: Scope, conditions: Sequence[ColumnElement[bool]], filters: Filters) -> Select[Any]:
    if scope.everything:
        query = select(*_columns()).where(*conditions)
        return query.where(_shown(scope)) if scope.hidden_organisations else query
    # One short index scan per project, then the newest of all: the size of other projects does not matter.
    slugs = [*((slug, True) for slug in scope.own or ("",)), *((slug, False) for slug in scope.granted)]
    mine = values(column("slug", SqlText), column("whole", Boolean), name="mine").data(slugs)
    seen = or_(mine.c.whole, ReleaseRequest.state.in_(OUT))
    one = _in_order(select(*_columns()).where(ReleaseRequest.project_slug == mine.c.slug, seen, *conditions), filters)
    newest = aliased(one.lateral("newest"))
    return select(*[newest.c[name] for name in _COLUMNS]).select_from(mine.join(newest, true()))


def _shown(scope: Scope) -> ColumnElement[bool]:
    """What a checker has no tie to, their own projects, and what is out of the data that they answer for."""
    theirs = select(Person.username).where(Person.organisation_slug.in_(scope.hidden_organisations))
    free = and_(ReleaseRequest.project_slug.not_in(scope.hidden), ReleaseRequest.author.not_in(theirs))
    out = and_(ReleaseRequest.project_slug.in_(scope.granted), ReleaseRequest.state.in_(OUT))
    return or_(free, ReleaseRequest.project_slug.in_(scope.own), *([out] if scope.granted else []))


def _in_order(query: Select[Any], filters: Filters) -> Select[Any]:
    identifier = query.selected_columns["id"]
    if filters.after is not None:
        query = query.where(identifier > filters.after if filters.waiting else identifier < filters.after)
    return query.order_by(identifier if filters.waiting else identifier.desc()).limit(filters.limit + 1)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.state:
        if filters.state not in list(RequestState):
            raise InvalidInput("There is no such state.", field="state", hint=f"One of {', '.join(RequestState)}.")
        found.append(ReleaseRequest.state == filters.state)
    if filters.turn:
        if filters.turn not in list(Owner):
            raise InvalidInput("Nobody of that name has a turn.", field="turn", hint=f"One of {', '.join(Owner)}.")
        found.append(ReleaseRequest.state.in_([state for state, owner in OWNERS.items() if owner == filters.turn]))
    if filters.project:
        found.append(ReleaseRequest.project_slug == filters.project)
    if filters.author:
        found.append(ReleaseRequest.author == filters.author)
    if filters.search:
        found.append(ReleaseRequest.search.bool_op("@@")(func.to_tsquery(SIMPLE, words(filters.search))))
    return found


def words(search: str) -> str:
    """The search as PostgreSQL wants it: every word must begin a word of the text."""
    found = re.findall(r"\w+", search[:200])[:8]
    if not found:
        raise InvalidInput("Search for letters or digits.", field="search")
    return " & ".join(f"{word}:*" for word in found)


def _waiting(session: Session, actor: Actor) -> list[ColumnElement[bool]]:
    """In review, and this checker's own review is not complete; own projects are none of their business."""
    voted = select(Review.request_id).where(
        Review.reviewer == actor.username,
        Review.request_id == ReleaseRequest.id,
        Review.version == ReleaseRequest.version,
        Review.completed_at.is_not(None),
    )
    opened = select(RequestVersion.request_id).where(
        RequestVersion.request_id == ReleaseRequest.id,
        RequestVersion.number == ReleaseRequest.version,
        RequestVersion.opened_at.is_not(None),
    )
    own = scope_of(session, actor).own
    return [
        ReleaseRequest.state == RequestState.in_review,
        ReleaseRequest.project_slug.not_in(own),
        ~voted.exists(),
        ~opened.exists(),
    ]


def _rows(session: Session, actor: Actor, rows: Sequence[Any], now: datetime) -> tuple[RequestRow, ...]:
    ids = [row.id for row in rows]
    required = {
        (version.request_id, version.number): version.required
        for version in session.execute(
            select(RequestVersion.request_id, RequestVersion.number, RequestVersion.required).where(
                RequestVersion.request_id.in_(ids)
            )
        )
    }
    complete: dict[tuple[int, int], list[str]] = {}
    query = select(Review.request_id, Review.version, Review.reviewer).where(
        Review.request_id.in_(ids), Review.completed_at.is_not(None)
    )
    for review in session.execute(query):
        complete.setdefault((review.request_id, review.version), []).append(review.reviewer)
    house = limits.read(session)
    return tuple(_row(row, actor, now, house, required, complete) for row in rows)


def _row(
    row: Any,
    actor: Actor,
    now: datetime,
    house: Limits,
    required: dict[tuple[int, int], int],
    complete: dict[tuple[int, int], list[str]],
) -> RequestRow:
    reviewers = complete.get((row.id, row.version), [])
    return RequestRow(
        id=row.id,
        project=row.project_slug,
        author=row.author,
        title=row.title,
        state=row.state,
        turn=OWNERS[RequestState(row.state)],
        since=row.state_since,
        version=row.version,
        due_at=row.due_at,
        due_in=house.working_days(now, row.due_at),
        overdue=row.due_at is not None and row.due_at < now,
        reviews=len(reviewers),
        required=required.get((row.id, row.version), 0),
        mine=actor.username in reviewers,
    )
