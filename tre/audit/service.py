"""Reading, exporting, signing and verifying the audit record.

Decides what an export holds and what "verified" means: an unbroken chain, and a signed head that lies on it. The
signature itself comes from the secrets server through `Signer`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit.chain import ChainResult, instant, verify_chain
from tre.audit.model import AuditEvent, AuditHead
from tre.errors import InvalidInput
from tre.store import Database
from tre.store.canonical import canonical_json

FORMAT = "tre-audit/1"
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


def head_statement(seq: int, digest: str) -> bytes:
    """The bytes that are signed for a head."""
    return canonical_json({"format": FORMAT, "seq": seq, "digest": digest})


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
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(1)).first()
        if last is None or session.get(AuditHead, last.seq) is not None:
            return None
        head = AuditHead(
            seq=last.seq,
            at=db.clock(),
            digest=last.digest,
            signature=signer.sign(head_statement(last.seq, last.digest)),
        )
        session.add(head)
        return head


def export_lines(session: Session, public_key: str) -> Iterator[str]:
    """JSON Lines: a header with the public key, every event in order, then every signed head."""
    yield json.dumps({"format": FORMAT, "public_key": public_key})
    for event in session.scalars(select(AuditEvent).order_by(AuditEvent.seq).execution_options(yield_per=1000)):
        yield json.dumps({"event": event_dict(event)}, ensure_ascii=False)
    for head in session.scalars(select(AuditHead).order_by(AuditHead.seq)):
        body = {"seq": head.seq, "at": instant(head.at), "digest": head.digest, "signature": head.signature}
        yield json.dumps({"head": body})


def verify_database(session: Session, check_signature: CheckSignature) -> Verification:
    rows = session.scalars(select(AuditEvent).order_by(AuditEvent.seq).execution_options(yield_per=1000))
    digests: dict[int, str] = {}
    result = verify_chain(_remembering(map(event_dict, rows), digests))
    heads = [
        (head.seq, head.digest, head.signature) for head in session.scalars(select(AuditHead).order_by(AuditHead.seq))
    ]
    return _judge(result, digests, heads, check_signature)


def verify_file(path: Path, check_signature: CheckSignature) -> Verification:
    """Verifies an export. The caller's `check_signature` holds the public key: a key inside the file proves nothing.

    Raises `InvalidInput` when the file is no export.
    """
    digests: dict[int, str] = {}
    heads: list[tuple[int, str, str]] = []
    try:
        with path.open(encoding="utf-8") as lines:
            if json.loads(next(lines)).get("format") != FORMAT:
                raise InvalidInput(
                    "This is not an audit export.", field="file", hint="Use a file of `tre audit export`."
                )
            result = verify_chain(_remembering(_events_of(lines, heads), digests))
            # Reads on to the heads behind a break, so that the report names both.
            deque(_remembering(_events_of(lines, heads), digests), maxlen=0)
    except (OSError, StopIteration, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"The export cannot be read: {error}.", field="file", hint="Export it again.") from error
    return _judge(result, digests, heads, check_signature)


def _events_of(lines: Iterator[str], heads: list[tuple[int, str, str]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        if "head" in row:
            heads.append((row["head"]["seq"], row["head"]["digest"], row["head"]["signature"]))
        else:
            yield row["event"]


def _remembering(rows: Iterator[dict[str, Any]], digests: dict[int, str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        digests[row["seq"]] = row["digest"]
        yield row


def _judge(
    result: ChainResult,
    digests: dict[int, str],
    heads: list[tuple[int, str, str]],
    check_signature: CheckSignature,
) -> Verification:
    problems = []
    if result.problem:
        problems.append(f"Event {result.problem.seq} {result.problem.problem}.")
    signed_up_to = 0
    for seq, digest, signature in heads:
        if not check_signature(head_statement(seq, digest), signature):
            problems.append(f"The signature of the head at event {seq} is not ours.")
        elif digests.get(seq) != digest:
            problems.append(f"Event {seq} was signed with another content, or is missing.")
        else:
            signed_up_to = max(signed_up_to, seq)
    if not heads:
        problems.append("No signed head: nothing proves that the record is complete.")
    return Verification(not problems, result.events, result.head, signed_up_to, tuple(problems))
