"""Blind review: votes per file, the moment when they are opened, and the decision.

Decides when a review is complete, what the votes of a file come to, and who may decide what. As long as votes are
sealed, not even the audit record says what they are: it holds a commitment, opened together with all others.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.errors import Conflict, Forbidden, InvalidInput
from tre.outputs import access, limits, rules
from tre.outputs.model import Choice, FileDecision, ReleaseRequest, RequestFile, RequestVersion, Review, Vote
from tre.outputs.service import move
from tre.outputs.states import RequestState
from tre.people.model import Role
from tre.people.service import get_person
from tre.store import Database
from tre.store.canonical import digest_of


class Verdict(StrEnum):
    """What reviewers decide about a whole request."""

    approve = "approve"
    return_ = "return"
    reject = "reject"


TARGETS = {
    Verdict.approve: RequestState.approved,
    Verdict.return_: RequestState.returned,
    Verdict.reject: RequestState.rejected,
}


@dataclass(frozen=True)
class Ballot:
    """A vote on the file at that place. What is not an approval says why."""

    file: int
    choice: Choice
    comment: str = ""


@dataclass(frozen=True)
class Voted:
    """`complete`: every file has this reviewer's vote; `opened`: all required votes are in."""

    complete: bool
    opened: bool


def vote(db: Database, actor: Actor, request_id: int, *, version: int, ballots: Sequence[Ballot]) -> Voted:
    """Gives or changes one's own votes on the newest version. The last required vote opens them all.

    After that a vote changes only where reviewers disagreed, with a comment. Raises `Forbidden` for whoever has a
    tie to the request, `Conflict` for another version or state.
    """
    with use_case(db, actor, "request.vote", access.subject_of(request_id)) as case:
        current = _in_review(case, request_id, version)
        mine = _own_review(case, current)
        if current.opened_at is None:
            _cast(case, current, mine, ballots)
            opened = _open_if_complete(case, current)
        else:
            opened = _revise(case, current, mine, ballots)
        case.note(version=current.number, complete=mine.completed_at is not None, opened=opened)
        if opened:
            case.note(votes=_opening(case.session, current))
        return Voted(mine.completed_at is not None, opened)


def _in_review(case: UseCase, request_id: int, version: int) -> RequestVersion:
    request = access.get(case.session, request_id, lock=True)
    rules.check_review(case.actor, access.ties_of(case.session, request, case.actor.username))
    rules.check_version(version, request.version)
    rules.check_state(request_id, request.state, RequestState.in_review)
    return access.version_of(case.session, request)


def _own_review(case: UseCase, version: RequestVersion) -> Review:
    key = (version.request_id, version.number, case.actor.username)
    mine = case.session.get(Review, key)
    if version.opened_at is not None and (mine is None or mine.completed_at is None):
        raise Conflict("All required votes are in; the review is closed to others.", code="review_complete")
    if mine is None:
        highest = select(func.coalesce(func.max(Review.number), 0)).where(
            Review.request_id == version.request_id, Review.version == version.number
        )
        number = case.session.scalars(highest).one() + 1
        mine = Review(request_id=key[0], version=key[1], reviewer=key[2], number=number)
        case.session.add(mine)
    return mine


def _cast(case: UseCase, version: RequestVersion, mine: Review, ballots: Sequence[Ballot]) -> None:
    commitments = {}
    for ballot in ballots:
        file = access.file_of(version, ballot.file)
        commitments[str(file.position)] = commitment(_put(case, file, ballot))
    case.session.flush()
    voted = select(func.count()).where(
        Vote.reviewer == case.actor.username, Vote.file_id.in_([file.id for file in version.files])
    )
    if case.session.scalars(voted).one() == len(version.files):
        mine.completed_at = mine.completed_at or case.now
    case.note(commitments=commitments)


def _put(case: UseCase, file: RequestFile, ballot: Ballot) -> Vote:
    comment = rules.check_words(ballot.comment, field="comment") if ballot.comment.strip() else ""
    if ballot.choice is not Choice.approve and not comment:
        raise InvalidInput("Say what must change, or why it is rejected.", field="comment")
    vote = case.session.get(Vote, (file.id, case.actor.username))
    if vote is None:
        vote = Vote(file_id=file.id, reviewer=case.actor.username)
        case.session.add(vote)
    vote.choice, vote.comment, vote.at, vote.salt = ballot.choice, comment, case.now, secrets.token_hex(16)
    return vote


def commitment(vote: Vote) -> str:
    """SHA-256 that binds the voter to the vote and tells nobody what it is."""
    return digest_of(
        {
            "file": vote.file_id,
            "reviewer": vote.reviewer,
            "choice": vote.choice,
            "comment": vote.comment,
            "salt": vote.salt,
        }
    )


def _open_if_complete(case: UseCase, version: RequestVersion) -> bool:
    case.session.flush()
    if len(access.counted_reviews(case.session, version)) < version.required:
        return False
    version.opened_at = case.now
    _consolidate(case.session, version)
    return True


def _consolidate(session: Session, version: RequestVersion) -> None:
    votes = counted_votes(session, version)
    for file in version.files:
        of_file = [Choice(vote.choice) for vote in votes if vote.file_id == file.id]
        file.decision = rules.consolidate(of_file, version.required)


def _revise(case: UseCase, version: RequestVersion, mine: Review, ballots: Sequence[Ballot]) -> bool:
    """In the open, to settle a conflict: with a comment, and on record with what it was before."""
    for ballot in ballots:
        file = access.file_of(version, ballot.file)
        if file.decision != FileDecision.conflicted:
            raise Conflict(
                f"The votes on file {file.position} agree and are final.", hint="Decide on the request.", code="final"
            )
        if not ballot.comment.strip():
            raise InvalidInput("Say why you changed your mind.", field="comment")
        _put(case, file, ballot)
    case.session.flush()
    _consolidate(case.session, version)
    return True


def counted_votes(session: Session, version: RequestVersion) -> list[Vote]:
    """The votes of complete reviews. A review that was not complete when the others opened counts for nothing."""
    reviewers = [review.reviewer for review in access.counted_reviews(session, version)]
    files = [file.id for file in version.files]
    query = select(Vote).where(Vote.file_id.in_(files), Vote.reviewer.in_(reviewers))
    return list(session.scalars(query.order_by(Vote.file_id, Vote.reviewer)))


def _opening(session: Session, version: RequestVersion) -> list[dict[str, object]]:
    places = {file.id: file.position for file in version.files}
    return [
        {"file": places[v.file_id], "reviewer": v.reviewer, "choice": v.choice, "salt": v.salt}
        for v in counted_votes(session, version)
    ]


def decide(
    db: Database, actor: Actor, request_id: int, *, version: int, verdict: Verdict, reason: str = ""
) -> RequestState:
    """The decision on the whole request, by one of those who reviewed it, once all votes are open.

    Approving needs every file approved by all of them; returning is always possible, also for what is approved but not
    yet out; rejecting needs a file that all of them reject. Returns the new state.
    """
    with use_case(db, actor, "request.decide", access.subject_of(request_id)) as case:
        request = access.get(case.session, request_id, lock=True)
        rules.check_review(actor, access.ties_of(case.session, request, actor.username))
        rules.check_version(version, request.version)
        current = access.version_of(case.session, request)
        _check_decision(case, request, current, verdict)
        words = rules.check_words(reason, field="reason") if reason or verdict is not Verdict.approve else ""
        target = TARGETS[verdict]
        move(case, request, target, words)
        if target is RequestState.approved:
            request.due_at = limits.read(case.session).due(case.now)
        current.decided_at, current.decided_by, current.decision = case.now, actor.username, target
        case.note(
            version=version, verdict=str(verdict), reason=words, files={f.digest: f.decision for f in current.files}
        )
        return target


def _check_decision(case: UseCase, request: ReleaseRequest, version: RequestVersion, verdict: Verdict) -> None:
    rules.check_transition(request.id, request.state, TARGETS[verdict])
    if request.state == RequestState.approved:
        return
    if version.opened_at is None:
        raise Conflict("Not all required votes are in.", hint="Wait for the other reviewers.", code="votes_missing")
    if case.actor.username not in {review.reviewer for review in access.counted_reviews(case.session, version)}:
        raise Forbidden("Only those who reviewed this version decide on it.", code="not_a_reviewer")
    decisions = [file.decision for file in version.files]
    if verdict is Verdict.approve:
        rules.check_approve(decisions)
        check_unanimous(case.session, request, version)
    if verdict is Verdict.reject:
        rules.check_reject(decisions)


def check_unanimous(session: Session, request: ReleaseRequest, version: RequestVersion) -> list[Review]:
    """Counts again, from the votes themselves: every file approved by the required number of people who are, today,
    output checkers without a tie. Raises `Conflict`. Asked at the decision and again at the release.
    """
    reviews = [review for review in access.counted_reviews(session, version) if _still_checks(session, request, review)]
    good = {review.reviewer for review in reviews}
    votes = [vote for vote in counted_votes(session, version) if vote.reviewer in good]
    for file in version.files:
        approvals = {vote.reviewer for vote in votes if vote.file_id == file.id and vote.choice == Choice.approve}
        if version.required < 2 or len(approvals) < version.required or file.decision != FileDecision.approved:
            raise Conflict(
                f"File {file.position} is not approved by {version.required} independent output checkers.",
                hint="Return the request; it needs another review.",
                code="not_unanimous",
            )
    return reviews


def _still_checks(session: Session, request: ReleaseRequest, review: Review) -> bool:
    person = get_person(session, review.reviewer)
    is_checker = any(held.role == Role.checker for held in person.roles)
    return is_checker and access.ties_of(session, request, review.reviewer).independent
