"""Which content is still wanted: what some version, cell table, preview or release names; all else is orphaned.

Evidence is never collected: what was once submitted stays, also when it was returned, rejected or recalled. Orphans are
what arrived and never became a request, and what a killed step made twice.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, use_case
from tre.outputs.content import GRACE_SECONDS, ContentStore
from tre.outputs.model import Release, RequestFile
from tre.store import Database


def wanted(session: Session, digests: Collection[str]) -> set[str]:
    """Those of the digests that something refers to."""
    columns = (RequestFile.digest, RequestFile.cells, RequestFile.preview, Release.digest)
    named = union(*[select(column.label("digest")).where(column.in_(digests)) for column in columns])
    return set(session.scalars(named))


def collect_orphans(db: Database, store: ContentStore, *, grace_seconds: float = GRACE_SECONDS) -> int:
    """Removes orphans older than the grace; how many. Writes one event if there were any."""
    with use_case(db, SYSTEM, "content.collect", "content:orphans") as case:
        removed = store.collect(lambda digests: wanted(case.session, digests), grace_seconds=grace_seconds)
        case.note(removed=len(removed))
        if not removed:
            case.nothing_changed()
        return len(removed)
