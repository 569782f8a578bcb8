"""One long table as a file of its own: its cells, and which of them add up to which.

Decides how a long CSV is read and which sums its reader knows. Leaves joining tables to `systems`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from output_checks.attack.bands import COUNT
from output_checks.errors import Unreadable
from output_checks.evidence.spec import PERCENTS, TOTAL
from output_checks.reading.published import TOTALS, PublishedCell, cell, read

if TYPE_CHECKING:
    import numpy as np

Name = tuple[tuple[str, str], ...]
Labels = tuple[str, ...]
Trees = Mapping[str, dict[str, str] | Sequence[int]]
MEASURES = ("value", COUNT, "sum", "mean", *PERCENTS)


@dataclass(frozen=True)
class LongTable:
    """A long table: dimensions, and for each cell its labels (total code for totals) and value (NaN: suppressed).

    measure   what cells hold, see `bands.Measure`          rows      how many of the dimensions are the rows side
    rounding  what was done to the values, "round:5"        totals    "shown": totals are of what is shown and say
              or "midpoint:6"                                         nothing more
    parents   per dimension label → parent                  half      half a unit of the last decimal that is shown
    """

    dimensions: tuple[str, ...]
    labels: tuple[Labels, ...]
    values: np.ndarray
    measure: str = "value"
    total: str = TOTAL
    parents: dict[str, dict[str, str]] | None = None
    rounding: str = ""
    totals: str = "true"
    rows: int = 1
    half: float | None = None


def read_long(
    path: str | Path | bytes,
    *,
    total: str = TOTAL,
    parents: Trees | None = None,
    rounding: str = "",
    totals: str = "true",
) -> LongTable:
    """A long CSV: all columns but the last are dimensions, the last (or the one called `value`) holds values.

    `parents` has per dimension label → parent, or the lengths of the prefixes that are parents. Raises Unreadable for
    anything that is not surely one table.
    """
    import numpy as np

    grid = read(path).grid
    if len(grid) < 2 or len(grid[0]) < 2:
        raise Unreadable("is no long table.", field="table", remedy="Write a column per dimension and one for values.")
    header = list(grid[0])
    at = header.index("value") if "value" in header else len(header) - 1
    dimensions = tuple(name for i, name in enumerate(header) if i != at)
    if len(set(dimensions)) != len(dimensions):
        raise Unreadable("two dimensions have one name.", field="table", remedy="Name every column once.")
    second = [name for name in dimensions if name.partition(":")[0] in MEASURES]
    if second:
        raise Unreadable(f"{second[0]!r} is a second column of values.", field="table", remedy="Write a file for each.")
    cells, labels = [], []
    for number, row in enumerate(grid[1:], start=2):
        cells.append(cell({}, row[at], (number, at + 1)))
        labels.append(tuple(text for i, text in enumerate(row) if i != at))
    _readable(cells)
    if len(set(labels)) != len(labels):
        raise Unreadable("holds a cell twice.", field="table", remedy="Write every cell once.")
    _total_is_known(dimensions, labels, total)
    values = np.array([np.nan if c.value is None else float(c.value) for c in cells])
    half = min((c.slack for c in cells if c.value is not None), default=None)
    up = {name: _parent_of(tree, name, dimensions, labels) for name, tree in (parents or {}).items()}
    return LongTable(
        dimensions, tuple(labels), values, header[at], total, up, rounding=rounding, totals=totals, half=half
    )


def _total_is_known(dimensions: tuple[str, ...], labels: list[Labels], total: str) -> None:
    """A total under another word would be taken for a label, and none of its sums would be seen."""
    for j, name in enumerate(dimensions):
        texts = {row[j] for row in labels}
        other = sorted(texts & set(TOTALS)) if total not in texts else []
        if other:
            raise Unreadable(
                f"{name!r} has the label {other[0]!r}, but the word for totals is {total!r}.",
                field="total",
                remedy="Give the table's own word for totals.",
            )


def _parent_of(
    tree: dict[str, str] | Sequence[int], name: str, dimensions: tuple[str, ...], labels: list[Labels]
) -> dict[str, str]:
    """Label → parent; by prefixes, the longest one that is a label itself."""
    if isinstance(tree, dict) or name not in dimensions:
        return dict(tree) if isinstance(tree, dict) else {}
    texts = {row[dimensions.index(name)] for row in labels}
    shorter = {t: [t[:n] for n in tree if n < len(t) and t[:n] in texts] for t in texts}
    return {text: prefixes[-1] for text, prefixes in shorter.items() if prefixes}


def _readable(cells: list[PublishedCell]) -> None:
    for c in cells:
        if not c.readable:
            raise Unreadable(f"line {c.place[0]} holds {c.text!r}.", field="table", remedy="Write numbers, or nothing.")


def said(table: LongTable) -> Iterator[tuple[Labels, float]]:
    """Labels and values of the cells that say something of the data."""
    tops = [set((table.parents or {}).get(name, {}).values()) | {table.total} for name in table.dimensions]
    for labels, value in zip(table.labels, table.values.tolist(), strict=True):
        is_total = any(text in top for text, top in zip(labels, tops, strict=True))
        if table.totals == "true" or not is_total:
            yield labels, value


def all_labels(tables: Sequence[LongTable]) -> dict[str, set[str]]:
    """Every label that some table uses, per dimension."""
    out: dict[str, set[str]] = {}
    for table in tables:
        for j, name in enumerate(table.dimensions):
            out.setdefault(name, set()).update(labels[j] for labels in table.labels if labels[j] != table.total)
    return out


def sums(table: LongTable, everything: dict[str, set[str]]) -> Iterator[tuple[list[Labels], Labels]]:
    """(parts, whole) for every sum: over one dimension at a time, level by level of its hierarchy; over several at once
    where a shown total has no shown parts one step below.

    Alone, a table's own totals are all that a reader has. Linked, totals that the table does not show are
    added for other tables to meet, but only over all labels that any table uses: part of a table has no total.
    """
    cells = dict.fromkeys(labels for labels, _ in said(table))
    shown, met = tuple(cells), set[Labels]()
    above = [_above(table, j, everything) for j in range(len(table.dimensions))]
    for j, name in enumerate(table.dimensions):
        for whole, parts in _groups(list(cells), above, (j,)).items():
            siblings = {t for t in everything.get(name, ()) if above[j][t] == whole[j]}
            if whole in cells or (siblings and siblings == {labels[j] for labels in parts}):
                cells.setdefault(whole)
                met.add(whole)
                yield parts, whole
    yield from _wider(shown, above, met)


def _wider(
    shown: Sequence[Labels], above: list[dict[str, str]], met: set[Labels]
) -> Iterator[tuple[list[Labels], Labels]]:
    """Totals over several dimensions at once."""
    tops = [set(up.values()) for up in above]
    left = {w for w in shown if w not in met and sum(t in top for t, top in zip(w, tops, strict=True)) > 1}
    for size in range(2, len(above) + 1):
        for over in combinations(range(len(above)), size):
            groups = _groups(shown, above, over) if left else {}
            yield from ((groups[whole], whole) for whole in sorted(left & groups.keys()))
            left -= groups.keys()


def _above(table: LongTable, j: int, everything: dict[str, set[str]]) -> dict[str, str]:
    """What each label of a dimension is part of: its parent, or the total; the total itself is part of nothing."""
    name = table.dimensions[j]
    parent_of = (table.parents or {}).get(name, {})
    labels = {*(labels[j] for labels in table.labels), *parent_of.values(), *everything.get(name, ())}
    return {text: parent_of.get(text, table.total) for text in labels - {table.total}}


def _groups(cells: Iterable[Labels], above: list[dict[str, str]], over: tuple[int, ...]) -> dict[Labels, list[Labels]]:
    """The cells by the cell that is one step up in the dimensions `over`."""
    out: dict[Labels, list[Labels]] = {}
    for labels in cells:
        if all(labels[j] in above[j] for j in over):
            whole = tuple(above[j][text] if j in over else text for j, text in enumerate(labels))
            out.setdefault(whole, []).append(labels)
    return out
