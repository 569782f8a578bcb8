"""May this person? Does the state of affairs allow it? Pure questions of the data room; `check_x` raises, `can_x` asks.

Decides who registers and decides (custodians, on their own organisation's data only), what a grant may hold (no more
than was asked, identifiers never as they are, no longer than the project), and what keeps a workspace closed. Leaves
the project's own gate to `tre.projects.rules`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from tre.audit import Actor
from tre.data.model import TRANSITIONS, Dataset, Decision, Extract, ExtractState, Grant, Sensitivity, Variable
from tre.errors import Conflict, Forbidden, InvalidInput
from tre.people.model import Role
from tre.people.rules import Obstacle, check_role, has_role
from tre.projects.model import DatasetAsk, Project, ProjectState


def check_custodian(actor: Actor, organisation: str, custodian_of: Collection[str]) -> None:
    """Raises `Forbidden` unless the actor answers for the organisation's data."""
    check_role(actor, Role.custodian)
    if organisation not in custodian_of:
        raise Forbidden(
            f"{actor.username} is no custodian of {organisation}.",
            hint="A custodian of that organisation must do this.",
            code="not_custodian",
        )


def check_decide(
    actor: Actor, organisation: str, custodian_of: Collection[str], everybody_ever: Collection[str]
) -> None:
    """A custodian of the data's controller who never belonged to the project."""
    check_custodian(actor, organisation, custodian_of)
    if actor.username in everybody_ever:
        raise Forbidden(
            "Nobody decides on data for a project of their own.",
            hint="Another custodian of the organisation must decide.",
            code="own_project",
        )


def check_end(actor: Actor, organisation: str, custodian_of: Collection[str]) -> None:
    """Ending protects: custodians of the controller and administrators, members of the project or not."""
    if not has_role(actor, Role.administrator):
        check_custodian(actor, organisation, custodian_of)


def can_see_grants(actor: Actor, organisation: str, custodian_of: Collection[str], members: Collection[str]) -> bool:
    everything = has_role(actor, Role.administrator, Role.auditor)
    return everything or actor.username in members or organisation in custodian_of


def check_decidable(project: Project, today: date) -> None:
    """Raises `Conflict` for a project that is refused, closed, suspended or past its end."""
    if project.state not in (ProjectState.proposed, ProjectState.approved):
        raise Conflict(f"Project {project.slug} is {project.state}.", hint="Decide on a proposed or approved project.")
    if project.end_date < today:
        raise Conflict(f"Project {project.slug} ended on {project.end_date}.", hint="It must propose a continuation.")


def check_asked(project: Project, dataset: str) -> DatasetAsk:
    """What the project asked of the dataset. Raises `Conflict` when it asked nothing."""
    ask = next((ask for ask in project.asks if ask.dataset == dataset), None)
    if ask is None:
        raise Conflict(f"Project {project.slug} did not ask for {dataset}.", hint="A new proposal may ask for it.")
    return ask


def check_columns(columns: Sequence[str], ask: DatasetAsk, variables: Sequence[Variable]) -> list[str]:
    """Some of what was asked, each once, in the dataset's order. Raises `InvalidInput`."""
    if not columns or len(set(columns)) != len(columns):
        raise InvalidInput("Name each column that you grant once.", field="columns")
    if beyond := sorted(set(columns) - set(ask.columns)):
        raise InvalidInput(
            f"The project did not ask for {', '.join(beyond)}.", field="columns", hint="Grant what was asked, or less."
        )
    if unknown := sorted(set(columns) - {variable.name for variable in variables}):
        raise InvalidInput(f"The dataset has no column {', '.join(unknown)}.", field="columns")
    return [variable.name for variable in variables if variable.name in columns]


def check_pseudonymised(wanted: Sequence[str], columns: Sequence[str], variables: Sequence[Variable]) -> list[str]:
    """What is pseudonymised: what the controller wants, and every identifier and unit number among the columns."""
    if beyond := sorted(set(wanted) - set(columns)):
        raise InvalidInput(f"{', '.join(beyond)} is not among the granted columns.", field="pseudonymised")
    always = {variable.name for variable in variables if variable.protected}
    found = [v for v in variables if v.name in columns and (v.name in always or v.name in wanted)]
    if wrong := [v.name for v in found if v.kind not in ("text", "int")]:
        raise InvalidInput(
            f"{', '.join(wrong)} holds neither text nor whole numbers; it cannot be pseudonymised.",
            field="pseudonymised",
            hint="Leave the column out.",
        )
    return [variable.name for variable in found]


def check_until(until: date, today: date, project_end: date) -> None:
    if not today <= until <= project_end:
        raise InvalidInput(
            f"A grant ends between today and the project's end, {project_end}.",
            field="until",
            hint="Choose such a day.",
        )


def check_described(sensitivity: Sensitivity, variables: Sequence[Variable]) -> None:
    """Words and columns must agree: what holds a direct identifier is not called anonymous or de-personalised."""
    identifiers = [variable.name for variable in variables if variable.identifier]
    if identifiers and sensitivity is not Sensitivity.personally_identifiable:
        raise InvalidInput(
            f"With the direct identifiers {', '.join(identifiers)} the data is personally identifiable.",
            field="sensitivity",
        )


def check_transition(extract: Extract, target: ExtractState) -> None:
    """Raises `Conflict` unless the table of transitions allows it."""
    if target not in TRANSITIONS[ExtractState(extract.state)]:
        raise Conflict(f"The extract is {extract.state}; it cannot become {target}.")


def stands(grant: Grant | None, today: date) -> bool:
    """Granted, not ended, and not past its last day."""
    if grant is None or grant.decision != Decision.granted or grant.ended_at is not None:
        return False
    return grant.until is not None and today <= grant.until


def grant_obstacles(dataset: str, grant: Grant | None, extract: Extract | None, today: date) -> list[Obstacle]:
    """What the newest decision on one dataset, and its extract, put in the way of a workspace."""
    if grant is None:
        message = f"Nobody has decided yet whether the project gets {dataset}."
        return [Obstacle("grant_missing", message, f"A custodian of {dataset} decides.")]
    if grant.decision == Decision.refused:
        message = f"{dataset} was refused ({grant.code}): {grant.reason}"
        return [Obstacle("grant_refused", message, grant.would_change)]
    if not stands(grant, today):
        ended = grant.ended_at.date() if grant.ended_at else grant.until
        return [
            Obstacle("grant_ended", f"The grant of {dataset} ended on {ended}.", "Ask its custodian for a new one.")
        ]
    if extract is None or extract.state != ExtractState.ready:
        state = f"{extract.state}" if extract else "missing"
        because = f": {extract.reason}" if extract and extract.reason else ""
        remedy = "An administrator builds it again." if state == ExtractState.failed else "Wait until it is built."
        return [Obstacle("extract_not_ready", f"The extract of {dataset} is {state}{because}.", remedy)]
    return []


def check_open(dataset: Dataset) -> None:
    """Raises `Conflict` for a dataset that its controller withdrew."""
    if dataset.withdrawn_at is not None:
        raise Conflict(f"{dataset.slug} was withdrawn.", hint="Its controller may register it again under a new name.")
