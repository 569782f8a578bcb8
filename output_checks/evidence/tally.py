"""One pass over columns in memory: the additive evidence of every cell, exact, at the speed of adding up.

Decides how counts, sums, largest contributions and extremes are kept while records go by, and how totals follow from
the finest cells. Gives what the query of `query` gives, under the same names. Leaves which columns can be
tallied to `columns`.

Largest and least values are looked for only among records that could change them: those beyond the
weakest one that is kept. After a few thousand records hardly any is left. In a large table another thread adds up the
next records meanwhile; always one does, in the order of the records, so that sums are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from output_checks.evidence.adding import Adder, adder
from output_checks.evidence.columns import InMemory
from output_checks.evidence.query import Set

if TYPE_CHECKING:
    import numpy as np

FIRST, MOST = 2**12, 2**18
WORTH_A_THREAD = 2**20
Slice = tuple[Any, Any]


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

    def add(self, at: np.ndarray, values: np.ndarray | None, counts: np.ndarray, added: np.ndarray) -> None:
        """Records of the cells `at`, with their counts and sums by cell; NaN is a missing value."""
        import numpy as np

        self.records += counts
        if values is None:
            return
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

    def _largest(self, at: Any, sizes: Any, floor: float) -> None:
        rows = (sizes > floor).nonzero()[0]
        if len(rows) * 5 > len(sizes):
            rows = (sizes > self.tops[-1][at]).nonzero()[0]
        cells, found = at[rows], sizes[rows]
        keep = found > self.tops[-1][cells]
        rank_in(self.tops, cells[keep], found[keep])

    def _below(self, at: Any, values: Any, ceiling: float) -> Any:
        """Records that may be the least of their cells; among them is any negative value, as long as none was met."""
        rows = (values < ceiling).nonzero()[0]
        return rows if len(rows) * 5 <= len(values) else (values < self.low[at]).nonzero()[0]

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
    found = Tally(size, top, data.rows)
    slices = _slices(data, data.sizes)
    for at, values, counts, added in _added(slices, adder(size, data.rows), data.rows >= WORTH_A_THREAD):
        found.add(at, values, counts, added)
    return found


def _added(slices: Iterator[Slice], adding: Adder, threaded: bool) -> Iterator[tuple[Any, ...]]:
    """Each slice with its counts and sums by cell. A thread works on the next one while the caller has one in hand."""
    if not threaded:
        for at, values in slices:
            yield at, values, *_counted(adding, at, values)
        return
    with ThreadPoolExecutor(1) as thread:
        held: tuple[Any, ...] | None = None
        for at, values in slices:
            following = at, values, thread.submit(_counted, adding, at, values)
            if held:
                yield *held[:2], *held[2].result()
            held = following
        if held:
            yield *held[:2], *held[2].result()


def _counted(adding: Adder, at: np.ndarray, values: np.ndarray | None) -> tuple[Any, Any]:
    return adding.counts(at), None if values is None else adding.sums(at, values)


def _slices(data: InMemory, sizes: list[int]) -> Iterator[Slice]:
    """The cell and the value of each record, in slices that stay near the processor; the first ones small, as long as
    nearly every record is among the largest so far. A slice's cells hold until the one after the next is asked for.
    """
    import numpy as np

    missing_shift = sum(int(np.prod(sizes[j + 1 :])) for j in range(len(sizes)))  # code -1 is number 0
    most = min(MOST, data.rows)
    room = np.empty(most, dtype=np.int16)
    cell, spare = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    start, length = 0, FIRST
    while start < data.rows:
        stop = min(data.rows, start + length)
        numbers, at = room[: stop - start], cell[: stop - start]
        numbers[:] = data.dimensions[0].codes[start:stop]
        for dim, many in zip(data.dimensions[1:], sizes[1:], strict=True):
            numbers *= many
            numbers += dim.codes[start:stop]
        numbers += missing_shift
        at[:] = numbers
        yield at, None if data.values is None else np.asarray(data.values[start:stop], dtype=float)
        cell, spare = spare, cell
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
