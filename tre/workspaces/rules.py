"""May this person stop it? Does the state allow it? How much may leave in a day?

Pure functions. The gate itself is asked of `tre.projects` and `tre.data`; this room only adds what concerns workspaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tre.audit import Actor
from tre.errors import Conflict
from tre.people.model import Role
from tre.people.rules import Obstacle, check_role
from tre.workspaces.model import TIMEOUTS, TRANSITIONS, Traffic, Workspace, WorkspacePolicy, WorkspaceState


@dataclass(frozen=True)
class Verdict:
    """What the guard does after bytes were booked: go on, or close the door until `until` because of `reason`."""

    suspended: bool
    alarm: bool
    reason: str = ""


def check_transition(workspace: Workspace, target: WorkspaceState) -> None:
    """Raises `Conflict` unless the table of transitions allows it."""
    if target not in TRANSITIONS[WorkspaceState(workspace.state)]:
        raise Conflict(f"Workspace {workspace.id} is {workspace.state}; it cannot become {target}.")


def check_see(actor: Actor, workspace: Workspace) -> None:
    if actor.username != workspace.username:
        check_role(actor, Role.administrator, Role.auditor)


def check_stop(actor: Actor, workspace: Workspace) -> None:
    """The person whose workspace it is, or an administrator."""
    if actor.username != workspace.username:
        check_role(actor, Role.administrator)


def overdue(workspace: Workspace, now: datetime) -> str:
    """Why the controller must end it now for lack of time, or the empty string."""
    limit = TIMEOUTS.get(WorkspaceState(workspace.state))
    if limit and now - workspace.state_since > limit:
        return f"Nothing heard for {int(limit.total_seconds())} s while {workspace.state}."
    if workspace.state == WorkspaceState.running and now >= workspace.expires_at:
        return "The workspace reached its maximum age."
    return ""


def judge_traffic(traffic: Traffic, policy: WorkspacePolicy, now: datetime) -> Verdict:
    """Alarm once a day at the first bound; beyond the second, the door closes for a while each time it is crossed."""
    if traffic.suspended_until and now < traffic.suspended_until:
        return Verdict(
            True, False, f"Too much left this workspace today; the door opens at {traffic.suspended_until:%H:%M} UTC."
        )
    if traffic.out_bytes >= policy.suspend_bytes_per_day and traffic.suspended_until is None:
        until = now + timedelta(seconds=policy.suspend_seconds)
        return Verdict(True, True, f"Too much left this workspace today; the door opens at {until:%H:%M} UTC.")
    return Verdict(False, traffic.out_bytes >= policy.alarm_bytes_per_day and not traffic.alarmed)


def suspension_obstacle(traffic: Traffic | None, now: datetime) -> list[Obstacle]:
    if traffic and traffic.suspended_until and now < traffic.suspended_until:
        message = f"Suspended until {traffic.suspended_until:%H:%M} UTC: too much left the workspace today."
        return [Obstacle("traffic_suspended", message, "Wait, or ask an administrator.")]
    return []
