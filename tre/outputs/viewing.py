"""What a checker sees of a file: the table as we read it, the picture as we drew it, the text as it is.

Only output checkers without a tie see the content before it is released, and each look is on record. Nothing of the
author's is ever handed to a browser as it came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tre.audit import Actor, use_case
from tre.errors import Broken, Conflict
from tre.outputs import access, rules, steps
from tre.outputs.content.store import ContentStore
from tre.outputs.model import RequestFile
from tre.store import Database


@dataclass(frozen=True)
class FileContent:
    """One of `grid` (rows of texts, header first), `text` or `picture` (PNG of ours); none when it was unreadable."""

    name: str
    media_type: str
    sha256: str
    grid: tuple[tuple[str, ...], ...] | None = None
    text: str | None = None
    picture: bytes | None = None


def view_file(
    db: Database, store: ContentStore, actor: Actor, request_id: int, file: int, *, version: int | None = None
) -> FileContent:
    """The file at that place of the newest version, or of an earlier one. Raises `Broken` if what we kept was
    altered.
    """
    try:
        with use_case(db, actor, "request.view_file", access.subject_of(request_id)) as case:
            request = access.get(case.session, request_id)
            rules.check_review(actor, access.ties_of(case.session, request, actor.username))
            found = access.version_of(case.session, request, version)
            row = access.file_of(found, file)
            if found.checked_at is None:
                raise Conflict("The file is not checked yet.", hint="Wait for the checks.")
            case.note(version=found.number, file=row.position, sha256=row.digest)
            return _content(store, row)
    except Broken as error:
        steps.alarm(db, access.subject_of(request_id), error)
        raise


def _content(store: ContentStore, row: RequestFile) -> FileContent:
    # What is reviewed must still be what was handed in.
    store.read(row.digest)
    kept = json.loads(store.read(row.cells)) if row.cells else {}
    grid = tuple(map(tuple, kept["grid"])) if "grid" in kept else None
    picture = store.read(row.preview) if row.preview else None
    return FileContent(row.name, row.media_type, row.digest, grid, kept.get("text"), picture)
