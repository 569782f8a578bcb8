"""Columns of a pandas frame as they lie in memory: dimensions as whole-number codes, values as plain numbers.

Decides which tables need no database: plain counts, sums, means and percentages over categories, text in Arrow's form,
whole numbers and booleans. For everything else the answer is None, and `sources` reads the data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from output_checks.evidence.spec import PERCENTS, TableSpec
from output_checks.evidence.unreadable import not_utf8
from output_checks.evidence.words import Labels, Room

if TYPE_CHECKING:
    import numpy as np

PLAIN = ("count", "sum", "mean", *PERCENTS)
MOST_LABELS = 4096
MOST_CELLS = 2**15 - 1
SLICE = 2**16
WORTH_A_THREAD = 2**19
MOST_THREADS = 8


@dataclass(frozen=True)
class Coded:
    """One dimension: a code per record (-1: missing), the text that each code stands for, the kind of the column."""

    codes: np.ndarray
    texts: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class InMemory:
    """The columns that a table needs; `values` is None where records are counted."""

    dimensions: tuple[Coded, ...]
    values: np.ndarray | None

    @property
    def sizes(self) -> list[int]:
        """Codes of each dimension, the missing one included."""
        return [len(dim.texts) + 1 for dim in self.dimensions]

    @property
    def rows(self) -> int:
        return len(self.dimensions[0].codes)


def in_memory(spec: TableSpec, data: Any) -> InMemory | None:
    """The columns of the table where they can be tallied as they are; None where a database is needed."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, pandas.DataFrame) or not _plain(spec) or not len(data):
        return None
    names = [*spec.dimensions, *([spec.values] if spec.values else [])]
    series = {}
    for name in names:
        found = data.get(name)
        if found is None or found.ndim != 1:
            return None
        series[name] = found
    values = _numbers(series[spec.values]) if spec.values else None
    if spec.values and values is None:
        return None
    dimensions, cells = [], 1
    for name in spec.dimensions:
        try:
            dim = _coded(pandas, series[name])
        except UnicodeDecodeError:
            raise not_utf8(name) from None
        if dim is None:
            return None
        cells *= len(dim.texts) + 1
        if cells > MOST_CELLS:
            return None
        dimensions.append(dim)
    return InMemory(tuple(dimensions), values)


def _plain(spec: TableSpec) -> bool:
    return spec.statistic in PLAIN and not (
        spec.unit or spec.holding or spec.weights or spec.where is not None or spec.hierarchies
    )


def _numbers(series: Any) -> Any:
    """The numbers of a column without a mask of its own (NaN: missing); None for any other column."""
    import numpy as np

    if not isinstance(series.dtype, np.dtype) or series.dtype.kind not in "fiub" or series.dtype.itemsize > 8:
        return None
    return series.to_numpy()


def _coded(pandas: Any, series: Any) -> Coded | None:
    import numpy as np

    dtype = series.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        labels = dtype.categories
        fits = labels.inferred_type == "string" and len(labels) <= MOST_LABELS
        return _within(Coded(series.array.codes, tuple(map(str, labels)), "enum")) if fits else None
    if isinstance(dtype, pandas.StringDtype) and dtype.storage == "pyarrow":
        return _text(series.array.__arrow_array__())
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return _within(Coded(series.to_numpy().view(np.int8), ("false", "true"), "bool"))
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return _whole(series.to_numpy())
    return None


def _within(dim: Coded) -> Coded | None:
    """Codes that come from elsewhere, if each of them stands for a label: adding up does not look at them again."""
    return dim if dim.codes.min() >= -1 and dim.codes.max() < len(dim.texts) else None


def _whole(numbers: Any) -> Coded | None:
    """Whole numbers that lie close together, counted from the least."""
    import numpy as np

    least, most = int(numbers.min()), int(numbers.max())
    if most - least >= MOST_LABELS or most >= 2**63:
        return None
    codes = np.empty(len(numbers), dtype=np.int16)
    for low in range(0, len(numbers), SLICE):
        codes[low : low + SLICE] = numbers[low : low + SLICE].astype(np.int64) - least
    return Coded(codes, tuple(map(str, range(least, most + 1))), "int")


def _text(chunks: Any) -> Coded | None:
    """Text in Arrow's form; None if there are too many labels. Looking up short labels is nothing that threads share,
    Arrow's own dictionary is.
    """
    import numpy as np

    codes, labels, parts = np.empty(len(chunks), dtype=np.int16), Labels(MOST_LABELS), _parts(chunks)

    def encode(some: Iterable[tuple[int, Any]]) -> None:
        room = Room()
        for start, part in some:
            if labels.too_many:
                return
            codes[start : start + len(part)] = labels.codes(part, room)

    rest = iter(parts)  # one iterator for all threads: taking the next is one step
    encode(islice(rest, 1))
    threads = 1 if labels.short else max(1, min(_cores(), MOST_THREADS, len(codes) // WORTH_A_THREAD))
    if threads == 1:
        encode(rest)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(encode, [rest] * threads))  # raises what a thread has raised
    return None if labels.too_many else Coded(codes, tuple(labels.code_of), "text")


def _parts(chunks: Any) -> list[tuple[int, Any]]:
    """Slices of chunked text that stay near the processor, each with the number of its first record."""
    parts, start = [], 0
    for chunk in chunks.chunks:
        for low in range(0, len(chunk), SLICE):
            parts.append((start + low, chunk.slice(low, SLICE)))
        start += len(chunk)
    return parts


def _cores() -> int:
    """Cores that this process may use; not every system can say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
