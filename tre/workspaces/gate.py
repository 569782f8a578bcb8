"""The gate of a workspace: all that must hold before it starts, and what of it ends one that runs.

Decides only what is put together: each rule is its own room's (`identities`, `projects`, `grants`, `traffic`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from tre.data import grants
from tre.people import identities
from tre.people.rules import Obstacle
from tre.projects import service as projects
from tre.projects.service import Pair
from tre.workspaces import rules, traffic


def obstacles(session: Session, project: str, username: str, now: datetime) -> list[Obstacle]:
    """The whole gate: project, person, agreement, standings, grants and extracts, suspension for traffic."""
    return obstacles_of(session, [(project, username)], now)[project, username]


def obstacles_of(session: Session, pairs: Collection[Pair], now: datetime) -> dict[Pair, list[Obstacle]]:
    """The same for many projects and people, in a number of queries that does not grow with them."""
    closed = traffic.closed_of(session, pairs)
    return {
        pair: found + rules.suspension_obstacle(closed.get(pair), now)
        for pair, found in lost_of(session, pairs, now).items()
    }


def lost(session: Session, project: str, username: str, now: datetime) -> list[Obstacle]:
    """The gate's part that also ends a workspace that runs. A suspension for traffic only closes its door."""
    return lost_of(session, [(project, username)], now)[project, username]


def lost_of(session: Session, pairs: Collection[Pair], now: datetime) -> dict[Pair, list[Obstacle]]:
    """The same for many projects and people, in a number of queries that does not grow with them."""
    today = now.date()
    signed_in = identities.obstacles_of(session, {username for _, username in pairs}, now)
    gates = projects.gates(session, pairs, today)
    data = grants.obstacles_of(session, {project for project, _ in pairs}, today)
    return {pair: signed_in.get(pair[1], []) + gates[pair] + data[pair[0]] for pair in pairs}
