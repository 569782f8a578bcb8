"""A mitigated table in the layout that its author gave it: order of rows and columns, names, types, formats.

Decides how a pandas frame or Styler of the unprotected table becomes the same frame with mitigated values. Only
positions and formats are taken from it, never a value, a colour or a note. Leaves values to `mitigate` and the
audit of the text that comes out to `against`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput
from output_checks.evidence.layout import label_text
from output_checks.evidence.spec import TableSpec
from output_checks.reading.published import PublishedCell

if TYPE_CHECKING:
    from output_checks.mitigation.redacted import Redacted

NEAR = 1e-9


def like(table: Redacted, given: Any) -> Any:
    """`given` (a frame, or a Styler of one) with mitigated values: its index and columns as they are, whole
    numbers whole. Raises BadInput if it is not the table that was mitigated.
    """
    import pandas as pd

    from output_checks.mitigation.writing import column

    frame = _frame(given)
    values = _values(table, frame)
    columns = []
    for j in range(frame.shape[1]):
        kept, dtype = column([row[j] for row in values]), frame.dtypes.iloc[j]
        columns.append(kept.astype(dtype) if not kept.isna().any() and kept.dtype != object else kept)
    out = pd.concat(columns, axis=1)
    out.index, out.columns = frame.index, frame.columns
    return out


def shown(table: Redacted, given: Any) -> Any:
    """The same as texts: every value through the Styler's own format, suppressed ones empty, labels as text."""
    import pandas as pd

    frame = _frame(given)
    formats = getattr(given, "_display_funcs", None) if given is not frame else None
    texts = [
        ["" if v is None else str(formats[i, j](v)) if formats is not None else v for j, v in enumerate(row)]
        for i, row in enumerate(_values(table, frame))
    ]
    return pd.DataFrame(texts, index=_texts(frame.index), columns=_texts(frame.columns), dtype=object)


def _frame(given: Any) -> Any:
    import pandas as pd

    frame = given.data if hasattr(given, "_display_funcs") else given
    frame = frame.to_frame() if isinstance(frame, pd.Series) else frame
    if not isinstance(frame, pd.DataFrame):
        raise BadInput("is no pandas table.", field="like", remedy="Give a frame or a Styler of the table.")
    return frame


def _texts(index: Any) -> Any:
    import pandas as pd

    def text(label: Any) -> str:
        return label_text(None if label is None or label != label else label)

    if index.nlevels == 1:
        return pd.Index([text(label) for label in index], name=index.name)
    return pd.MultiIndex.from_tuples([tuple(map(text, row)) for row in index], names=index.names)


def _values(table: Redacted, frame: Any) -> list[list[Any]]:
    """Redacted values in the frame's own places. Raises BadInput unless it shows the unprotected table."""
    from output_checks.attack.against import place

    report = table.report
    rows, columns = _labels(frame, report.spec)
    cells = [
        PublishedCell(row | side, "", None, (i, j)) for i, row in enumerate(rows) for j, side in enumerate(columns)
    ]
    placed, _ = place(report.evidence, cells)
    if len(placed) != len(cells):
        raise BadInput("has cells that the table has not.", field="like", remedy="Give the table that was mitigated.")
    mitigated = dict(zip(report.evidence.published.nonzero()[0].tolist(), table.values(), strict=True))
    out: list[list[Any]] = [[None] * len(columns) for _ in rows]
    for k, cell in placed.items():
        i, j = cell.place
        if not _same(frame.iat[i, j], report.value(k)):
            raise BadInput(
                "shows other numbers than the table that was mitigated.",
                field="like",
                remedy="Leave values as they are and format them: table.style.format('{:.1f}').",
            )
        out[i][j] = mitigated[k]
    return out


def _labels(frame: Any, spec: TableSpec) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Labels of every row and of every column by dimension."""
    names = tuple(frame.index.names) if spec.rows else ()
    sides = tuple(frame.columns.names) if spec.columns else ()
    if names != spec.rows or sides != spec.columns or (not spec.columns and frame.shape[1] != 1):
        raise BadInput(
            f"is laid out by {[*frame.index.names]} and {[*frame.columns.names]}.",
            field="like",
            remedy=f"Rows are {list(spec.rows)}, columns are {list(spec.columns)}; keep the names of the index.",
        )
    return _by_name(_texts(frame.index), spec.rows), _by_name(_texts(frame.columns), spec.columns)


def _by_name(index: Any, names: tuple[str, ...]) -> list[dict[str, str]]:
    if not names:
        return [{} for _ in range(len(index))]
    return [dict(zip(names, label if index.nlevels > 1 else (label,), strict=True)) for label in index]


def _same(value: Any, truth: Any) -> bool:
    """Whether the caller's cell shows the unprotected value (nothing, where there is none)."""
    missing = value is None or value != value or type(value).__name__ == "NAType"
    if missing or truth is None:
        return missing and truth is None
    if isinstance(truth, int | float):
        try:
            return math.isclose(float(value), float(truth), rel_tol=NEAR, abs_tol=NEAR)
        except (TypeError, ValueError):
            return False
    return str(value) == str(truth)
