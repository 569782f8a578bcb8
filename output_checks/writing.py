"""Mitigated tables as frames and text.

Decides the layout of long and wide tables. Leaves values to `mitigate` and reading back to `published`.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput

if TYPE_CHECKING:
    from output_checks.mitigate import Mitigated


def csv_text(table: Mitigated, layout: str = "long") -> str:
    """Long (a column per dimension and `value`) or wide CSV text, empty where suppressed."""
    if layout == "long":
        return _long(table)
    if layout == "wide":
        text = wide(table).to_csv()
        return str(text)
    raise BadInput(f"{layout!r} is not known.", field="layout", remedy='Use "long" or "wide".')


def label_columns(table: Mitigated) -> dict[str, list[str]]:
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


def _long(table: Mitigated) -> str:
    columns = label_columns(table)
    name = "value" if "value" not in columns else "published_value"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*columns, name])
    for *labels, value in zip(*columns.values(), table.values(), strict=True):
        writer.writerow([*labels, "" if value is None else value])
    return out.getvalue()


def wide(table: Mitigated) -> Any:
    """A pandas frame with the rows side as index and the columns side as columns, in the table's order."""
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
    return out.reindex(index=_index(rows), columns=_index(sides))


def _index(frame: Any) -> Any:
    import pandas as pd

    if frame.shape[1] == 1:
        return pd.Index(frame.iloc[:, 0].tolist(), name=frame.columns[0])
    return pd.MultiIndex.from_frame(frame)
