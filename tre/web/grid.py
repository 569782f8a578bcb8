"""A submitted table as HTML draws it: the cells as the platform read them, those with findings marked, changes marked.

Decides only where a finding belongs on the page; what is found is the checks' business. A finding that names no cell of
the grid stays in the list beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tre.outputs.views import FindingView

Grid = Sequence[Sequence[str]]
#: Worst first: a cell with several findings shows the worst.
SEVERITIES = ("fail", "review", "note")


@dataclass(frozen=True)
class Cell:
    """`mark` is the worst severity of its findings, `why` their rules in words; `before` what it was, if it changed."""

    text: str
    mark: str = ""
    why: str = ""
    before: str | None = None


@dataclass(frozen=True)
class Table:
    """`head` and the rows of one part; `total` rows in all, the part begins after `start` of them."""

    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    start: int = 0

    @property
    def more(self) -> int:
        return self.total - self.start - len(self.rows)


def table_of(
    grid: Grid, findings: Iterable[FindingView], *, start: int = 0, most: int = 100, before: Grid | None = None
) -> Table:
    """The part of a grid from body row `start` on; `before` is the same table of an earlier version."""
    marks = marks_of(grid, findings)
    width = label_width(grid, before) if before is not None else 1
    old = rows_by_label(before, width) if before is not None else None

    def cells(number: int) -> tuple[Cell, ...]:
        row = grid[number]
        was = old.get(tuple(row[:width]), ()) if old is not None and number > 0 else None
        return tuple(_cell(text, marks.get((number, column)), was, column) for column, text in enumerate(row))

    last = min(len(grid), 1 + start + most)
    head = cells(0) if grid else ()
    return Table(head, tuple(cells(number) for number in range(1 + start, last)), max(len(grid) - 1, 0), start)


def _cell(text: str, found: list[FindingView] | None, was: Sequence[str] | None, column: int) -> Cell:
    before = None
    if was is not None:
        old = was[column] if column < len(was) else ""
        before = old if old != text else None
    if not found:
        return Cell(text, before=before)
    mark = min((finding.severity for finding in found), key=_rank)
    return Cell(text, mark, ", ".join(dict.fromkeys(finding.rule.replace("_", " ") for finding in found)), before)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def marks_of(grid: Grid, findings: Iterable[FindingView]) -> dict[tuple[int, int], list[FindingView]]:
    """(row, column) → its findings; row 0 is the header."""
    found: dict[tuple[int, int], list[FindingView]] = {}
    for finding in findings:
        if finding.cell and grid:
            for place in places_of(grid, finding.cell):
                found.setdefault(place, []).append(finding)
    return found


def places_of(grid: Grid, cell: dict[str, Any]) -> list[tuple[int, int]]:
    """Where a named cell stands: by line and column, by the labels of its row, or by row label and column heading."""
    head = list(grid[0])
    labels = {str(name): str(value) for name, value in cell.items()}
    if labels.keys() == {"line", "column"}:
        return _by_line(grid, head, labels)
    in_row = {head.index(name): value for name, value in labels.items() if name in head}
    in_head = [value for name, value in labels.items() if name not in head]
    if in_head and not in_row:
        # The row dimension has no heading of its own: its labels stand in the first column.
        loose = [value for value in in_head if value not in head]
        in_row = {0: loose[0]} if len(loose) == 1 else {}
        in_head = [value for value in in_head if value in head]
    if not in_row or len(in_head) > 1:
        return []
    columns = [head.index(in_head[0])] if in_head and in_head[0] in head else []
    columns = columns if in_head else [column for column in range(len(head)) if column not in in_row]
    return [
        (number, column)
        for number, row in enumerate(grid)
        if number and all(at < len(row) and row[at] == value for at, value in in_row.items())
        for column in columns
        if column < len(row)
    ]


def _by_line(grid: Grid, head: list[str], labels: dict[str, str]) -> list[tuple[int, int]]:
    number = int(labels["line"]) - 1 if labels["line"].isdecimal() else -1
    column = head.index(labels["column"]) if labels["column"] in head else -1
    inside = 0 < number < len(grid) and 0 <= column < len(grid[number])
    return [(number, column)] if inside else []


def label_width(*grids: Grid) -> int:
    """How many first columns tell all body rows apart in every grid; all of them where that is never so."""
    widest = max((len(row) for grid in grids for row in grid), default=1)
    for width in range(1, widest):
        if all(len({tuple(row[:width]) for row in grid[1:]}) == len(grid[1:]) for grid in grids):
            return width
    return max(widest, 1)


def rows_by_label(grid: Grid, width: int) -> dict[tuple[str, ...], Sequence[str]]:
    """Body rows by their labels; of equal labels the first."""
    found: dict[tuple[str, ...], Sequence[str]] = {}
    for row in grid[1:]:
        found.setdefault(tuple(row[:width]), row)
    return found
