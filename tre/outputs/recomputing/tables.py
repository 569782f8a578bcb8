"""A declared table made again: verified if every published cell is what the pinned data give.

The data's own protected unit is the unit of every table made from them, and a specification cannot loosen the house's
appetite. Whatever could not be computed is a blocking finding, never silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import duckdb

from output_checks import BadInput, OutputCheckError, TableSpec
from output_checks.evidence.sources import SETTINGS, quote
from output_checks.mitigation.report import compare_published
from output_checks.reading.published import Published
from output_checks.rules.findings import Finding
from tre.outputs.findings import blocked, bounded

from .memory import AsPublished, Memory, joint_findings

MAX_DIMENSIONS = 6
#: Ten times what a file may show: suppressed cells and totals need not be in it.
MAX_CELLS = 2_000_000
#: The file is not the table that it is said to be.
WRONG = frozenset({"mismatch", "unknown_cell", "unreadable_cell"})


@dataclass(frozen=True)
class Data:
    """One pinned dataset: a Parquet file or a folder of them, and the column of its protected unit."""

    path: Path
    unit: str | None


def compute(
    spec: dict[str, Any], cells: Sequence[Sequence[str]], data: Data, memory: Memory, profile: str
) -> tuple[bool, list[Finding]]:
    """Whether the cells are the table, and what there is to say of it; `memory` holds what is out on the data."""
    published = Published(tuple(map(tuple, cells)))
    try:
        table = house_spec(TableSpec.from_dict(spec), data)
        report = compare_published(table, data.path, published, profile)
        if any(found.rule in WRONG for found in report.findings):
            return False, bounded(report.findings)
        more = joint_findings(AsPublished(report, published), data.path, memory, profile)
    except OutputCheckError as error:
        return False, [blocked(str(error), "Correct the specification or write the table again.")]
    except (MemoryError, RecursionError) as error:
        return False, [blocked(f"The table cannot be computed ({type(error).__name__}).", "Make it smaller.")]
    return True, bounded([*report.findings, *more])


def house_spec(spec: TableSpec, data: Data) -> TableSpec:
    """The author's specification with the data's own protected unit.

    Raises OutputCheckError for a table beyond reading.
    """
    if len(spec.dimensions) > MAX_DIMENSIONS:
        raise BadInput(f"more than {MAX_DIMENSIONS} dimensions.", field="rows", remedy="Use fewer dimensions.")
    if cells_at_most(spec, data) > MAX_CELLS:
        raise BadInput(f"the table has more than {MAX_CELLS} cells.", field="rows", remedy="Use coarser dimensions.")
    return replace(spec, unit=data.unit) if data.unit else spec


def cells_at_most(spec: TableSpec, data: Data) -> int:
    """How many cells a declared table can have on these data, roughly: asked first, because the answer costs little and
    the table itself could take all the memory there is.
    """
    rows, labels = label_counts(data, spec.dimensions)
    sizes = {name: labels.get(name, 0) + len(spec.categories.get(name, ())) + 2 for name in spec.dimensions}
    sides = [prod(sizes[name] for name in side) for side in (spec.rows, spec.columns)]
    most = [min(side, rows + 2) for side in sides] if spec.observed and not spec.categories else sides
    return int(most[0] * most[1])


@lru_cache(maxsize=1000)
def label_counts(data: Data, names: tuple[str, ...]) -> tuple[int, dict[str, int]]:
    """Rows, and about how many labels each of the named columns has. The data are pinned, so they are asked once."""
    files = str(data.path / "*.parquet") if data.path.is_dir() else str(data.path)
    with duckdb.connect(config=SETTINGS) as connection:
        records = connection.read_parquet(files)
        known = [name for name in names if name in records.columns]
        asked = ", ".join(["count(*)", *(f"approx_count_distinct({quote(name)})" for name in known)])
        [(rows, *found)] = records.aggregate(asked).fetchall()
    return int(rows), dict(zip(known, map(int, found), strict=True))
