"""May this person? Does the state of affairs allow it? Pure questions about one request.

`Ties` says how a person stands to a request; services find it out, rules only judge it. Whoever ever belonged to the
project, wrote the request, works for its author's organisation or declared an interest is no output checker of it,
whatever roles they hold. Who may see what and when is in `visibility`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tre.audit import Actor
from tre.errors import Conflict, Forbidden, InvalidInput
from tre.outputs.model import Audience, Choice, FileDecision
from tre.outputs.states import OUT, TRANSITIONS, RequestState
from tre.people.model import Role
from tre.people.rules import check_role, check_text, has_role

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,98}[A-Za-z0-9]")
LONGEST_TITLE = 120


@dataclass(frozen=True)
class Ties:
    """`member` now, `ever` now or before (proposer included), `colleague` of the author by their organisation,
    `conflicted` by a declared interest in project, author's organisation or a controller of its data. `custodian` of
    data that the project was granted: no tie that speaks against reviewing, for the data's side is the careful one.
    """

    author: bool = False
    member: bool = False
    ever: bool = False
    colleague: bool = False
    conflicted: bool = False
    custodian: bool = False

    @property
    def independent(self) -> bool:
        return not (self.author or self.member or self.ever or self.colleague or self.conflicted)


def is_checker_of(actor: Actor, ties: Ties) -> bool:
    """An output checker with no tie to the request."""
    return has_role(actor, Role.checker) and ties.independent


def check_review(actor: Actor, ties: Ties) -> None:
    """Raises `Forbidden` with the tie that stands in the way; the tie is named before the missing role."""
    if ties.author:
        raise Forbidden("Nobody reviews their own request.", hint="Two other output checkers must.", code="own_request")
    if ties.member or ties.ever:
        raise Forbidden(
            "Present and former members of the project do not review its outputs.",
            hint="Somebody outside the project must.",
            code="own_project",
        )
    if ties.colleague:
        raise Forbidden(
            "You work for the author's organisation.",
            hint="Somebody of another organisation must review.",
            code="own_organisation",
        )
    if ties.conflicted:
        raise Forbidden(
            "You declared a conflict of interest with this project, its author's organisation or its data.",
            hint="Somebody without that interest must review.",
            code="conflict_of_interest",
        )
    check_role(actor, Role.checker)


def check_see(actor: Actor, ties: Ties, state: str) -> None:
    """Members, its checkers, administrators and auditors know of a request; custodians of its data of what is out.
    Raises `Forbidden`.
    """
    if not ties.member and not is_checker_of(actor, ties) and not (ties.custodian and state in OUT):
        check_role(actor, Role.administrator, Role.auditor)


def check_download(actor: Actor, ties: Ties) -> None:
    """What was released is for the project's present members and its checkers."""
    if not ties.member and not is_checker_of(actor, ties):
        raise Forbidden("Released outputs are for the project's members.", hint="Ask a member.", code="not_a_member")


def check_comment(actor: Actor, ties: Ties) -> None:
    if not ties.member and not is_checker_of(actor, ties):
        raise Forbidden("Only the project's members and its output checkers comment.", code="not_concerned")


def check_audience(audience: str, *, by_checker: bool) -> None:
    """Raises `InvalidInput` for an unknown audience, `Forbidden` for the project writing into the checkers' talk."""
    if audience not in list(Audience):
        raise InvalidInput(f"The audience is one of {', '.join(Audience)}.", field="audience")
    if audience == Audience.checkers and not by_checker:
        raise Forbidden("Only output checkers write to output checkers alone.", code="not_a_checker")


def check_author(ties: Ties) -> None:
    """The author, as long as they belong to the project."""
    if not (ties.author and ties.member):
        raise Forbidden("Only the author, as a member of the project, does this.", code="not_the_author")


def check_recall(actor: Actor, ties: Ties) -> None:
    """Calling back is the safe direction: administrators, its checkers, the custodians whose data the project was
    granted, and the author who found their own mistake.
    """
    if not ties.author and not ties.custodian and not is_checker_of(actor, ties):
        check_role(actor, Role.administrator)


def check_retry(actor: Actor, ties: Ties) -> None:
    if not (ties.author and ties.member) and not is_checker_of(actor, ties):
        check_role(actor, Role.administrator)


def retry_target(failed_from: str) -> RequestState:
    """A failed release goes back to approved, everything else to the checks."""
    return RequestState.approved if failed_from == RequestState.releasing else RequestState.submitted


def check_transition(request_id: int, state: str, target: RequestState) -> None:
    """Raises `Conflict` unless the table of transitions allows it."""
    possible = TRANSITIONS[RequestState(state)]
    if target not in possible:
        words = ", ".join(sorted(possible)) or "nothing: this state is final"
        raise Conflict(f"Request {request_id} is {state}; it cannot become {target}.", hint=f"Possible now: {words}.")


def check_state(request_id: int, state: str, *allowed: RequestState) -> None:
    """Raises `Conflict` when the request is elsewhere in its life."""
    if state not in allowed:
        raise Conflict(f"Request {request_id} is {state}; this needs {' or '.join(allowed)}.", hint="Look at it again.")


def check_version(version: int, current: int) -> None:
    """A vote is about what the voter saw. Raises `Conflict` when the author has sent another version since."""
    if version != current:
        raise Conflict(
            f"This is version {version}; the request is at version {current}.",
            hint="Look at the new version; votes start again.",
            code="old_version",
        )


def consolidate(votes: Sequence[Choice], required: int) -> FileDecision:
    """One decision from all required votes of a file: unanimous, or visibly not. Too few votes are a conflict."""
    if len(votes) < required or len(set(votes)) != 1:
        return FileDecision.conflicted
    return {
        Choice.approve: FileDecision.approved,
        Choice.request_changes: FileDecision.changes_requested,
        Choice.reject: FileDecision.rejected,
    }[votes[0]]


def check_approve(decisions: Collection[str]) -> None:
    """Every file approved by every required reviewer, or the request is not. Raises `Conflict`."""
    if not decisions or any(decision != FileDecision.approved for decision in decisions):
        raise Conflict(
            "Not every file is approved by every required reviewer.",
            hint="Return the request to its author, or settle the conflict in the comments and revise your vote.",
            code="not_unanimous",
        )


def check_reject(decisions: Collection[str]) -> None:
    """A request ends for good only when reviewers agree on it for at least one file. Raises `Conflict`."""
    if FileDecision.rejected not in decisions:
        raise Conflict(
            "No file was rejected by every required reviewer.", hint="Return the request.", code="not_unanimous"
        )


def check_words(value: str, *, field: str, longest: int = 4000) -> str:
    """Text for people, trimmed: no control characters, and none that turn or hide what is read. Raises
    `InvalidInput`.
    """
    text = check_text(value, field=field, longest=longest)
    if any(unicodedata.category(character) in ("Cf", "Co", "Cs") for character in text):
        raise InvalidInput("Invisible characters are not allowed.", field=field)
    return text


def check_file_name(name: str, *, field: str) -> str:
    """A name that is the same to every system and every eye. Raises `InvalidInput`."""
    if not FILE_NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            "A file name has 2 to 100 letters (a-z), digits, blanks, dots, hyphens and underscores and no folder.",
            field=field,
            hint="Rename the file.",
        )
    return name
