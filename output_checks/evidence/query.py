# ruff: noqa: S608 - every name in these queries is our own; constants are quoted by `sources`
"""The queries that gather evidence: one pass over the records, totals from the cells of that pass.

Decides the SQL. Leaves running it, completing empty cells and turning the answer into arrays to `evidence`.

A *set* says for each dimension at which level it is broken down (-1: totalled). Cells of every set come from
the finest ones, which is exact for counts, sums and largest contributions. With a protected unit or a holding
the finest rows are per contributor, so that one who appears in several cells is summed, and counted, once in
each total.
"""

from __future__ import annotations

from dataclasses import dataclass

Set = tuple[int, ...]


@dataclass(frozen=True)
class Dimension:
    """A dimension in SQL: its name and one expression per level, coarsest first; the last is the label itself."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """What the records are: dimensions, condition and the expressions of value, contributor and weight (None:
    absent).
    """

    dimensions: tuple[Dimension, ...]
    condition: str
    value: str | None = None
    contributor: str | None = None
    weight: str | None = None
    top: int = 2

    @property
    def keys(self) -> list[str]:
        return [f"k{j}_{i}" for j, dim in enumerate(self.dimensions) for i in range(len(dim.levels))]


def _records(r: Records) -> str:
    picks = [f"{sql} AS k{j}_{i}" for j, dim in enumerate(r.dimensions) for i, sql in enumerate(dim.levels)]
    if r.value:
        picks.append(f"{r.value} AS v")
    if r.contributor:
        picks.append(f"{r.contributor} AS u")
    if r.weight:
        picks.append(f"{r.weight} AS w")
    return f"SELECT {', '.join(picks)} FROM records WHERE {r.condition}"


def chosen(r: Records, levels: Set, keep: str = "") -> tuple[str, str]:
    """Select list and GROUP BY list of a set; `keep` is a prefix of the columns."""
    picks, groups = [], []
    for j, level in enumerate(levels):
        picks.append("NULL" if level < 0 else f"CAST({keep}k{j}_{level} AS VARCHAR)")
        if level >= 0:
            groups.append(f"{keep}k{j}_{level}")
    return ", ".join(f"{sql} AS d{j}" for j, sql in enumerate(picks)), ", ".join(groups)


def _grouped(select: str, table: str, groups: str) -> str:
    """Grouped; the grand total of no records is no row, as for any other cell."""
    return f"SELECT {select} FROM {table} " + (f"GROUP BY {groups}" if groups else "HAVING count(*) > 0")


def _fine(r: Records) -> str:
    """The one pass: additive evidence of the finest cells (per contributor where there is one)."""
    picks = list(r.keys)
    if r.contributor:
        picks.append("u")
    picks.append("count(*) AS records")
    weighted = "v * w" if r.weight else "v"
    if r.value:
        picks += ["count(v) AS n", f"sum({weighted}) AS s", "min(v) AS low", "max(v) AS high"]
        if not r.contributor:
            picks += [
                f"sum(abs({weighted})) AS a",
                f"max(abs({weighted}), {r.top}) AS t",
                "count(*) FILTER (v < 0) AS neg",
            ]
        if r.weight:
            picks.append("sum(w) FILTER (v IS NOT NULL) AS ws")
    elif r.weight:
        picks.append("sum(w) AS ws")
    keys = ", ".join(r.keys + (["u"] if r.contributor else []))
    return f"SELECT {', '.join(picks)} FROM src GROUP BY {keys}"


def _plain_set(r: Records, index: int, levels: Set) -> str:
    labels, groups = chosen(r, levels)
    picks = f"{index} AS s_, {labels}, sum(records) AS records"
    if r.value:
        picks += (
            ", sum(n) AS n, sum(n) AS units, sum(n) AS parts, sum(s) AS total, min(low) AS low, max(high) AS high, "
            "sum(a) AS total_abs, "
            f"list_slice(list_reverse_sort(flatten(list(t))), 1, {r.top}) AS t, sum(neg) AS neg"
        )
    else:
        picks += ", sum(records) AS n, sum(records) AS units"
    if r.weight:
        picks += ", sum(ws) AS ws"
    return _grouped(picks, "fine", groups)


def _contributor_set(r: Records, index: int, levels: Set) -> str:
    labels, groups = chosen(r, levels)
    names = [f"k{j}_{level}" for j, level in enumerate(levels) if level >= 0]
    inner = "sum(records) AS records"
    if r.value:
        inner += ", sum(n) AS n, sum(s) AS s, min(low) AS low, max(high) AS high"
    if r.weight:
        inner += ", sum(ws) AS ws"
    per = _grouped(", ".join([*names, "u", inner]), "fine", ", ".join([*filter(None, [groups]), "u"]))
    picks = f"{index} AS s_, {labels}, sum(records) AS records"
    if r.value:
        picks += (
            ", sum(n) AS n, count(*) FILTER (n > 0) AS units, count(*) FILTER (n > 0) AS parts, sum(s) AS total, "
            f"min(low) AS low, max(high) AS high, sum(abs(s)) AS total_abs, max(abs(s), {r.top}) AS t, "
            "count(*) FILTER (s < 0 OR low < 0) AS neg"
        )
    else:
        picks += ", sum(records) AS n, count(*) AS units"
    if r.weight:
        picks += ", sum(ws) AS ws"
    return _grouped(picks, f"({per})", groups)


def evidence_sql(r: Records, sets: list[Set]) -> str:
    """Additive evidence of every cell of every set: labels d0…, set number s_, counts, sums, largest
    contributions t1, t2 …
    """
    one = _contributor_set if r.contributor else _plain_set
    union = " UNION ALL ".join(one(r, i, levels) for i, levels in enumerate(sets))
    outer = [f"d{j}" for j in range(len(r.dimensions))] + ["s_", "records", "n", "units"]
    if r.value:
        outer += ["parts", "total", "low", "high", "total_abs", "neg"]
        outer += [f"coalesce(t[{i}], 0) AS t{i}" for i in range(1, r.top + 1)]
    if r.weight:
        outer.append("ws")
    doubles = {"total", "total_abs", "low", "high", "ws"}
    cast = [f"CAST({c} AS {'DOUBLE' if c in doubles else 'BIGINT'}) AS {c}" if _is_number(c) else c for c in outer]
    return (
        f"WITH src AS NOT MATERIALIZED ({_records(r)}), fine AS MATERIALIZED ({_fine(r)}) "
        f"SELECT {', '.join(cast)} FROM ({union})"
    )


def _is_number(name: str) -> bool:
    return " " not in name and not (name[0] == "d" and name[1:].isdigit())


def holistic_sql(r: Records, sets: list[Set], measure: str) -> str:
    """A statistic `x` that totals do not inherit from cells (median, std, extremes), per cell of every set,
    with the number of records (of contributors, where there are such) below it, equal to it and above it.
    """
    parts, who = [], "count(DISTINCT u)" if r.contributor else "count(*)"
    for i, levels in enumerate(sets):
        labels, groups = chosen(r, levels, "src.")
        names = [f"k{j}_{level}" for j, level in enumerate(levels) if level >= 0]
        inner = _grouped(", ".join([*names, f"{measure} AS x"]), "src", ", ".join(names))
        match = " AND ".join(f"src.{n} IS NOT DISTINCT FROM m.{n}" for n in names) or "TRUE"
        select = (
            f"{i} AS s_, {labels}, any_value(m.x) AS x, {who} FILTER (v < x) AS below, "
            f"{who} FILTER (v = x) AS ties, {who} FILTER (v > x) AS above"
        )
        parts.append(_grouped(select, f"src JOIN ({inner}) m ON {match}", groups))
    return f"WITH src AS NOT MATERIALIZED ({_records(r)}) " + " UNION ALL ".join(parts)


def mode_sql(r: Records, sets: list[Set]) -> str:
    """The commonest value `x` (the least of several), how often it occurs and how many values there are."""
    parts = []
    for i, levels in enumerate(sets):
        labels, groups = chosen(r, levels)
        names = [f"k{j}_{level}" for j, level in enumerate(levels) if level >= 0]
        keys = ", ".join([*names, "v"])
        who = "count(DISTINCT u)" if r.contributor else "count(*)"
        inner = f"SELECT {keys}, count(*) AS c, {who} AS who FROM src WHERE v IS NOT NULL GROUP BY {keys}"
        select = (
            f"{i} AS s_, {labels}, first(v ORDER BY c DESC, v) AS x, first(who ORDER BY c DESC, v) AS ties, "
            "sum(c) - max(c) AS below, 0 AS above"
        )
        parts.append(_grouped(select, f"({inner})", groups))
    return f"WITH src AS NOT MATERIALIZED ({_records(r)}) " + " UNION ALL ".join(parts)
