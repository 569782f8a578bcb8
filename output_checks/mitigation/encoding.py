"""Mitigated tables as bytes of a format.

Decides how a grid of texts becomes XLSX, Parquet, HTML or LaTeX: numbers as numbers, shown as they were written,
labels as labels. Leaves reading the bytes back to `reading`.
"""

from __future__ import annotations

import csv
import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput
from output_checks.mitigation.writing import long_text, wide_text
from output_checks.reading.formats import KINDS, TEX
from output_checks.reading.published import THOUSANDS

if TYPE_CHECKING:
    from output_checks.mitigation.redacted import Redacted

SHOWN = re.compile(r"-?\d(?:\d|(?P<comma>,))*(?:\.(?P<decimals>\d{1,12}))?%?")


def csv_text(table: Redacted, layout: str = "long", like: Any = None) -> str:
    """Long (a column per dimension and `value`) or wide CSV text, empty where suppressed; `like` is a frame or
    Styler whose order and formats are kept.
    """
    if like is not None:
        from output_checks.mitigation.given import shown

        return str(shown(table, like).to_csv())
    if layout == "long":
        return long_text(table)
    if layout == "wide":
        return str(wide_text(table).to_csv())
    raise BadInput(f"{layout!r} is not known.", field="layout", remedy='Use "long" or "wide".')


def encode(table: Redacted, kind: str, layout: str = "long", like: Any = None) -> bytes:
    """The table as bytes of a format (csv, xlsx, parquet, html, tex). Raises BadInput for another."""
    text = csv_text(table, layout, like)
    if kind == "csv":
        return text.encode()
    rows = list(csv.reader(io.StringIO(text)))
    spec = table.report.spec
    labels = len(spec.dimensions if layout == "long" and like is None else spec.rows) or 1
    makers = {"xlsx": _xlsx, "parquet": _parquet, "html": _html, "tex": _tex}
    if kind not in makers:
        raise BadInput(f"{kind!r} is not known.", field="format", remedy=f"Use one of {', '.join(KINDS)}.")
    return makers[kind](rows, labels)


def _number(text: str) -> Any:
    try:
        return int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)
    except ValueError:
        return text or None


def _label(text: str, row: int) -> tuple[Any, str]:
    """Labels stay text (`007` is no seven) but for plain whole numbers below the header."""
    return (int(text) if row > 1 and re.fullmatch(r"0|-?[1-9]\d{0,14}", text) else text or None), "General"


def _formatted(text: str) -> tuple[Any, str]:
    """A text as a spreadsheet has it: the number, and the format that shows it as it was written."""
    shown = SHOWN.fullmatch(text)
    if not shown or (shown["comma"] and not THOUSANDS.fullmatch(text.removesuffix("%"))):
        return _number(text), "General"
    decimals = len(shown["decimals"] or "")
    value = _number(text.removesuffix("%").replace(",", ""))
    form = ("#,##0" if shown["comma"] else "0") + ("." + "0" * decimals if decimals else "")
    return value, form + ('"%"' if text.endswith("%") else "")


def _xlsx(rows: list[list[str]], labels: int) -> bytes:
    from openpyxl import Workbook  # type: ignore[import-untyped]

    book = Workbook()
    sheet = book.active
    for number, row in enumerate(rows, start=1):
        for column, text in enumerate(row, start=1):
            cell = sheet.cell(number, column)
            cell.value, cell.number_format = (
                _label(text, number) if number == 1 or column <= labels else _formatted(text)
            )
            if isinstance(cell.value, str):
                cell.data_type = "s"  # a label that looks like a formula stays a label
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _parquet(rows: list[list[str]], labels: int) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    head, *body = rows
    columns = list(zip(*body, strict=True)) if body else [() for _ in head]
    arrays = [pa.array(column, pa.string()) for column in columns[:labels]]
    for column in columns[labels:]:
        values = [_number(text) for text in column]
        plain = all(value is None or isinstance(value, int | float) for value in values)
        floats = any(isinstance(value, float) for value in values)
        kind = (pa.float64() if floats else pa.int64()) if plain else pa.string()
        arrays.append(pa.array(values if plain else [text or None for text in column], kind))
    out = io.BytesIO()
    pq.write_table(pa.table(arrays, names=head), out)
    return out.getvalue()


def _html(rows: list[list[str]], labels: int) -> bytes:
    head, *body = rows
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in body)
    page = f'<!doctype html>\n<meta charset="utf-8">\n<table>\n<tr>{top}</tr>\n{lines}\n</table>\n'
    return page.encode()


def _tex(rows: list[list[str]], labels: int) -> bytes:
    for row in rows:
        for text in row:
            if set(text) & set("\\~^\n\r"):
                raise BadInput(f"{text!r} cannot be written as LaTeX.", field="labels", remedy="Rename the label.")
    lines = [" & ".join("".join(TEX.get(c, c) for c in text) for text in row) + r" \\" for row in rows]
    columns = "l" * labels + "r" * (len(rows[0]) - labels)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *lines, r"\end{tabular}", ""]).encode()
