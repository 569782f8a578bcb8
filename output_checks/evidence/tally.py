"""One pass over columns in memory: the additive evidence of every cell, exact, at the speed of adding up.

Decides how counts, sums, largest contributions and extremes are kept while records go by, and how totals follow from
the finest cells. Gives what the query of `query` gives, under the same names. Leaves which columns can be
tallied to `columns`.

Largest and least values are looked for only among records that could change them: those beyond the
weakest one that is kept. After a few thousand records hardly any is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from output_checks.evidence.adding import adder
from output_checks.evidence.columns import InMemory
from output_checks.evidence.query import Set

if TYPE_CHECKING:
    import numpy as np

FIRST, MOST = 2**12, 2**18
#: From so many records on, two threads share them. The halves are the same on every machine, and so are the sums.
WORTH_SHARING = 2**21


class Tally:
    """Evidence of `size` cells so far: records, missing values, total, `tops` (largest sizes, one row a rank), low."""

    def __init__(self, size: int, top: int, rows: int = 0) -> None:
        import numpy as np

        self.size, self.adder = size, adder(size, rows)
        self.records, self.missing, self.neg = (np.zeros(size, dtype=np.int64) for _ in range(3))
        self.total, self.low = np.zeros(size), np.full(size, np.inf)
        self.tops = np.zeros((top, size))
        self.total_abs, self.high = self.total, self.tops[0]
        self.signed = False

    def add(self, at: np.ndarray, values: np.ndarray | None) -> None:
        """Records of the cells `at`; NaN is a missing value."""
        import numpy as np

        self.records += self.adder.counts(at)
        if values is None:
            return
        values = np.asarray(values, dtype=float)
        added = self.adder.sums(at, values)
        if np.isnan(added.sum()):  # a missing value, or infinite ones
            there = values == values
            self.missing += self.adder.counts(at[~there])
            at, values = at[there], values[there]
            added = self.adder.sums(at, values)
        met = self.records > self.missing
        if not met.any():
            return
        below = self._below(at, values, float(self.low[met].max()))
        sizes = self._signed(at, values) if self.signed or (values[below] < 0).any() else values
        self.total += added
        np.minimum.at(self.low, at[below], values[below])
        self._largest(at, sizes, float(self.tops[-1][met].min()))

    def _signed(self, at: Any, values: Any) -> Any:
        """From the first negative value on, sizes and values are two things."""
        import numpy as np

        self._part_signs()
        sizes = np.abs(values)
        self.total_abs += self.adder.sums(at, sizes)
        self.neg += self.adder.counts(at[values < 0])
        np.maximum.at(self.high, at, values)
        return sizes

    def _part_signs(self) -> None:
        import numpy as np

        if not self.signed:
            self.signed, self.total_abs, self.high = True, self.total.copy(), self.tops[0].copy()
            self.high[self.low == np.inf] = -np.inf

    def join(self, other: Tally) -> None:
        """Take over the evidence of other records of the same cells."""
        import numpy as np

        if self.signed or other.signed:
            self._part_signs()
            other._part_signs()
            self.total_abs += other.total_abs
            np.maximum(self.high, other.high, out=self.high)
        for mine, theirs in zip(self._sums(), other._sums(), strict=True):
            mine += theirs
        np.minimum(self.low, other.low, out=self.low)
        for row in other.tops:
            rank_in(self.tops, np.arange(self.size), row.copy())

    def _sums(self) -> tuple[np.ndarray, ...]:
        return self.records, self.missing, self.neg, self.total

    def _largest(self, at: Any, sizes: Any, floor: float) -> None:
        import numpy as np

        few = sizes > floor
        if np.count_nonzero(few) * 5 > len(few):
            few = sizes > self.tops[-1].take(at)
        rows = few.nonzero()[0]
        cells, found = at[rows], sizes[rows]
        keep = found > self.tops[-1][cells]
        rank_in(self.tops, cells[keep], found[keep])

    def _below(self, at: Any, values: Any, ceiling: float) -> Any:
        """Records that may be the least of their cells; among them is any negative value, as long as none was met."""
        import numpy as np

        few = values < ceiling
        if np.count_nonzero(few) * 5 > len(few):
            few = values < self.low.take(at)
        return few.nonzero()[0]

    def columns(self, cells: np.ndarray, group: np.ndarray, m: int) -> dict[str, Any]:
        """Evidence of m groups of cells (`group` per entry of `cells`), named as the query names it."""
        import numpy as np

        def added(amounts: Any) -> Any:
            return np.bincount(group, amounts[cells], m)

        out = {"records": added(self.records).astype(np.int64)}
        n = out["records"] - added(self.missing).astype(np.int64)
        out |= {"n": n, "units": n, "parts": n, "neg": added(self.neg).astype(np.int64)}
        low, high = np.full(m, np.inf), np.full(m, -np.inf)
        np.minimum.at(low, group, self.low[cells])
        there = self.records[cells] > self.missing[cells]
        np.maximum.at(high, group[there], self.high[cells[there]])
        sums = {"total": added(self.total), "total_abs": added(self.total_abs), "low": low, "high": high}
        out |= {name: np.where(n > 0, column, np.nan) for name, column in sums.items()}
        tops = np.zeros((len(self.tops), m))
        for row in self.tops:
            rank_in(tops, group, row[cells])
        return out | {f"t{i + 1}": row for i, row in enumerate(tops)}


def rank_in(tops: np.ndarray, cells: np.ndarray, sizes: np.ndarray) -> None:
    """Contributions that may be among the largest of their cells, put in their place; `tops` has one row a rank.

    In each rank the largest newcomer of a cell takes the place, if it is larger; what it displaces tries the next.
    `sizes` is used up.
    """
    import numpy as np

    winner = np.empty(tops.shape[1], dtype=np.int64)
    for row in tops:
        best = row.copy()
        np.maximum.at(best, cells, sizes)
        last = ((sizes == best[cells]) & (sizes > row[cells])).nonzero()[0]
        winner[cells[last]] = last
        won = last[winner[cells[last]] == last]
        row[cells[won]], sizes[won] = sizes[won], row[cells[won]]


def tally(data: InMemory, sets: list[Set], *, missing: bool, top: int) -> dict[str, Any] | None:
    """The evidence of every cell of every set, named and ordered as `evidence_sql` has it; `missing` says whether
    records with a missing dimension count. None if infinite values are met.
    """
    import numpy as np

    sizes = data.sizes
    size = int(np.prod(sizes))

    found = _tallied(data, size, top)
    if data.values is not None and not (np.isfinite(found.tops).all() and (found.low > -np.inf).all()):
        return None
    cells = found.records.nonzero()[0]
    codes = np.stack(np.unravel_index(cells, sizes), axis=1) - 1
    if not missing:
        known = (codes >= 0).all(axis=1)
        cells, codes = cells[known], codes[known]
    parts = [_set(data, found, cells, codes, i, levels) for i, levels in enumerate(sets)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _tallied(data: InMemory, size: int, top: int) -> Tally:
    if data.rows < WORTH_SHARING:
        return _part(data, size, top, 0, data.rows)
    middle = data.rows // 2
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(_part, data, size, top, middle, data.rows)
        first = _part(data, size, top, 0, middle)
    first.join(second.result())
    return first


def _part(data: InMemory, size: int, top: int, start: int, stop: int) -> Tally:
    found = Tally(size, top, data.rows)
    for at, values in _slices(data, data.sizes, start, stop):
        found.add(at, values)
    return found


def _slices(data: InMemory, sizes: list[int], start: int, end: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The cell and the value of each record, in slices that stay near the processor; the first ones small, as long as
    nearly every record is among the largest so far.
    """
    import numpy as np

    missing_shift = sum(int(np.prod(sizes[j + 1 :])) for j in range(len(sizes)))  # code -1 is number 0
    room, cell = np.empty(MOST, dtype=np.int16), np.empty(MOST, dtype=np.int32)
    length = FIRST
    while start < end:
        stop = min(end, start + length)
        numbers, at = room[: stop - start], cell[: stop - start]
        numbers[:] = data.dimensions[0].codes[start:stop]
        for dim, many in zip(data.dimensions[1:], sizes[1:], strict=True):
            numbers *= many
            numbers += dim.codes[start:stop]
        numbers += missing_shift
        at[:] = numbers
        yield at, None if data.values is None else data.values[start:stop]
        start, length = stop, min(MOST, 2 * length)


def _set(data: InMemory, found: Tally, cells: Any, codes: Any, number: int, levels: Set) -> dict[str, Any]:
    """One set: the finest cells added up over the dimensions that it totals."""
    import numpy as np

    kept = [j for j, level in enumerate(levels) if level >= 0]
    keys = np.zeros(len(cells), dtype=np.int64)
    for j in kept:
        keys = keys * data.sizes[j] + codes[:, j] + 1
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    m = len(first)
    out: dict[str, Any] = {"s_": np.full(m, number, dtype=np.int64)}
    for j, dim in enumerate(data.dimensions):
        texts = np.array([*dim.texts, None], dtype=object)
        out[f"d{j}"] = texts[codes[first, j]] if j in kept else np.full(m, None, dtype=object)
    more = found.columns(cells, group, m)
    if data.values is None:
        more = {name: more[name] if name == "records" else more["records"] for name in ("records", "n", "units")}
    return out | more
