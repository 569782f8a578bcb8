"""One use case = one transaction = one audit event.

Decides that nothing changes without a record and that every refusal is recorded although its transaction is rolled
back. What a use case does, and which rules it asks, is left to the subjects' services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tre.audit.actor import Actor
from tre.audit.chain import GENESIS, event_digest, instant, plain
from tre.audit.model import AuditEvent, Outcome
from tre.errors import Refusal
from tre.store.database import Database

# Writers of the chain queue here, in the last moment before commit.
_CHAIN_LOCK = 0x7472655F6175
# Callers choose parts of a subject, and an index entry holds at most 2704 bytes.
_LONGEST_SUBJECT = 300


@dataclass
class UseCase:
    """What a service works with: the session, the moment, and the details that its event will carry."""

    session: Session
    actor: Actor
    action: str
    subject: str
    now: datetime
    detail: dict[str, Any] = field(default_factory=dict)
    silent: bool = False

    def note(self, **detail: Any) -> None:
        """Adds JSON values to the event, a refused one too. Never secrets, never rows of data."""
        self.detail.update(detail)

    def nothing_changed(self) -> None:
        """For a pass that found nothing to do: no event is written."""
        self.silent = True


@contextmanager
def use_case(db: Database, actor: Actor, action: str, subject: str) -> Iterator[UseCase]:
    """Runs the block in one transaction and writes its event at the end; on `Refusal` writes a refused event instead
    and re-raises.

    `action` reads noun.verb ("project.approve"), `subject` noun:name ("project:rand-cost").
    """
    case: UseCase | None = None
    try:
        with db.transaction() as session:
            case = UseCase(session, actor, action, subject, db.clock())
            yield case
            session.flush()
            if not case.silent:
                _append(session, case, Outcome.done, case.detail)
    except Refusal as refusal:
        detail = case.detail if case else {}
        record_refusal(db, actor, action, case.subject if case else subject, refusal, detail=detail)
        raise


def record_refusal(
    db: Database, actor: Actor, action: str, subject: str, refusal: Refusal, *, detail: Mapping[str, Any] | None = None
) -> None:
    """For refusals made outside a use case (an edge that did not even admit the caller). Told twice is written once."""
    if refusal.audited:
        return
    with db.transaction() as session:
        case = UseCase(session, actor, action, subject, db.clock())
        told = {"code": refusal.error_code, "message": refusal.message}
        _append(session, case, Outcome.refused, {**(detail or {}), **told})
    refusal.audited = True


def _append(session: Session, case: UseCase, outcome: Outcome, detail: dict[str, Any]) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    last = session.execute(select(AuditEvent.seq, AuditEvent.digest).order_by(AuditEvent.seq.desc()).limit(1)).first()
    event: dict[str, Any] = {
        "seq": last.seq + 1 if last else 1,
        "at": instant(case.now),
        "actor": plain(case.actor.username),
        "via": plain(case.actor.via),
        "action": plain(case.action),
        "subject": plain(case.subject)[:_LONGEST_SUBJECT],
        "outcome": str(outcome),
        "detail": plain(detail),
        "previous": last.digest if last else GENESIS,
    }
    digest = event_digest(event)
    session.add(AuditEvent(**{**event, "at": case.now}, digest=digest))
    session.flush()
