"""Which cells a table has: labels, levels of hierarchies, sets of totals and the numbering of cells.

Decides the order of labels and how a cell is named by one integer. Leaves the evidence inside cells to `evidence`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from output_checks.errors import BadInput
from output_checks.evidence.query import Dimension, Set
from output_checks.evidence.sources import Column, no_nan, string
from output_checks.evidence.spec import MISSING, TableSpec

if TYPE_CHECKING:
    import numpy as np

Label = str | int | float | bool | dt.date | dt.datetime | None


@dataclass(frozen=True)
class Axis:
    """One dimension of a finished table: its labels in order (None: missing), its kind, and each label's
    parent (None: the total).
    """

    name: str
    kind: str
    labels: tuple[Label, ...]
    parents: dict[Label, Label] = field(default_factory=dict)

    def text(self, code: int, total: str) -> str:
        """A label as written in files; code -1 is the total."""
        return total if code < 0 else label_text(self.labels[code])


def label_text(label: Label) -> str:
    """A label as text: dates as ISO, whole floats as `1.0`, booleans as `True`, missing as `(missing)`."""
    if label is None:
        return MISSING
    if isinstance(label, dt.datetime):
        return label.isoformat(sep=" ")
    return label.isoformat() if isinstance(label, dt.date) else str(label)


def parse_label(text: str, kind: str) -> Label:
    """The label that text means in a dimension of this kind; the text itself where it means none."""
    if text == MISSING:
        return None
    try:
        if kind == "int":
            number = float(text)
            return int(text) if text.lstrip("+-").isdigit() else (int(number) if number == int(number) else text)
        if kind == "float":
            return float(text) + 0.0
        if kind == "bool":
            return {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}.get(
                text.lower(), text
            )
        if kind in ("date", "time"):
            moment = dt.datetime.fromisoformat(text)
            return moment.date() if moment.time() == dt.time() else moment
    except (ValueError, OverflowError):
        return text
    return text


def dimension(spec: TableSpec, name: str, column: Column) -> Dimension:
    """The dimension in SQL, with one expression per level of its hierarchy."""
    plain = column.alias
    if column.kind == "float":
        plain = f"({no_nan(plain)} + 0.0)"
    tree = spec.hierarchies.get(name)
    if tree is None:
        return Dimension(name, (plain,))
    text = f"CAST({plain} AS VARCHAR)"
    if isinstance(tree, list):
        return Dimension(name, (*[f"left({text}, {n})" for n in tree], text))
    return Dimension(name, tuple(_tree_levels(tree, text)))


def _tree_levels(tree: dict[str, list[str]], text: str) -> list[str]:
    paths = _paths(tree)
    depth = max((len(path) for path in paths.values()), default=1)
    levels = []
    for level in range(depth - 1):
        cases = [
            f"WHEN {string(leaf)} THEN {string(path[level])}"
            for leaf, path in paths.items()
            if len(path) > level and path[level] != leaf
        ]
        levels.append(f"CASE {text} {' '.join(cases)} ELSE {text} END" if cases else text)
    return [*levels, text]


def _paths(tree: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every label with the way to it from the top."""
    parent_of = {child: parent for parent, children in tree.items() for child in children}
    paths = {}
    for label in {*tree, *parent_of}:
        path = [label]
        while path[0] in parent_of:
            path.insert(0, parent_of[path[0]])
        paths[label] = path
    return paths


def parents(spec: TableSpec, name: str, labels: tuple[Label, ...]) -> dict[Label, Label]:
    """Parent of each label; empty for a flat dimension."""
    tree = spec.hierarchies.get(name)
    if tree is None:
        return {}
    if isinstance(tree, dict):
        parent_of = {child: parent for parent, children in tree.items() for child in children}
        return {label: parent_of.get(str(label)) if label is not None else None for label in labels}
    out: dict[Label, Label] = {}
    for label in labels:
        shorter = [str(label)[:n] for n in tree if label is not None and n < len(str(label))]
        out[label] = shorter[-1] if shorter else None
    return out


def text_parents(axes: tuple[Axis, ...]) -> dict[str, dict[str, str]]:
    """Per hierarchical dimension label → parent, as text."""
    return {a.name: {str(c): str(p) for c, p in a.parents.items() if p is not None} for a in axes if a.parents}


def published_sets(spec: TableSpec, depths: list[int]) -> list[Set]:
    """The sets that the written table shows: the cells, then the totals that `margins` asks for."""
    inner = [list(range(depth - 1, -1, -1)) for depth in depths]
    if spec.margins == "all":
        return list(itertools.product(*[[*levels, -1] for levels in inner]))
    sets = list(itertools.product(*inner))
    if not spec.margins:
        return sets
    n = len(spec.rows)
    rows, columns = inner[:n], inner[n:]
    above = [(-1,) * len(rows)] if rows else []
    beside = [(-1,) * len(columns)] if columns else []
    if rows and columns:
        sets += [a + c for a in above for c in itertools.product(*columns)]
        sets += [r + b for r in itertools.product(*rows) for b in beside]
    sets.append((-1,) * len(depths))
    return list(dict.fromkeys(sets))


def supporting_sets(sets: list[Set], spec: TableSpec) -> list[Set]:
    """Further totals that rules and percentages need although the table does not show them."""
    n, extra = len(spec.rows), []
    for levels in sets:
        extra += [(*levels[:j], -1, *levels[j + 1 :]) for j in range(len(levels)) if levels[j] >= 0]
        extra += [levels[:n] + (-1,) * (len(levels) - n), (-1,) * n + levels[n:], (-1,) * len(levels)]
    return [levels for levels in dict.fromkeys(extra) if levels not in set(sets)]


def ordered_labels(column: Column, spec: TableSpec, name: str, found: set[str | None]) -> tuple[Label, ...]:
    """All labels of a dimension: the declared ones and those of a category first in their order, the others
    sorted.
    """
    kind = "text" if name in spec.hierarchies else column.kind
    typed: set[Label] = {None if text is None else parse_label(text, kind) for text in found}
    known: list[Label] = list(spec.categories.get(name, ()))
    if column.kind == "enum" and name not in spec.hierarchies:
        known += [label for label in column.labels if not spec.observed or label in typed]
    rest = [label for label in typed if label is not None and label not in known]
    try:
        rest.sort()
    except TypeError:
        rest.sort(key=str)
    return tuple(dict.fromkeys([*known, *rest, *([None] if None in typed else [])]))


def radices(axes: tuple[Axis, ...]) -> list[int]:
    """How codes become one integer per cell. Raises BadInput for a table that nobody could read."""
    sizes = [len(axis.labels) + 1 for axis in axes]
    product = 1
    for size in sizes:
        product *= size
    if product >= 2**62:
        raise BadInput("the table has too many cells.", field="rows", remedy="Use fewer or coarser dimensions.")
    return sizes


def cell_keys(codes: np.ndarray, axes: tuple[Axis, ...]) -> np.ndarray:
    """One integer per cell; codes (cells × dimensions) with -1 for totals."""
    import numpy as np

    keys = np.zeros(len(codes), dtype=np.int64)
    for j, size in enumerate(radices(axes)):
        keys = keys * size + (codes[:, j].astype(np.int64) + 1)
    return keys


def grid(codes: np.ndarray, rows: int, full: list[np.ndarray] | None) -> np.ndarray:
    """Codes of every row combination with every column combination; `full` gives all codes per dimension instead."""
    import numpy as np

    sides = []
    for part in (slice(0, rows), slice(rows, codes.shape[1])):
        if full is None:
            side = codes[:, part]  # one column needs no rows to be compared
            sides.append(np.unique(side)[:, None] if side.shape[1] == 1 else np.unique(side, axis=0))
        else:
            mesh = np.meshgrid(*full[part], indexing="ij") if full[part] else []
            sides.append(np.stack([m.ravel() for m in mesh], axis=1) if mesh else np.zeros((1, 0), dtype=codes.dtype))
    left, right = sides
    if len(left) * len(right) > 20_000_000:
        raise BadInput("the table has too many cells.", field="rows", remedy="Use fewer or coarser dimensions.")
    return np.concatenate([np.repeat(left, len(right), axis=0), np.tile(right, (len(left), 1))], axis=1)
