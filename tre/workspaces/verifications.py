"""Trying the walls of a workspace's project on a cluster: asked for, taken, told. The row is the queue.

Decides who may ask (the machine, of a workspace that runs, one at a time), when it is given up, which one pod of the
project may live for it, and what the record says. Whoever leads takes whatever is requested, and whatever ran: nobody
else does at that moment, so it was broken off. Who was overtaken learns it by `Conflict` at its next word.
Leaves pods and attempts to `tre.workspaces.kubernetes`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, Actor, UseCase, use_case
from tre.errors import Conflict, NotFound
from tre.store import Database
from tre.workspaces import service
from tre.workspaces.model import (
    VERIFICATION_TIMEOUTS,
    VERIFICATION_TRANSITIONS,
    Verification,
    VerificationState,
    Workspace,
    WorkspaceState,
)
from tre.workspaces.probes.report import Report

ON_THE_MACHINE = Actor("machine", via="machine")
#: Begins the names of those who try; no workspace's id has a hyphen.
PROBE = "probe-"
LIVE = tuple(VERIFICATION_TIMEOUTS)
MOST_ATTEMPTS = 2


@dataclass(frozen=True)
class Task:
    """One verification in the hands of one controller; `probe` names its pod, and proves that it is still theirs.
    `former` named the pod of an attempt that was broken off.
    """

    number: int
    workspace_id: str
    project: str
    probe: str
    former: str = ""


@dataclass(frozen=True)
class Told:
    """What who asked is told; `progress` while it runs, `reason` where it failed."""

    number: int
    state: VerificationState
    progress: str
    reason: str
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Guest:
    """The one pod that may live for a verification; without a `uid` it was not shown yet by who makes it."""

    project: str
    probe: str
    uid: str


def request(db: Database, workspace_id: str, door: Report | None = None) -> Told:
    """`door`: what was found through the guard, on record from now on whatever becomes of the rest, and a part of the
    report. Raises `NotFound`, and `Conflict` where the workspace does not run or is being verified already.
    """
    expire(db)
    with use_case(db, ON_THE_MACHINE, "verification.request", f"workspace:{workspace_id}") as case:
        check_runs(service.get(case.session, workspace_id, lock=True))
        live = select(Verification.id).where(Verification.workspace_id == workspace_id, Verification.state.in_(LIVE))
        if (number := case.session.scalars(live).first()) is not None:
            raise Conflict(
                f"Verification {number} of this workspace is under way.", hint="Wait for its end; it takes minutes."
            )
        row = Verification(workspace_id=workspace_id, state=VerificationState.requested, state_since=case.now)
        row.door = door.to_dict() if door else None
        case.session.add(row)
        case.session.flush()
        case.note(verification=row.id, **({"door": door.record()} if door else {}))
        return _told(row)


def check_runs(workspace: Workspace) -> None:
    if workspace.state != WorkspaceState.running:
        raise Conflict(f"The workspace is {workspace.state}.", hint="Verify a running workspace.")


def look(db: Database, workspace_id: str, number: int) -> Told:
    """Raises `NotFound`. What nobody took in time is given up: who waits need not rely on any controller."""
    expire(db)
    with db.read() as session:
        row = session.get(Verification, number)
        if row is None or row.workspace_id != workspace_id:
            raise NotFound(f"Workspace {workspace_id} has no verification {number}.", field="verification")
        return _told(row)


def _told(row: Verification) -> Told:
    return Told(row.id, VerificationState(row.state), row.progress or "", row.reason or "", row.report)


def record(db: Database, actor: Actor, workspace_id: str, found: dict[str, Any]) -> None:
    """The result on the record: `found` is `Report.record()`."""
    with use_case(db, actor, "workspace.verify", f"workspace:{workspace_id}") as case:
        service.get(case.session, workspace_id)
        case.note(**found)


# What whoever leads asks and says.


def take(db: Database) -> Task | None:
    """The oldest that is to be tried, in the hands of the caller from now on: who asks leads, and works on none."""
    expire(db)
    with use_case(db, SYSTEM, "verification.begin", "workspace:none") as case:
        query = select(Verification).where(Verification.state.in_(LIVE)).order_by(Verification.id)
        row = case.session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
        if row is None:
            case.nothing_changed()
            return None
        case.subject = f"workspace:{row.workspace_id}"
        workspace = service.get(case.session, row.workspace_id)
        if row.attempts >= MOST_ATTEMPTS:
            _fail(case, row, f"It was broken off {row.attempts} times.")
            return None
        if workspace.state != WorkspaceState.running:
            _fail(case, row, f"The workspace is {workspace.state}.")
            return None
        if row.state == VerificationState.requested:
            _move(case, row, VerificationState.running)
        former, row.probe = row.probe, f"{PROBE}{secrets.token_hex(6)}"
        row.pod_uid, row.progress, row.attempts = "", "", row.attempts + 1
        case.note(verification=row.id, probe=row.probe, attempt=row.attempts)
        return Task(row.id, row.workspace_id, workspace.project_slug, row.probe, former)


def says(db: Database, task: Task, progress: str) -> None:
    """Raises `Conflict` where it is in other hands, or was given up."""
    with db.transaction() as session:
        _held(session, task).progress = progress


def shows(db: Database, task: Task, uid: str) -> None:
    """The pod was made: from now on no other of its name may live. Raises `Conflict` as `says`."""
    with db.transaction() as session:
        _held(session, task).pod_uid = uid


def done(db: Database, task: Task, report: Report) -> None:
    with use_case(db, SYSTEM, "workspace.verify", f"workspace:{task.workspace_id}") as case:
        row = _held(case.session, task)
        _move(case, row, VerificationState.done)
        whole = report.beside(Report.from_dict(row.door)) if row.door else report
        row.report = whole.to_dict()
        case.note(**whole.record())


def fail(db: Database, task: Task, reason: str) -> None:
    with use_case(db, SYSTEM, "verification.fail", f"workspace:{task.workspace_id}") as case:
        _fail(case, _held(case.session, task), reason)


def expire(db: Database) -> int:
    """Gives up what is late; returns how many those were."""
    given_up = 0
    for state, limit in VERIFICATION_TIMEOUTS.items():
        while _expired(db, state, f"It was {state} for longer than {limit.total_seconds() / 60:g} minutes."):
            given_up += 1
    return given_up


def _expired(db: Database, state: VerificationState, reason: str) -> bool:
    with use_case(db, SYSTEM, "verification.fail", "workspace:none") as case:
        late = Verification.state_since < case.now - VERIFICATION_TIMEOUTS[state]
        query = select(Verification).where(Verification.state == state, late).order_by(Verification.id)
        row = case.session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
        if row is None:
            case.nothing_changed()
            return False
        _fail(case, row, reason)
        return True


def guests(session: Session) -> list[Guest]:
    """Whose pods may live now."""
    rows = session.execute(
        select(Workspace.project_slug, Verification.probe, Verification.pod_uid)
        .join(Workspace, Workspace.id == Verification.workspace_id)
        .where(Verification.state == VerificationState.running)
    )
    return [Guest(*row) for row in rows]


def _held(session: Session, task: Task) -> Verification:
    row = session.get(Verification, task.number, with_for_update=True)
    if row is None or row.state != VerificationState.running or row.probe != task.probe:
        raise Conflict(f"Verification {task.number} is no longer in these hands.")
    return row


def _fail(case: UseCase, row: Verification, reason: str) -> None:
    _move(case, row, VerificationState.failed)
    row.reason = reason[:500]
    case.action, case.subject = "verification.fail", f"workspace:{row.workspace_id}"
    case.note(verification=row.id, reason=row.reason)


def _move(case: UseCase, row: Verification, to: VerificationState) -> None:
    if to not in VERIFICATION_TRANSITIONS[VerificationState(row.state)]:
        raise Conflict(f"Verification {row.id} is {row.state}.")
    row.state, row.state_since, row.progress = to, case.now, ""
