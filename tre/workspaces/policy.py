"""The numbers that bound workspaces: reading them, and setting them.

Decides that every number is a row of our own database, set by an administrator with a reason on record, within its
bounds and in order with the others; and that a project's exceptions are set by administrators who are no part of it.
Limits hold from a workspace's next start, byte budgets at the next booking. Leaves holding them to the runtime, the
guard and the controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.errors import InvalidInput
from tre.people.model import Role
from tre.people.rules import check_no_conflict, check_role, check_text
from tre.people.service import conflicts_of
from tre.projects import service as projects
from tre.projects.rules import check_decide
from tre.store import Database
from tre.workspaces.model import ASCENDING, NUMBERS, PolicyException, WorkspacePolicy
from tre.workspaces.plan import DoorLimits, Limits

Numbers = dict[str, float]


def policy_of(session: Session, project: str) -> WorkspacePolicy:
    """The numbers for one project, exceptions included; "" for the platform's own. A copy: changing it sets nothing."""
    return WorkspacePolicy(id=1, **(_platform(session) | exceptions(session, project)))


def exceptions(session: Session, project: str) -> Numbers:
    rows = session.scalars(select(PolicyException).where(PolicyException.project_slug == project))
    return {row.name: _kind(row.name)(row.value) for row in rows if row.name in NUMBERS}


def _platform(session: Session, *, lock: bool = False) -> Numbers:
    row = session.get_one(WorkspacePolicy, 1, with_for_update=lock or None)
    return {name: getattr(row, name) for name in NUMBERS}


def _kind(name: str) -> type[float]:
    """int or float."""
    return WorkspacePolicy.__table__.columns[name].type.python_type


def limits_of(policy: WorkspacePolicy) -> Limits:
    """What the runtime holds."""
    return Limits(**{item.name: getattr(policy, item.name) for item in fields(Limits)})


def door_limits_of(policy: WorkspacePolicy) -> DoorLimits:
    """What the guard holds."""
    return DoorLimits(**{item.name: getattr(policy, item.name) for item in fields(DoorLimits)})


def show(session: Session, actor: Actor, project: str = "") -> list[dict[str, Any]]:
    """Every number with its bounds and whose it is. Raises `NotFound` for a project that there is not."""
    check_role(actor, Role.administrator, Role.auditor)
    if project:
        projects.get(session, project)
    own = exceptions(session, project)
    numbers = _platform(session) | own
    return [
        {
            "name": name,
            "value": numbers[name],
            "of": "project" if name in own else "platform",
            "lowest": number.lowest,
            "highest": number.highest,
            "meaning": number.meaning,
        }
        for name, number in NUMBERS.items()
    ]


def set_numbers(
    db: Database, actor: Actor, changes: Mapping[str, float | None], *, project: str = "", reason: str
) -> None:
    """Sets numbers of the platform, or of one project, where None gives a number back to the platform.

    Raises `InvalidInput` naming the number that does not fit, `Forbidden` for who may not.
    """
    subject = f"project:{project}" if project else "platform:workspaces"
    with use_case(db, actor, "workspace_policy.set", subject) as case:
        check_role(actor, Role.administrator)
        case.note(reason=check_text(reason, field="reason", longest=2000))
        for name, value in changes.items():
            check_number(name, value, may_be_given_back=bool(project))
        if not changes:
            raise InvalidInput("No number is named.", field="numbers", hint="Name one: idle_seconds=4h, for example.")
        before = _platform(case.session, lock=True)
        if project:
            _check_may_except(case, project)
            before |= exceptions(case.session, project)
            _set_exceptions(case, project, changes)
        else:
            for name, value in changes.items():
                setattr(case.session.get_one(WorkspacePolicy, 1), name, value)
        case.session.flush()
        _check_order(case.session)
        after = policy_of(case.session, project)
        case.note(numbers={name: {"from": before[name], "to": getattr(after, name)} for name in changes})


def check_number(name: str, value: float | None, *, may_be_given_back: bool) -> None:
    number = NUMBERS.get(name)
    if number is None:
        raise InvalidInput("There is no such number.", field=name[:64], hint=f"There are: {', '.join(NUMBERS)}.")
    if value is None:
        if not may_be_given_back:
            raise InvalidInput("The platform's own number needs a value.", field=name)
    elif not number.lowest <= value <= number.highest or _kind(name)(value) != value:
        whole = "whole " if _kind(name) is int else ""
        raise InvalidInput(f"A {whole}number between {number.lowest} and {number.highest} is needed.", field=name)


def _check_may_except(case: UseCase, slug: str) -> None:
    """As for every decision on a project: nobody widens the bounds of their own."""
    project = projects.get(case.session, slug)
    check_decide(case.actor, project, projects.everybody_ever(project))
    check_no_conflict(case.actor.username, [f"project:{slug}"], conflicts_of(case.session, case.actor.username))


def _set_exceptions(case: UseCase, project: str, changes: Mapping[str, float | None]) -> None:
    for name, value in changes.items():
        found = case.session.get(PolicyException, (project, name))
        if value is not None:
            case.session.merge(PolicyException(project_slug=project, name=name, value=value))
        elif found is not None:
            case.session.delete(found)


def _check_order(session: Session) -> None:
    """For the platform and for each project with exceptions: a number of one may break the order of the other."""
    slugs = session.scalars(select(PolicyException.project_slug).distinct().order_by(PolicyException.project_slug))
    for slug in ("", *slugs):
        policy = policy_of(session, slug)
        for lower, higher in ASCENDING:
            if getattr(policy, lower) > getattr(policy, higher):
                whose = f"project {slug}" if slug else "the platform"
                raise InvalidInput(
                    f"For {whose}, {lower} ({getattr(policy, lower)}) would be above {higher}"
                    f" ({getattr(policy, higher)}).",
                    field=lower,
                    hint="Set both.",
                )
