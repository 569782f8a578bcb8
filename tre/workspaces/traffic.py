"""Bytes that passed the guard: booked per person, project and day (UTC).

Decides what is written of them: an event for an alarm or a suspension only. The arithmetic is `rules.judge_traffic`,
closing the door is the guard's.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, use_case
from tre.errors import NotFound
from tre.projects.service import Pair
from tre.store import Database
from tre.workspaces import rules
from tre.workspaces.model import Traffic, Workspace
from tre.workspaces.policy import policy_of

_MOST_BYTES = 1 << 62


def book(db: Database, workspace_id: str, *, out_bytes: int, in_bytes: int) -> rules.Verdict:
    """Adds what passed the guard; writes an event only for an alarm or a suspension."""
    with use_case(db, SYSTEM, "workspace.traffic", f"workspace:{workspace_id}") as case:
        workspace = case.session.get(Workspace, workspace_id)
        if workspace is None:
            raise NotFound(f"There is no workspace {workspace_id}.", field="workspace")
        key = (workspace.project_slug, workspace.username, case.now.date())
        account = _account(case.session, *key)
        account.out_bytes = min(account.out_bytes + out_bytes, _MOST_BYTES)
        account.in_bytes = min(account.in_bytes + in_bytes, _MOST_BYTES)
        policy = policy_of(case.session, workspace.project_slug)
        until = closed_until(case.session, *key[:2])
        verdict = rules.judge_traffic(account, policy, case.now, booked=out_bytes, closed_until=until)
        if not verdict.alarm:
            case.nothing_changed()
            return verdict
        account.alarmed = True
        if verdict.suspended:
            account.suspended_until = case.now + timedelta(seconds=policy.suspend_seconds)
        case.note(out_bytes=account.out_bytes, suspended=verdict.suspended)
        return verdict


def _account(session: Session, project: str, username: str, day: date) -> Traffic:
    """The day's account, locked; made by whoever of two comes first."""
    first = {"project_slug": project, "username": username, "day": day, "out_bytes": 0, "in_bytes": 0, "alarmed": False}
    session.execute(insert(Traffic).values(first).on_conflict_do_nothing())
    return session.get_one(Traffic, (project, username, day), with_for_update=True)


def closed_until(session: Session, project: str, username: str) -> datetime | None:
    """The end of the latest suspension, whichever day it began on."""
    return closed_of(session, [(project, username)]).get((project, username))


def closed_of(session: Session, pairs: Collection[Pair]) -> dict[Pair, datetime]:
    """The same for many projects and people, where there is one."""
    who = (Traffic.project_slug, Traffic.username)
    query = select(*who, func.max(Traffic.suspended_until)).where(tuple_(*who).in_(pairs)).group_by(*who)
    return {(slug, username): until for slug, username, until in session.execute(query) if until}


def traffic_of(session: Session, project: str, username: str, day: date) -> Traffic | None:
    return session.get(Traffic, (project, username, day))
