"""Reading, exporting, signing and verifying the audit record.

Decides what an export holds and what "verified" means: an unbroken chain, and a signed head that lies on it. The
signature itself comes from the secrets server through `Signer`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tre.audit.chain import ChainResult, instant, verify_chain
from tre.audit.model import AuditEvent, AuditHead
from tre.errors import InvalidInput
from tre.store import Database
from tre.store.canonical import canonical_json

FORMAT = "tre-audit/1"
_HEAD_LOCK = 0x7472655F6864
CheckSignature = Callable[[bytes, str], bool]


class Signer(Protocol):
    def sign(self, message: bytes) -> str: ...


@dataclass(frozen=True)
class Verification:
    """`ok` only if the chain is whole and a signed head lies on it. `problems` are sentences for people."""

    ok: bool
    events: int
    head: str
    signed_up_to: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Head:
    """A signed head as it travels: `at` in the spelling of `instant`."""

    seq: int
    at: str
    digest: str
    signature: str

    @property
    def statement(self) -> bytes:
        return head_statement(self.seq, self.at, self.digest)


def head_statement(seq: int, at: str, digest: str) -> bytes:
    """The bytes that are signed for a head: at this moment the record had `seq` events and ended in `digest`."""
    return canonical_json({"format": FORMAT, "seq": seq, "at": at, "digest": digest})


def event_dict(event: AuditEvent) -> dict[str, Any]:
    names = ("seq", "actor", "via", "action", "subject", "outcome", "detail", "previous", "digest")
    return {**{name: getattr(event, name) for name in names}, "at": instant(event.at)}


def events(
    session: Session, *, subject: str = "", actor: str = "", action: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """The latest events, newest first, filtered by exact subject or actor and by the beginning of the action."""
    query = select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(limit)
    if subject:
        query = query.where(AuditEvent.subject == subject)
    if actor:
        query = query.where(AuditEvent.actor == actor)
    if action:
        query = query.where(AuditEvent.action.startswith(action, autoescape=True))
    return [event_dict(event) for event in session.scalars(query)]


def sign_head(db: Database, signer: Signer) -> AuditHead | None:
    """Signs the present head; None when there is nothing new to sign. Writes no event: the signature is about
    events.
    """
    with db.transaction() as session:
        session.execute(select(func.pg_advisory_xact_lock(_HEAD_LOCK)))
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(1)).first()
        if last is None or session.get(AuditHead, last.seq) is not None:
            return None
        now = db.clock()
        signature = signer.sign(head_statement(last.seq, instant(now), last.digest))
        head = AuditHead(seq=last.seq, at=now, digest=last.digest, signature=signature)
        session.add(head)
        return head


def signed_heads(session: Session) -> list[Head]:
    """Read before the events: whatever is signed by then is there when the events are read."""
    rows = session.scalars(select(AuditHead).order_by(AuditHead.seq))
    return [Head(row.seq, instant(row.at), row.digest, row.signature) for row in rows]


def export_lines(session: Session, public_key: str) -> Iterator[str]:
    """JSON Lines: a header with the public key, every event up to the last signed head in order, then the heads."""
    heads = signed_heads(session)
    events = select(AuditEvent).order_by(AuditEvent.seq).execution_options(yield_per=1000)
    if heads:
        events = events.where(AuditEvent.seq <= heads[-1].seq)
    yield json.dumps({"format": FORMAT, "public_key": public_key})
    for event in session.scalars(events):
        yield json.dumps({"event": event_dict(event)}, ensure_ascii=False)
    for head in heads:
        yield json.dumps({"head": asdict(head)})


def verify_database(session: Session, check_signature: CheckSignature) -> Verification:
    """Events after the last signed head may be there: people go on working while this reads."""
    heads = signed_heads(session)
    rows = session.scalars(select(AuditEvent).order_by(AuditEvent.seq).execution_options(yield_per=1000))
    digests: dict[int, str] = {}
    events = _remembering(map(event_dict, rows), digests)
    result = verify_chain(events)
    deque(events, maxlen=0)
    return _judge(result, digests, heads, check_signature)


def verify_file(path: Path, check_signature: CheckSignature) -> Verification:
    """Verifies an export. The caller's `check_signature` holds the public key: a key inside the file proves nothing.

    An export ends with a signed head, so that nothing can be put behind it. Raises `InvalidInput` when the file is no
    export.
    """
    digests: dict[int, str] = {}
    heads: list[Head] = []
    try:
        with path.open(encoding="utf-8") as lines:
            if _loads(next(lines)).get("format") != FORMAT:
                raise InvalidInput(
                    "This is not an audit export.", field="file", hint="Use a file of `tre audit export`."
                )
            result = verify_chain(_remembering(_events_of(lines, heads), digests))
            # Reads on to the heads behind a break, so that the report names both.
            deque(_remembering(_events_of(lines, heads), digests), maxlen=0)
        found = _judge(result, digests, heads, check_signature)
    except (OSError, StopIteration, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"The export cannot be read: {error}.", field="file", hint="Export it again.") from error
    if heads and found.signed_up_to < max(digests, default=0):
        unsigned = f"No signature covers the events after {found.signed_up_to}."
        return replace(found, ok=False, problems=(*found.problems, unsigned))
    return found


def _events_of(lines: Iterator[str], heads: list[Head]) -> Iterator[dict[str, Any]]:
    for line in lines:
        match _loads(line):
            case {"head": {"seq": int(), "at": str(), "digest": str(), "signature": str()} as head, **rest} if not rest:
                heads.append(Head(**head))
            case {"event": {"seq": int(), "digest": str()} as event, **rest} if not rest:
                yield event
            case _:
                raise ValueError("a line is neither an event nor a head")


def _loads(line: str) -> Any:
    """JSON in which no name comes twice: two readers would see two different events."""
    return json.loads(line, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _remembering(rows: Iterator[dict[str, Any]], digests: dict[int, str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        digests[row["seq"]] = row["digest"]
        yield row


def _judge(
    result: ChainResult, digests: dict[int, str], heads: list[Head], check_signature: CheckSignature
) -> Verification:
    problems = []
    if result.problem:
        problems.append(f"Event {result.problem.seq} {result.problem.problem}.")
    signed_up_to = 0
    for head in heads:
        if not check_signature(head.statement, head.signature):
            problems.append(f"The signature of the head at event {head.seq} is not ours.")
        elif digests.get(head.seq) != head.digest:
            problems.append(f"Event {head.seq} was signed with another content, or is missing.")
        else:
            signed_up_to = max(signed_up_to, head.seq)
    if not heads:
        problems.append("No signed head: nothing proves that the record is complete.")
    return Verification(not problems, result.events, result.head, signed_up_to, tuple(problems))
