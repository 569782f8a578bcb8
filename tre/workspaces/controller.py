"""Keeps running workspaces as the database says: a level-triggered pass, every few seconds.

Decides which live workspace must end now (a precondition was lost, its time is over, nothing was heard of it, the
platform stops) and repeats what did not succeed. A pass with nothing to do writes nothing. Ending the sandbox itself is
asked of `Enders`, who may be down: then the next pass asks again, while the credential is revoked already.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import select

from tre.audit import SYSTEM
from tre.errors import NotFound, TreError
from tre.people.rules import Obstacle
from tre.projects.service import Pair
from tre.store import Database
from tre.workspaces import gate, rules, service
from tre.workspaces.model import LIVE, Workspace, WorkspaceState
from tre.workspaces.service import LEASE_SECONDS, TOKEN_LIFE, Leases

log = logging.getLogger(__name__)


class Ender(Protocol):
    """Makes the sandbox of a workspace go away; returns when it is gone or will be. Safe to repeat."""

    def end_sandbox(self, workspace: Workspace) -> None: ...


class Tokens(Protocol):
    """Makes intake tokens and puts them into running workspaces. May raise what it likes: it is asked again."""

    def make(self, workspace_id: str, now: datetime, life: timedelta) -> str: ...
    def hand_over(self, workspace_id: str, token: str) -> None: ...


def converge(db: Database, leases: Leases, enders: Sequence[Ender], tokens: Tokens) -> int:
    """One pass; returns how many workspaces it acted on. One that fails does not hold up the others."""
    with db.read() as session:
        live = session.scalars(select(Workspace).where(Workspace.state.in_(LIVE))).all()
        unrevoked = select(Workspace).where(
            Workspace.state.not_in(LIVE), Workspace.lease_id.is_not(None), Workspace.lease_revoked_at.is_(None)
        )
        leftovers = session.scalars(unrevoked).all()
        # For all at once: one by one, five hundred would be thousands of queries, again in each pass.
        lost = gate.lost_of(session, {_pair(workspace) for workspace in live}, db.clock())
    acted = 0
    for workspace in [*live, *leftovers]:
        try:
            acted += _converge_one(db, leases, enders, tokens, workspace, lost.get(_pair(workspace), ()))
        except Exception as error:
            _log(workspace, error)
    return acted


def close(db: Database, leases: Leases, enders: Sequence[Ender], reason: str) -> int:
    """The platform stops: ends every live workspace with its credential; returns how many. What fails here is repeated
    by the next platform's first pass, and no login outlives its lease.
    """
    with db.read() as session:
        live = session.scalars(select(Workspace).where(Workspace.state.in_(LIVE))).all()
    ended = 0
    for workspace in live:
        _end_sandboxes(enders, workspace)
        try:
            service.end(db, leases, workspace.id, WorkspaceState.stopped, reason)
            ended += 1
        except Exception as error:
            _log(workspace, error)
    return ended


def _pair(workspace: Workspace) -> Pair:
    return workspace.project_slug, workspace.username


def _converge_one(
    db: Database,
    leases: Leases,
    enders: Sequence[Ender],
    tokens: Tokens,
    workspace: Workspace,
    lost: Sequence[Obstacle],
) -> bool:
    if workspace.state not in LIVE:
        service.revoke(db, leases, workspace.id)
        return True
    now = db.clock()
    late = rules.overdue(workspace, now)
    if workspace.state == WorkspaceState.stopping or (late and workspace.state != WorkspaceState.running):
        _end_sandboxes(enders, workspace)
        if late:
            service.end(db, leases, workspace.id, WorkspaceState.failed, late)
        else:
            service.revoke(db, leases, workspace.id)
        return True
    reason = late or " ".join(obstacle.message for obstacle in lost) or _renew(db, leases, workspace, now)
    if not reason:
        _renew_token(db, tokens, workspace, now)
        return False
    try:
        service.stop(db, leases, SYSTEM_STOPS, workspace.id, reason)
    finally:
        # Also when the credential could not be revoked: the next pass tries that again.
        _end_sandboxes(enders, workspace)
    return True


def _renew(db: Database, leases: Leases, workspace: Workspace, now: datetime) -> str:
    """Prolongs a lease in its second half; says why the workspace must end when the lease is gone."""
    if workspace.lease_expires_at is None or workspace.lease_expires_at - now > timedelta(seconds=LEASE_SECONDS / 2):
        return ""
    try:
        service.renew(db, leases, workspace.id)
    except NotFound:
        return "Its database login has ended."
    return ""


def _renew_token(db: Database, tokens: Tokens, workspace: Workspace, now: datetime) -> None:
    """Hands over a new intake token in the second half of the present one's life, or when the clock was set back."""
    ends = workspace.token_expires_at
    if ends is None or workspace.state != WorkspaceState.running or TOKEN_LIFE / 2 < ends - now <= TOKEN_LIFE:
        return
    service.issue_token(db, tokens.make, workspace.id, partial(tokens.hand_over, workspace.id))


# The platform ends what the rules no longer allow, with an administrator's right.
SYSTEM_STOPS = type(SYSTEM)(SYSTEM.username, frozenset({"administrator"}), SYSTEM.via)


def _end_sandboxes(enders: Sequence[Ender], workspace: Workspace) -> None:
    for ender in enders:
        try:
            ender.end_sandbox(workspace)
        except Exception as error:
            _log(workspace, error)


def _log(workspace: Workspace, error: Exception) -> None:
    """Without the text of an error that is not ours: it may quote what it carried."""
    told = error.message if isinstance(error, TreError) else type(error).__name__
    log.warning("workspace %s: %s", workspace.id, told)
