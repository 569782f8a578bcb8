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

# What a workspace tolerates when the platform's clock is corrected, or when two nodes' clocks are apart.
CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True)
class Verdict:
    """What the guard does after bytes were booked: go on, or close the door because of `reason`; and whether there is
    something to record.
    """

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
    """Why the controller must end it now for lack of time, or the empty string. A clock that was set back by much
    counts as time that passed: else a workspace would outlive its limits by as much.
    """
    limit = TIMEOUTS.get(WorkspaceState(workspace.state))
    if limit and not -CLOCK_SLACK <= now - workspace.state_since <= limit:
        return f"Nothing heard for {int(limit.total_seconds())} s while {workspace.state}."
    if workspace.state == WorkspaceState.running and now >= workspace.expires_at:
        return "The workspace reached its maximum age."
    if workspace.state == WorkspaceState.running and now < workspace.requested_at - CLOCK_SLACK:
        return "The platform's clock was set back."
    return ""


def judge_traffic(
    traffic: Traffic, policy: WorkspacePolicy, now: datetime, *, booked: int, closed_until: datetime | None
) -> Verdict:
    """After `booked` bytes were added: an alarm once a day at the first bound; each time the sum passes another whole
    multiple of the second, the door closes for a while.
    """
    bound = max(1, policy.suspend_bytes_per_day)
    if traffic.out_bytes // bound > (traffic.out_bytes - booked) // bound:
        return Verdict(True, True, _closed(now + timedelta(seconds=policy.suspend_seconds)))
    if closed_until and now < closed_until:
        return Verdict(True, False, _closed(closed_until))
    return Verdict(False, traffic.out_bytes >= policy.alarm_bytes_per_day and not traffic.alarmed)


def _closed(until: datetime) -> str:
    return f"Too much left this workspace today; the door opens at {until:%H:%M} UTC."


def suspension_obstacle(until: datetime | None, now: datetime) -> list[Obstacle]:
    if until and now < until:
        message = f"Suspended until {until:%H:%M} UTC: too much left the workspace today."
        return [Obstacle("traffic_suspended", message, "Wait, or ask an administrator.")]
    return []
