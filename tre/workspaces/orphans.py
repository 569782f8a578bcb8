"""Leases and workspaces, compared: what is held for nobody ends, and who lost what they should hold ends, too.

Decides what counts as an orphan, both ways, and that each is an event in the record. The leases are looked at before
the database, and what is younger than `GRACE` is left alone: a lease that is being given or taken back at this moment
is no orphan. Where the secrets server does not answer, nothing is concluded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, use_case
from tre.credentials import Held
from tre.data.carrying import CARRIER
from tre.errors import TreError
from tre.store import Database
from tre.workspaces import service
from tre.workspaces.controller import SYSTEM_STOPS
from tre.workspaces.model import LIVE, Workspace, WorkspaceState
from tre.workspaces.service import Leases
from tre.workspaces.verifications import PROBE

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=60)


class HeldLeases(Leases, Protocol):
    """`tre.credentials.Secrets`."""

    def list_leases(self) -> list[Held]: ...


@dataclass(frozen=True)
class Orphans:
    """`leases` belong to no workspace that lives; `workspaces` are ids of running ones whose lease is gone."""

    leases: tuple[Held, ...]
    workspaces: tuple[str, ...]


def find(session: Session, held: Sequence[Held], now: datetime) -> Orphans:
    """`held` was listed before; leases' ids here are accessors, those of workspaces begin with theirs."""
    named = {lease.workspace for lease in held}
    rows = {row.id: row for row in session.scalars(select(Workspace).where(Workspace.id.in_(named)))}
    accessors = {lease.id for lease in held}
    running = session.scalars(
        select(Workspace)
        .where(Workspace.state == WorkspaceState.running, Workspace.lease_id.is_not(None))
        .where(Workspace.lease_revoked_at.is_(None), Workspace.requested_at < now - GRACE)
        .order_by(Workspace.id)
    )
    return Orphans(
        tuple(lease for lease in held if _is_orphan(lease, rows.get(lease.workspace), now)),
        tuple(row.id for row in running if (row.lease_id or "").partition(":")[0] not in accessors),
    )


def _is_orphan(lease: Held, workspace: Workspace | None, now: datetime) -> bool:
    if lease.workspace.startswith((CARRIER, PROBE)):
        # Who carries an extract or tries walls is no workspace; their logins are never renewed, and end by themselves.
        return False
    if workspace is None:
        return True
    return workspace.state not in LIVE and workspace.state_since < now - GRACE


def reconcile(db: Database, leases: HeldLeases) -> int:
    """One comparison; returns how many orphans it ended. Raises `Unavailable` where nothing can be compared."""
    held = leases.list_leases()
    with db.read() as session:
        orphans = find(session, held, db.clock())
    ends = [partial(_end_lease, db, leases, lease) for lease in orphans.leases]
    ends += [partial(_end_workspace, db, leases, workspace_id) for workspace_id in orphans.workspaces]
    return sum(map(_tried, ends))


def _end_lease(db: Database, leases: HeldLeases, lease: Held) -> None:
    with use_case(db, SYSTEM, "credential.orphan", f"workspace:{lease.workspace or 'unknown'}") as case:
        case.note(found="a lease without a workspace", project=lease.project, expires=lease.expires.isoformat())
        leases.revoke(lease.id)


def _end_workspace(db: Database, leases: HeldLeases, workspace_id: str) -> None:
    with use_case(db, SYSTEM, "credential.orphan", f"workspace:{workspace_id}") as case:
        case.note(found="a workspace without its lease")
    service.stop(db, leases, SYSTEM_STOPS, workspace_id, "Its database login has ended.")


def _tried(end: Callable[[], None]) -> bool:
    """One that fails holds up no other: it is found again."""
    try:
        end()
    except TreError as error:
        log.warning("an orphan stays: %s", error.message)
        return False
    return True
