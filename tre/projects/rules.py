"""May this person? Does the state of affairs allow it? And the gate that every start of a workspace passes.

Pure functions of what the service read. Decides who proposes, decides, suspends and closes, and which obstacles keep
a gate closed. Leaves the controllers' decisions and grants to `tre.data`, which adds its own obstacles.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

from tre.audit import Actor
from tre.errors import Conflict, Forbidden, GateClosed, InvalidInput
from tre.people.model import Role
from tre.people.rules import Obstacle, check_line, check_role, check_slug, standing_obstacles
from tre.projects import agreement
from tre.projects.model import TRANSITIONS, Member, Project, ProjectState

LONGEST_PROJECT = timedelta(days=5 * 366)
DEEPEST_ROWS = 64


def check_transition(project: Project, target: ProjectState) -> None:
    """Raises `Conflict` unless the table of transitions allows it."""
    if target not in TRANSITIONS[ProjectState(project.state)]:
        possible = ", ".join(sorted(TRANSITIONS[ProjectState(project.state)])) or "nothing: this state is final"
        raise Conflict(
            f"Project {project.slug} is {project.state}; it cannot become {target}.", hint=f"Possible now: {possible}."
        )


def check_decide(actor: Actor, project: Project, members: Collection[str]) -> None:
    """An administrator who neither proposed the project nor belongs to it. The service counts who left as well:
    whoever could leave, decide and come back would decide on their own.
    """
    check_role(actor, Role.administrator)
    if actor.username == project.proposed_by or actor.username in members:
        raise Forbidden(
            "Nobody decides on a project of their own.", hint="Another administrator must decide.", code="own_project"
        )


def check_see(actor: Actor, members: Collection[str], *, concerned: bool = False) -> None:
    """Members, administrators, auditors and whoever the data's side says is concerned (custodians, checkers)."""
    if actor.username not in members and not concerned:
        check_role(actor, Role.administrator, Role.auditor)


def check_end_date(end: date, today: date) -> None:
    if not today < end <= today + LONGEST_PROJECT:
        raise InvalidInput("The end date lies in the future, at most five years away.", field="end_date")


def check_open(project: Project) -> None:
    """Raises `Conflict` for a project that ended: nobody joins it any more."""
    if not TRANSITIONS[ProjectState(project.state)]:
        raise Conflict(f"Project {project.slug} is {project.state}.", hint="Propose a new one.")


def check_asks(asks: Sequence[tuple[str, Sequence[str]]]) -> None:
    """At least one dataset, each once, each with at least one column, no column twice; names that can be shown."""
    if not asks:
        raise InvalidInput("Ask for at least one dataset.", field="datasets")
    names = [dataset for dataset, _ in asks]
    if len(set(names)) != len(names):
        raise InvalidInput("A dataset is asked for twice.", field="datasets")
    for dataset, columns in asks:
        check_slug(dataset, field="datasets")
        for column in columns:
            check_line(column, field="datasets")
        if not columns or len(set(columns)) != len(columns):
            raise InvalidInput(f"Name each column of {dataset} that you need once.", field="datasets")


def check_rows(rows: Any, depth: int = DEEPEST_ROWS) -> None:
    """A bounded expression; `tre.data` says what one is. Raises `InvalidInput` when it is too deep to be shown."""
    if depth == 0:
        raise InvalidInput(f"The rows nest deeper than {DEEPEST_ROWS} levels.", field="rows")
    for inner in rows.values() if isinstance(rows, dict) else rows if isinstance(rows, list) else ():
        check_rows(inner, depth - 1)


def project_obstacles(project: Project, today: date) -> list[Obstacle]:
    obstacles = []
    if project.state != ProjectState.approved:
        because = f" ({project.state_reason})" if project.state_reason else ""
        message = f"Project {project.slug} is {project.state}{because}."
        remedy = "An administrator approves it." if project.state == ProjectState.proposed else "Ask an administrator."
        obstacles.append(Obstacle(f"project_{project.state}", message, remedy))
    if project.end_date < today:
        message = f"Project {project.slug} ended on {project.end_date}."
        obstacles.append(Obstacle("project_ended", message, "Propose a continuation."))
    return obstacles


def member_obstacles(member: Member | None, username: str, today: date) -> list[Obstacle]:
    """What keeps this person out of this project: membership, account, agreement, accreditation, training, role."""
    if member is None or member.left_at is not None:
        return [Obstacle("not_a_member", f"{username} is not in the project's team.", "The project adds its members.")]
    obstacles = standing_obstacles(username, member.person.standings, today)
    if not member.person.active:
        obstacles.append(Obstacle("account_ended", f"{username}'s account has ended.", "Ask an administrator."))
    if not any(held.role == Role.researcher for held in member.person.roles):
        message = f"{username} is no researcher."
        obstacles.append(Obstacle("not_a_researcher", message, "An administrator gives the role."))
    if member.agreement != agreement.DIGEST:
        message = f"{username} has not accepted the agreement."
        obstacles.append(Obstacle("agreement_missing", message, "Accept it on the project's page."))
    return obstacles


def check_gate(obstacles: Sequence[Obstacle]) -> None:
    """Raises `GateClosed` with every obstacle in words; the code is that of the first."""
    if obstacles:
        raise GateClosed(
            " ".join(obstacle.message for obstacle in obstacles),
            hint=" ".join(dict.fromkeys(obstacle.remedy for obstacle in obstacles)),
            code=obstacles[0].code,
        )
