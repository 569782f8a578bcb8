"""The hash chain as pure functions: what is hashed, and whether a list of events is whole.

Works on plain dictionaries so that an exported file is verified by the same lines as the database. Signing is left to
`service`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
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


def plain(value: Any) -> Any:
    """`value` as JSON that the database gives back unchanged, so that its digest holds.

    Text without NUL and half surrogates; numbers with a fraction, which PostgreSQL would respell, as text. Raises
    TypeError on what is no value.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    raise TypeError(f"an audit event cannot hold a {type(value).__name__}")


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
    if unknown := sorted(set(event) - {*_FIELDS, "digest"}):
        return f"holds what no event has: {', '.join(unknown)}"
    try:
        digest = event_digest(event)
    except (KeyError, TypeError, ValueError):
        return "is not a complete event"
    return "" if event.get("digest") == digest else "was altered after it was written"
