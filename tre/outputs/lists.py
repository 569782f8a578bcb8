"""Lists of release requests: filtered, searched, page by page.

Decides how a page is cut: by identifier, newest first, so that page 1,000 costs what page 1 costs. Leaves to `scope`
who sees which requests. No row tells anything of a sealed vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, and_, column, func, literal, literal_column, or_, select, true
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from tre.audit import Actor
from tre.errors import InvalidInput
from tre.outputs import limits
from tre.outputs.limits import Limits
from tre.outputs.model import ReleaseRequest, RequestVersion, Review
from tre.outputs.scope import Scope, scope_of
from tre.outputs.states import OUT, OWNERS, Owner, RequestState

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


def list_requests(session: Session, actor: Actor, filters: Filters, *, now: datetime) -> RequestPage:
    """Raises `InvalidInput` for a filter that nothing could match."""
    if not 1 <= filters.limit <= MAX_PAGE:
        raise InvalidInput(f"A page has 1 to {MAX_PAGE} lines.", field="limit")
    scope = scope_of(session, actor, reviewing=filters.waiting)
    conditions = [*_conditions(filters), *(_waiting(actor, scope) if filters.waiting else [])]
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
        return query if scope.condition is None else query.where(scope.condition)
    # One short index scan per project, then the newest of all: the size of other projects does not matter.
    slugs = literal([*scope.own, *scope.granted], ARRAY(SqlText))
    whole = literal([True] * len(scope.own) + [False] * len(scope.granted), ARRAY(Boolean))
    named = func.unnest(slugs, whole).table_valued(column("slug", SqlText), column("whole", Boolean), name="mine")
    mine = named.render_derived()
    seen = or_(mine.c.whole, ReleaseRequest.state.in_(OUT))
    one = _in_order(select(*_columns()).where(ReleaseRequest.project_slug == mine.c.slug, seen, *conditions), filters)
    newest = aliased(one.lateral("newest"))
    return select(*[newest.c[name] for name in _COLUMNS]).select_from(mine.join(newest, true()))


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


def _waiting(actor: Actor, scope: Scope) -> list[ColumnElement[bool]]:
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
    return [
        ReleaseRequest.state == RequestState.in_review,
        ReleaseRequest.project_slug.not_in(scope.own),
        ~voted.exists(),
        ~opened.exists(),
    ]


def _rows(session: Session, actor: Actor, rows: Sequence[Any], now: datetime) -> tuple[RequestRow, ...]:
    ids = [row.id for row in rows]
    complete = and_(
        Review.request_id == RequestVersion.request_id,
        Review.version == RequestVersion.number,
        Review.completed_at.is_not(None),
    )
    query = select(RequestVersion.request_id, RequestVersion.number, RequestVersion.required, Review.reviewer)
    found: dict[tuple[int, int], tuple[int, list[str]]] = {}
    for number in session.execute(query.outerjoin(Review, complete).where(RequestVersion.request_id.in_(ids))):
        _, reviewers = found.setdefault((number.request_id, number.number), (number.required, []))
        reviewers += [number.reviewer] if number.reviewer else []
    house = limits.read(session)
    return tuple(_row(row, actor, now, house, *found.get((row.id, row.version), (0, []))) for row in rows)


def _row(row: Any, actor: Actor, now: datetime, house: Limits, required: int, reviewers: Sequence[str]) -> RequestRow:
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
        required=required,
        mine=actor.username in reviewers,
    )
