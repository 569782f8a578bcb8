"""Mitigated tables as frames and text.

Decides the layout of long and wide tables: labels keep their types and order, categories stay categories. Leaves
values to `mitigate`, a caller's own layout to `given` and reading back to `published`.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput

if TYPE_CHECKING:
    from output_checks.evidence.layout import Axis
    from output_checks.mitigation.redacted import Redacted
    from output_checks.rules.judgement import Judgement


def label_columns(table: Redacted) -> dict[str, list[str]]:
    """Label text of every published cell per dimension. Raises BadInput if a label is the word for totals."""
    e = table.report.evidence
    out = {}
    for j, axis in enumerate(e.axes):
        texts = [axis.text(code, e.spec.total) for code in range(len(axis.labels))]
        if e.spec.total in texts or len(set(texts)) != len(texts):
            raise BadInput(
                f"{axis.name!r} has labels that look alike or like the total.",
                field="total",
                remedy="Choose another word for totals, or rename the labels.",
            )
        out[axis.name] = [texts[code] if code >= 0 else e.spec.total for code in e.codes[e.published, j].tolist()]
    return out


def long_text(table: Redacted) -> str:
    columns = label_columns(table)
    name = "value" if "value" not in columns else "published_value"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*columns, name])
    values = ("" if value is None else value for value in table.values())
    writer.writerows(zip(*columns.values(), values, strict=True))
    return out.getvalue()


def wide_text(table: Redacted) -> Any:
    """Rows by columns with labels as text, as files have them."""
    import pandas as pd

    spec = table.report.spec
    columns = label_columns(table)
    frame = pd.DataFrame({**columns, "\0value": pd.Series(table.values(), dtype=object)})
    if not spec.columns:
        out = frame.set_index(list(spec.rows))
        return out.rename(columns={"\0value": spec.statistic})
    if not spec.rows:
        return frame.set_index(list(spec.columns)).T.reset_index(drop=True)
    flat = frame.set_index([*spec.rows, *spec.columns])["\0value"]
    rows = frame[list(spec.rows)].drop_duplicates()
    sides = frame[list(spec.columns)].drop_duplicates()
    out = flat.unstack(list(range(len(spec.rows), len(spec.dimensions))))
    return out.reindex(index=_text_index(rows), columns=_text_index(sides))


def _text_index(frame: Any) -> Any:
    import pandas as pd

    if frame.shape[1] == 1:
        return pd.Index(frame.iloc[:, 0].tolist(), name=frame.columns[0])
    return pd.MultiIndex.from_frame(frame)


def laid_out(report: Judgement, values: list[Any]) -> Any:
    """A pandas frame: rows side as index, columns side as columns, in the table's order and with the labels' own
    types; suppressed values are missing, whole numbers stay whole.
    """
    import pandas as pd

    e, spec = report.evidence, report.spec
    shown = e.published.nonzero()[0]
    labels = {
        axis.name: [spec.total if code < 0 else axis.labels[code] for code in e.codes[shown, j].tolist()]
        for j, axis in enumerate(e.axes)
    }
    name = spec.values if spec.values and spec.statistic != "count" else spec.statistic
    rows = list(zip(*(labels[d] for d in spec.rows), strict=True)) if spec.rows else [("",)] * len(values)
    sides = list(zip(*(labels[d] for d in spec.columns), strict=True)) if spec.columns else [(name,)] * len(values)
    left, right = list(dict.fromkeys(rows)), list(dict.fromkeys(sides))
    cells = dict(zip(zip(rows, sides, strict=True), values, strict=True))
    axes = {axis.name: axis for axis in e.axes}
    frame = _columns([[cells.get((row, side)) for row in left] for side in right])
    frame.index = _index(left, [axes[d] for d in spec.rows], spec.total)
    frame.columns = _index(right, [axes[d] for d in spec.columns], spec.total) if spec.columns else pd.Index([name])
    return frame


def _columns(columns: list[list[Any]]) -> Any:
    import numpy as np
    import pandas as pd

    if columns and all(value is None or isinstance(value, float) for values in columns for value in values):
        return pd.DataFrame(np.array(columns, dtype=float).T)
    return pd.concat([column(values) for values in columns], axis=1) if columns else pd.DataFrame()


def column(values: list[Any]) -> Any:
    """Values as a series: whole numbers with gaps as nullable integers, other numbers as floats, words as they are."""
    import pandas as pd

    known = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in known) and len(known) < len(values):
        return pd.Series(values, dtype="Int64")
    if all(isinstance(value, int | float) for value in known):
        return pd.Series(values, dtype=None if known and len(known) == len(values) else "float64")
    return pd.Series(values, dtype=object)


def _index(labels: list[tuple[Any, ...]], axes: list[Axis], total: str) -> Any:
    """An index with the axes' names; categories keep their order, with the total last."""
    import pandas as pd

    if not axes:
        return pd.Index([""])
    levels = [_level([row[j] for row in labels], axis, total) for j, axis in enumerate(axes)]
    if len(axes) == 1:
        return pd.Index(levels[0], name=axes[0].name)
    return pd.MultiIndex.from_arrays(levels, names=[axis.name for axis in axes])


def _level(labels: list[Any], axis: Axis, total: str) -> Any:
    import pandas as pd

    if axis.kind != "enum" or axis.parents:
        return labels
    known = [label for label in axis.labels if label is not None]
    return pd.Categorical(labels, categories=[*known, *([total] if total in labels and total not in known else [])])
