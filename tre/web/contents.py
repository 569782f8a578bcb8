"""What an output checker looks at: each file's content as the platform reads it, never the author's own bytes.

The looking itself, its rule and its record are `tre.outputs.viewing`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from tre.outputs.viewing import FileContent, view_file
from tre.outputs.views import FileView, RequestView
from tre.web.grid import Grid, Table, table_of
from tre.web.page import link
from tre.web.session import Visit

#: How much stands on the request's own page; each file has a page of its own for the rest.
INLINE_FILES = 20
INLINE_ROWS = 50
PAGE_ROWS = 500
INLINE_TEXT = 4000


@dataclass(frozen=True)
class Shown:
    """A file and, for those who may look at it, its content: one of `table`, `text` or `picture` (an address)."""

    file: FileView
    table: Table | None = None
    text: str | None = None
    picture: str = ""
    looked: bool = False

    @property
    def cut(self) -> bool:
        """More than this part belongs to the file."""
        return (self.table is not None and self.table.more > 0) or (
            self.text is not None and len(self.text) > INLINE_TEXT
        )


def shown_files(visit: Visit, view: RequestView) -> list[Shown]:
    """Every file of the request; the first ones with their content where the viewer may look."""
    may_look = "view" in view.actions
    return [
        shown(visit, view, file) if may_look and file.position <= INLINE_FILES else Shown(file) for file in view.files
    ]


def shown(visit: Visit, view: RequestView, file: FileView, *, start: int = 0, most: int = INLINE_ROWS) -> Shown:
    found = content_of(visit, view.id, file.position, view.version)
    table = table_of(found.grid, file.findings, start=start, most=most) if found.grid is not None else None
    picture = picture_address(visit, view, file) if found.picture is not None else ""
    return Shown(file, table, found.text, picture, True)


def content_of(visit: Visit, request: int, position: int, version: int) -> FileContent:
    platform = visit.platform
    return view_file(platform.db, platform.content, visit.actor, request, position, version=version)


def picture_address(visit: Visit, view: RequestView, file: FileView) -> str:
    path = link("requests", view.id, "files", file.position, "picture")
    return link(
        "requests", view.id, "files", file.position, "picture", version=view.version, key=visit.picture_key(path)
    )


@dataclass(frozen=True)
class Compared:
    """One file name in two versions. `change` is new, removed, changed or unchanged."""

    name: str
    change: str
    now: FileView | None
    before: FileView | None
    table: Table | None = None
    picture: str = ""
    picture_before: str = ""
    text: str | None = None
    text_before: str | None = None


def compared(visit: Visit, new: RequestView, old: RequestView) -> list[Compared]:
    """Every file of both versions, by name; the content only of what changed."""
    before = {file.name: file for file in old.files}
    names = [*(file.name for file in new.files), *(name for name in before if name not in {f.name for f in new.files})]
    by_name = {file.name: file for file in new.files}
    return [compare_file(visit, new, old, by_name.get(name), before.get(name)) for name in names[: 2 * INLINE_FILES]]


def compare_file(
    visit: Visit, new: RequestView, old: RequestView, now: FileView | None, before: FileView | None
) -> Compared:
    name = now.name if now else before.name if before else ""
    if now is None:
        return Compared(name, "removed", None, before)
    if before is None:
        return Compared(name, "new", now, None)
    if now.sha256 == before.sha256:
        return Compared(name, "unchanged", now, before)
    mine, theirs = content_of(visit, new.id, now.position, new.version), _old_content(visit, old, before)
    table = None
    if mine.grid is not None:
        old_grid: Grid = theirs.grid or () if theirs else ()
        table = table_of(mine.grid, now.findings, most=PAGE_ROWS, before=old_grid)
    return Compared(
        name,
        "changed",
        now,
        before,
        table,
        picture_address(visit, new, now) if mine.picture is not None else "",
        picture_address(visit, old, before) if theirs and theirs.picture is not None else "",
        mine.text,
        theirs.text if theirs else None,
    )


def _old_content(visit: Visit, old: RequestView, file: FileView) -> FileContent | None:
    """None for a version that the checks never finished."""
    if not file.status:
        return None
    return content_of(visit, old.id, file.position, old.version)
