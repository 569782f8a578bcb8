"""Evidence: what must be known of every cell before a rule can speak.

Decides how records become arrays with one entry per cell and total. Leaves judging to `rules` and the SQL to `query`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from typing import Any

from output_checks.errors import BadInput
from output_checks.evidence.cells import Cells, Evidence
from output_checks.evidence.columns import in_memory
from output_checks.evidence.frames import NoColumn
from output_checks.evidence.layout import (
    Axis,
    cell_keys,
    dimension,
    grid,
    ordered_labels,
    parents,
    parse_label,
    published_sets,
    supporting_sets,
)
from output_checks.evidence.query import Records, Set, evidence_sql, holistic_sql, mode_sql
from output_checks.evidence.sources import Column, Source, attach, no_nan
from output_checks.evidence.spec import EXTREMES, SHAPES, TableSpec
from output_checks.evidence.tally import tally
from output_checks.evidence.values import finish


def gather(spec: TableSpec, data: Any, *, top: int = 2) -> Evidence:
    """Evidence of the table `spec` on `data`; `top` is how many largest contributions are kept."""
    quick = _in_memory(spec, data, max(top, 2))
    if quick is not None:
        return quick
    source = _attach(spec, data)
    records = _records(spec, source, top)
    sets = published_sets(spec, [len(dim.levels) for dim in records.dimensions])
    every = sets + supporting_sets(sets, spec)
    raw = source.run(evidence_sql(records, every))
    axes, codes, cells = _table(spec, source.columns, raw, sets, every)
    columns = _spread(raw, axes, codes, cells.keys)
    if spec.unit and spec.holding:
        units = source.run(evidence_sql(_records(spec, source, top, by_unit=True), every))
        columns["units"] = _answered(units, axes, every, cells.keys)["units"]
    columns.update(_holistic(spec, source, records, every, axes, cells.keys))
    return finish(spec, axes, cells, columns, records.top)


def _in_memory(spec: TableSpec, data: Any, top: int) -> Evidence | None:
    """The evidence without a database, where the frame and the table are simple enough."""
    held = in_memory(spec, data)
    if held is None:
        return None
    sets = published_sets(spec, [1] * len(held.dimensions))
    every = sets + supporting_sets(sets, spec)
    raw = tally(held, every, missing=spec.missing == "keep", top=top)
    if raw is None:
        return None
    columns = {
        name: Column(name, dim.kind, "", dim.texts if dim.kind == "enum" else ())
        for name, dim in zip(spec.dimensions, held.dimensions, strict=True)
    }
    axes, codes, cells = _table(spec, columns, raw, sets, every)
    return finish(spec, axes, cells, _spread(raw, axes, codes, cells.keys), top)


def _table(
    spec: TableSpec, columns: dict[str, Column], raw: dict[str, Any], sets: list[Set], every: list[Set]
) -> tuple[tuple[Axis, ...], Any, Cells]:
    """Axes, the code of every answered row in each dimension, and all cells."""
    import numpy as np

    texts = [_texts(raw[f"d{j}"]) for j in range(len(spec.dimensions))]
    axes = _axes(spec, columns, raw["s_"].tolist(), texts, every)
    codes = _codes(axes, raw["s_"], texts, every)
    return axes, codes, _complete(spec, axes, codes, np.asarray(raw["s_"]), sets, every)


def _attach(spec: TableSpec, data: Any) -> Source:
    used = spec.where.columns() if spec.where else ()
    names = [*spec.dimensions, spec.values, spec.unit, spec.holding, spec.weights, *used]
    text = tuple(name for name in spec.dimensions if name not in used and name != spec.values)
    try:
        return attach(data, tuple(name for name in names if name), text_dimensions=text)
    except NoColumn as problem:
        raise BadInput(problem.message, field=_key_of(spec, problem.name), remedy=problem.remedy) from None


def _key_of(spec: TableSpec, name: str) -> str:
    """The specification's key that names a column."""
    lists = {"rows": spec.rows, "columns": spec.columns}
    single = {key: (getattr(spec, key),) for key in ("values", "unit", "holding", "weights")}
    return next((key for key, names in {**lists, **single}.items() if name in names), "where")


def _records(spec: TableSpec, source: Source, top: int, by_unit: bool = False) -> Records:
    dimensions = tuple(dimension(spec, name, source.columns[name]) for name in spec.dimensions)
    conditions = [source.filter_sql(spec.where)]
    if spec.missing == "drop":
        conditions += [f"{dim.levels[-1]} IS NOT NULL" for dim in dimensions]
    condition = " AND ".join(conditions)
    weight = _number(source, spec.weights, "weights") if spec.weights else None
    if weight:
        strange = f"{weight} IS NULL OR {weight} < 0 OR {weight} = 'inf'"
        bad = source.one(f"SELECT count(*) FILTER ({strange}) FROM records WHERE {condition}")  # noqa: S608
        if bad:
            raise BadInput(f"{bad} records have no weight.", field="weights", remedy="Every weight is a number from 0.")
    contributor = spec.unit if by_unit else spec.holding or spec.unit
    return Records(
        dimensions=dimensions,
        condition=condition,
        value=_value(spec, source),
        contributor=source.columns[contributor].alias if contributor else None,
        weight=weight,
        top=max(top, 2),
    )


def _value(spec: TableSpec, source: Source) -> str | None:
    if spec.values is None:
        return None
    if source.columns[spec.values].kind in ("text", "enum", "date", "time"):
        if spec.statistic == "mode" or spec.count_like:
            return f"CASE WHEN {source.columns[spec.values].alias} IS NULL THEN NULL ELSE 0.0 END"
        raise BadInput(f"{spec.values!r} is no number.", field="values", remedy="Choose a numeric variable.")
    return _number(source, spec.values, "values")


def _number(source: Source, name: str, field_name: str) -> str:
    column = source.columns[name]
    if column.kind == "float":
        return f"CAST({no_nan(column.alias)} AS DOUBLE)"
    if column.kind in ("int", "bool"):
        return f"CAST({column.alias} AS DOUBLE)"
    raise BadInput(f"{name!r} is no number.", field=field_name, remedy="Choose a numeric column.")


def _texts(values: Any) -> list[str | None]:
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        values = np_objects(values)
    items = values.tolist() if values.dtype == object else values  # numbers and dates keep numpy's own spelling
    return [None if text is None or text != text else str(text) for text in items]


def _axes(
    spec: TableSpec, columns: dict[str, Column], sets: list[int], texts: list[list[str | None]], every: list[Set]
) -> tuple[Axis, ...]:
    axes = []
    for j, name in enumerate(spec.dimensions):
        shown = [levels[j] >= 0 for levels in every]
        found = {text for text, s in zip(texts[j], sets, strict=True) if shown[s]}
        labels = ordered_labels(columns[name], spec, name, found)
        kind = "text" if name in spec.hierarchies else columns[name].kind
        axes.append(Axis(name, kind, labels, parents(spec, name, labels)))
    return tuple(axes)


def _codes(axes: tuple[Axis, ...], sets: Any, texts: list[list[str | None]], every: list[Set]) -> Any:
    """Code of every answered row in each dimension, -1 where its set totals the dimension."""
    import numpy as np

    sets = np.asarray(sets, dtype=np.int64)
    out = np.full((len(sets), len(axes)), -1, dtype=np.int32)
    for j, axis in enumerate(axes):
        shown = np.array([levels[j] >= 0 for levels in every])[sets]
        code_of = {label: i for i, label in enumerate(axis.labels)}
        here = list(compress(texts[j], shown.tolist()))
        cache = {text: code_of[None if text is None else parse_label(text, axis.kind)] for text in set(here)}
        out[shown, j] = [cache[text] for text in here]
    return out


def _answered(raw: dict[str, Any], axes: tuple[Axis, ...], every: list[Set], keys: Any) -> dict[str, Any]:
    """The columns of a further query in the order of `keys`."""
    texts = [_texts(raw[f"d{j}"]) for j in range(len(axes))]
    return _spread(raw, axes, _codes(axes, raw["s_"], texts, every), keys)


def _complete(
    spec: TableSpec, axes: tuple[Axis, ...], codes: Any, of_set: Any, sets: list[Set], every: list[Set]
) -> Cells:
    """All cells in the order of publication: answered ones and the empty cells between them."""
    import numpy as np

    crossed = bool(spec.rows and spec.columns) or not spec.observed or bool(spec.categories)
    parts, shown = [], []
    for i, levels in enumerate(every):
        part = codes[of_set == i]
        if crossed and i < len(sets) and (len(part) or spec.categories):
            part = grid(part, len(spec.rows), _full(spec, axes, levels, part))
        parts.append(part[np.lexsort(part.T[::-1])] if len(part) else part)
        shown.append(np.full(len(part), i < len(sets)))
    merged, published = np.concatenate(parts), np.concatenate(shown)
    keys = cell_keys(merged, axes)
    _, first = np.unique(keys, return_index=True)
    first.sort()
    return Cells(merged[first], keys[first], published[first])


def _full(spec: TableSpec, axes: tuple[Axis, ...], levels: Set, part: Any) -> list[Any] | None:
    """Every code of each dimension at this set, where categories nobody has are cells, too."""
    import numpy as np

    if spec.observed and not spec.categories:
        return None
    full = []
    for j, axis in enumerate(axes):
        if levels[j] < 0:
            full.append(np.array([-1], dtype=np.int32))
        elif axis.name in spec.hierarchies:
            full.append(np.unique(part[:, j]))
        else:
            full.append(np.arange(len(axis.labels), dtype=np.int32))
    return full


def _spread(raw: dict[str, Any], axes: tuple[Axis, ...], codes: Any, keys: Any) -> dict[str, Any]:
    """The answered columns in the order of `keys`; cells without an answer have zeros."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    answered = cell_keys(codes, axes)
    at = order[np.searchsorted(keys, answered, sorter=order).clip(max=len(keys) - 1)]
    out = {}
    for name, values in raw.items():
        if name == "s_" or (name[0] == "d" and name[1:].isdigit()):
            continue
        plain = (
            np.ma.filled(values, np.nan if values.dtype.kind == "f" else 0) if np.ma.isMaskedArray(values) else values
        )
        full = np.zeros(len(keys), dtype=plain.dtype) if plain.dtype != object else np.full(len(keys), None)
        full[at] = plain
        out[name] = full
    _same_twice(raw, out, at)
    return out


def _same_twice(raw: dict[str, Any], out: dict[str, Any], at: Any) -> None:
    """A label of a hierarchy that is met at two levels must mean the same records at both."""
    import numpy as np

    if "records" in raw and not np.array_equal(out["records"][at], np.asarray(raw["records"])):
        raise BadInput(
            "a label is both a parent and the label of records of its own.",
            field="hierarchies",
            remedy="Give those records a child of their own, e.g. 'north, not further known'.",
        )


def _holistic(
    spec: TableSpec, source: Source, records: Records, every: list[Set], axes: tuple[Axis, ...], keys: Any
) -> dict[str, Any]:
    """Statistics that totals do not inherit from cells."""
    if spec.unit and spec.holding:
        records = _records(spec, source, records.top, by_unit=True)
    if spec.statistic == "mode" and spec.values:
        column = source.columns[spec.values]
        value = no_nan(column.alias) if column.kind == "float" else f"CAST({column.alias} AS VARCHAR)"
        raw = source.run(mode_sql(replace(records, value=value), every))
        raw["x"] = np_objects(raw["x"])
    elif spec.quantile is not None:
        raw = source.run(holistic_sql(records, every, f"quantile_cont(v, {spec.quantile!r})"))
    elif spec.statistic in (*SHAPES, *EXTREMES):
        name = {"std": "stddev_samp", "skew": "skewness", "kurt": "kurtosis"}.get(spec.statistic, spec.statistic)
        raw = source.run(holistic_sql(records, every, f"{name}(v)"))
    else:
        return {}
    return _answered(raw, axes, every, keys)


def np_objects(values: Any) -> Any:
    """Values of any type as an object array with None for missing."""
    import numpy as np

    gaps = np.ma.getmaskarray(values)
    out = np.empty(len(values), dtype=object)
    out[:] = [None if gap else item for item, gap in zip(np.ma.getdata(values).tolist(), gaps, strict=True)]
    return out
