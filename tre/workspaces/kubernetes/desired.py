"""What should exist: from the database's projects to whole objects.

Decides which projects have a namespace (approved, suspended, and closed ones until their retention is over), whose
pods may run, and what each namespace consists of. Reads the database in a fixed number of queries, however many
projects there are. Leaves comparing to `comparison` and doing to `apply`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.data import carrying
from tre.people.model import Person
from tre.projects.model import Member, Project, ProjectState
from tre.workspaces import policy, verifications
from tre.workspaces.kubernetes import namespace, network
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import BY_NAME, Kind, digest, size, stamped
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.model import LIVE, PolicyException, Workspace
from tre.workspaces.plan import Limits

WITH_NAMESPACE = (ProjectState.approved, ProjectState.suspended, ProjectState.closed)


@dataclass(frozen=True)
class Wish:
    """What the database says of one project. `people` are in the team now, `homes` everybody who ever was: a home
    outlives membership. `open` where workspaces may run, `over` where nothing of it is kept any longer; `live` are the
    ids of its workspaces, `guests` (id, uid of the pod where it is known) of those who try its walls.
    """

    slug: str
    open: bool
    over: bool
    people: int
    homes: tuple[str, ...]
    limits: Limits
    live: frozenset[str] = frozenset()
    guests: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """One object of a project, as little of it as comparing needs."""

    digest: str
    size: int


Key = tuple[Kind, str]


def objects(cluster: Cluster, wish: Wish) -> Iterator[tuple[Kind, Object]]:
    """Everything that the project consists of, in the order of making. Raises `InvalidInput` where its slug would
    name our own namespace.
    """
    for made in _objects(cluster, wish):
        kind = BY_NAME[made["kind"]]
        yield kind, stamped(kind, made)


def _objects(cluster: Cluster, wish: Wish) -> Iterator[Object]:
    slug, limits = wish.slug, wish.limits
    yield namespace.namespace(cluster, slug)
    yield network.default_deny(cluster, slug)
    yield network.openings(cluster, slug)
    yield namespace.data_claim(cluster, slug)
    for username in wish.homes:
        yield namespace.home_claim(cluster, slug, username, limits)
    people, homes = wish.people, len(wish.homes)
    yield namespace.quota(cluster, slug, limits, people=people, homes=homes, closed=not wish.open)
    yield namespace.limit_range(cluster, slug, limits)
    yield namespace.service_account(cluster, slug)
    yield namespace.role(cluster, slug)
    yield namespace.role_binding(cluster, slug)


def wanted(cluster: Cluster, wish: Wish) -> dict[Key, Wanted]:
    return {
        (kind, made["metadata"]["name"]): Wanted(digest(kind, made), size(kind, made))
        for kind, made in objects(cluster, wish)
    }


def wishes(session: Session, now: datetime, retention: timedelta) -> list[Wish]:
    """One for each project that has a namespace or should lose it, by slug."""
    rows = session.execute(
        select(Project.id, Project.slug, Project.state, Project.state_since)
        .where(Project.state.in_(WITH_NAMESPACE))
        .order_by(Project.slug)
    ).all()
    present, ever = _members(session)
    limits, live, guests = _limits(session), _live(session), verifications.guests(session)
    platform = vars(policy.limits_of(policy.policy_of(session, "")))
    return [
        Wish(
            slug=row.slug,
            open=row.state == ProjectState.approved,
            over=row.state == ProjectState.closed and row.state_since + retention <= now,
            people=present[row.id],
            homes=tuple(ever[row.id]),
            limits=Limits(**platform | limits[row.slug]),
            live=frozenset(live[row.slug]),
            guests=frozenset((guest.probe, guest.uid) for guest in guests if guest.project == row.slug),
        )
        for row in rows
    ]


def _members(session: Session) -> tuple[dict[int, int], dict[int, list[str]]]:
    """Per project: how many are in the team, and the names of all who ever were."""
    present: dict[int, int] = defaultdict(int)
    ever: dict[int, list[str]] = defaultdict(list)
    query = select(Member.project_id, Member.left_at, Person.username).join(Person).order_by(Person.username)
    for project_id, left_at, username in session.execute(query):
        ever[project_id].append(username)
        present[project_id] += left_at is None
    return present, ever


def _limits(session: Session) -> dict[str, dict[str, Any]]:
    """Per project: the numbers that differ from the platform's."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    kinds = {name: type(value) for name, value in vars(Limits()).items()}
    query = select(PolicyException).where(PolicyException.name.in_(kinds))
    for row in session.scalars(query):
        found[row.project_slug][row.name] = kinds[row.name](row.value)
    return found


def _live(session: Session) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for slug, workspace_id in session.execute(
        select(Workspace.project_slug, Workspace.id).where(Workspace.state.in_(LIVE))
    ):
        found[slug].add(workspace_id)
    for slug, carrier in carrying.live_carriers(session):
        found[slug].add(carrier)
    return found
