"""Which content is still wanted: what some version, cell table, preview or release names; all else is orphaned.

Evidence is never collected: what was once submitted stays, also when it was returned, rejected or recalled. Orphans are
what arrived and never became a request, and what a killed step made twice. Decides also how collecting and naming keep
out of each other's way: by a lock of the database, since the places where content lies have none that all of them know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, use_case
from tre.errors import Unavailable
from tre.outputs.content.store import GRACE_SECONDS, ContentStore
from tre.outputs.model import Release, RequestFile
from tre.store import Database

#: Digests asked about in one statement; the wire has room for 65535 values.
BATCH = 1000
#: Removed at once: whoever names content waits meanwhile.
MOST = 500
_LOCK = 0x7472655F6374


def hold(session: Session) -> None:
    """From here to the end of the transaction nothing is collected: whoever names content looks after this whether it
    is still there.
    """
    session.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


def hold_made(session: Session, store: ContentStore, digests: Iterable[str | None]) -> None:
    """The same for what a step made just now. Raises `Unavailable` where an old orphan of the same bytes was collected
    meanwhile: the next attempt makes it again.
    """
    hold(session)
    for digest in digests:
        if digest is not None and store.size(digest) is None:
            raise Unavailable(f"The content {digest} was collected meanwhile.", hint="It is made again by itself.")


def wanted(session: Session, digests: Collection[str]) -> set[str]:
    """Those of the digests that something refers to."""
    columns = (RequestFile.digest, RequestFile.cells, RequestFile.preview, Release.digest)
    named = union(*[select(column.label("digest")).where(column.in_(digests)) for column in columns])
    return set(session.scalars(named))


def collect_orphans(db: Database, store: ContentStore, *, grace_seconds: float = GRACE_SECONDS) -> int:
    """Removes orphans older than the grace, some at a time; how many. Writes one event if there were any."""
    seeming = list(islice(_orphans(db, store, grace_seconds), MOST))
    if not seeming:
        return 0
    removed: list[str] = []
    with use_case(db, SYSTEM, "content.collect", "content:orphans") as case:
        case.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        # Only now nobody can be naming them.
        doomed = sorted(set(seeming) - wanted(case.session, seeming))
        store.remove(doomed, removed=removed.append)
        case.note(removed=len(removed))
        if not removed:
            case.nothing_changed()
        return len(removed)


def _orphans(db: Database, store: ContentStore, grace_seconds: float) -> Iterator[str]:
    old = store.older(grace_seconds)
    while batch := list(islice(old, BATCH)):
        with db.read() as session:
            named = wanted(session, batch)
        yield from (digest for digest in batch if digest not in named)
