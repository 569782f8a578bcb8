"""The hash chain as pure functions: what is hashed, and whether a list of events is whole.

Works on plain dictionaries so that an exported file is verified by the same lines as the database. Signing is left to
`service`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tre.store.canonical import digest_of

GENESIS = "0" * 64
_FIELDS = ("seq", "at", "actor", "via", "action", "subject", "outcome", "detail", "previous")


@dataclass(frozen=True)
class ChainProblem:
    """Where the chain breaks: the sequence number and what is wrong there."""

    seq: int
    problem: str


@dataclass(frozen=True)
class ChainResult:
    """`events` read, the digest of the last good one, and the first problem if there is one."""

    events: int
    head: str
    problem: ChainProblem | None


def instant(moment: datetime) -> str:
    """Microseconds in UTC: the spelling of time inside a digest."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def event_digest(event: dict[str, Any]) -> str:
    """Digest of one event (all fields but `digest`; `at` in the spelling of `instant`)."""
    return digest_of({name: event[name] for name in _FIELDS})


def verify_chain(events: Iterable[dict[str, Any]]) -> ChainResult:
    """Reads events in order from sequence number 1 and stops at the first that does not follow from the one before."""
    previous, count = GENESIS, 0
    for event in events:
        expected = count + 1
        problem = _problem_with(event, expected, previous)
        if problem:
            return ChainResult(count, previous, ChainProblem(expected, problem))
        previous, count = event["digest"], expected
    return ChainResult(count, previous, None)


def _problem_with(event: dict[str, Any], expected: int, previous: str) -> str:
    if event.get("seq") != expected:
        return f"expected event {expected}, found {event.get('seq')}"
    if event.get("previous") != previous:
        return "does not follow from the event before it"
    try:
        digest = event_digest(event)
    except (KeyError, TypeError, ValueError):
        return "is not a complete event"
    return "" if event.get("digest") == digest else "was altered after it was written"
