"""Who may see it yet? Votes and comments of a blind review, and words written inside the workspace.

Pure functions of who looks (`Viewer`) and how far the review is (`Stage`). The blind rule: as long as not all required
votes are in, each checker sees their own only, and nobody else sees any; once they are, those who voted see each other;
when the version is decided, the project sees the decision under numbers instead of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tre.audit import Actor
from tre.outputs.model import Audience
from tre.outputs.rules import Ties, is_checker_of
from tre.outputs.states import OUT
from tre.people.model import Role
from tre.people.rules import has_role

# The edge that answers inside the workspace; all others answer outside of it.
INSIDE = "notebook"


class Side(StrEnum):
    project = "project"
    custodian = "custodian"  # of the project's data, once the outputs are out
    checker = "checker"
    staff = "staff"  # administrators and auditors


#: Who is told what a review came to, not how it went.
OUTSIDE_REVIEW = (Side.project, Side.custodian)


class Stage(StrEnum):
    """How far a version's review is."""

    sealed = "sealed"
    opened = "opened"
    decided = "decided"


@dataclass(frozen=True)
class Viewer:
    """`reviewed`: their own complete review of the version counts among the required ones."""

    username: str
    side: Side
    reviewed: bool = False
    inside: bool = False


def viewer_of(actor: Actor, ties: Ties, *, reviewed: bool = False) -> Viewer:
    """A member is on the project's side and a checker on the checkers', whatever else they are."""
    return Viewer(actor.username, _side(actor, ties), reviewed, actor.via == INSIDE)


def _side(actor: Actor, ties: Ties) -> Side:
    if ties.author or ties.member:
        return Side.project
    if is_checker_of(actor, ties):
        return Side.checker
    return Side.staff if has_role(actor, Role.administrator, Role.auditor) else Side.custodian


def stage_of(opened: bool, decided: bool) -> Stage:
    if decided:
        return Stage.decided
    return Stage.opened if opened else Stage.sealed


def can_see_others(viewer: Viewer, stage: Stage) -> bool:
    """May they see what other reviewers voted and wrote, and the files' decisions?"""
    if stage is Stage.decided:
        return True
    # Somebody who reviewed and joined the project afterwards is on the project's side.
    return stage is Stage.opened and (viewer.side is Side.staff or (viewer.side is Side.checker and viewer.reviewed))


def can_see_vote(viewer: Viewer, stage: Stage, reviewer: str) -> bool:
    """The project and the custodians of its data never see single votes, only what they come to."""
    if viewer.side in OUTSIDE_REVIEW:
        return False
    return viewer.username == reviewer or can_see_others(viewer, stage)


def can_see_remarks(viewer: Viewer, stage: Stage) -> bool:
    """What reviewers wrote beside their votes is for the author, once the version is decided."""
    return viewer.side is Side.project and stage is Stage.decided


def can_see_comment(viewer: Viewer, stage: Stage, *, author: str, by_checker: bool, audience: str) -> bool:
    """A checker's words wait as their votes do; words among checkers never reach the project."""
    if viewer.username == author or not by_checker:
        return True
    if audience == Audience.checkers and viewer.side in OUTSIDE_REVIEW:
        return False
    return can_see_others(viewer, stage)


def can_see_words(viewer: Viewer, state: str, *, newest: bool) -> bool:
    """Context, controls, specifications and cell labels were written next to the data. Until checkers have released
    them, the project reads them inside the workspace only: a request is no way out for text. Only the newest version
    is ever released; what was returned before stays inside.
    """
    return viewer.side not in OUTSIDE_REVIEW or viewer.inside or (newest and state in OUT)


def shown_name(viewer: Viewer, author: str, *, by_checker: bool, number: int | None) -> str:
    """Checkers are numbers to the project and to custodians, names to one another and to staff."""
    if viewer.side in OUTSIDE_REVIEW and by_checker:
        return f"checker {number}" if number else "a checker"
    return author
