"""Tables in other formats than CSV, written from mitigated values only and read back from their bytes.

Decides how a grid of texts becomes XLSX, Parquet, HTML or LaTeX and how such bytes become a grid again. What a
format could hide (further or hidden sheets, formulas, comments, scripts, metadata) makes it unreadable, and
unreadable is refused. Leaves judging the grid to `against`.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput, Unreadable
from output_checks.published import MAX_BYTES, THOUSANDS, Published, read

if TYPE_CHECKING:
    from output_checks.mitigate import Mitigated

KINDS = ("csv", "xlsx", "parquet", "html", "tex")
SAFE_PARTS = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core)\.xml|xl/(workbook|styles|sharedStrings)\.xml|"
    r"xl/_rels/workbook\.xml\.rels|xl/theme/theme1\.xml|xl/worksheets/sheet1\.xml"
)
SHOWN = re.compile(r"-?\d(?:\d|(?P<comma>,))*(?:\.(?P<decimals>\d{1,12}))?%?")
TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}


def encode(table: Mitigated, kind: str, layout: str = "long", like: Any = None) -> bytes:
    """The table as bytes of a format (csv, xlsx, parquet, html, tex). Raises BadInput for another."""
    from output_checks.writing import csv_text

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


def decode(raw: bytes, kind: str) -> Published:
    """The grid in the bytes. Raises Unreadable for anything that could hold more than the grid."""
    if len(raw) > MAX_BYTES:
        raise Unreadable("the file is too large for a table.", field="table", remedy="Release a smaller table.")
    readers = {"csv": read, "xlsx": _read_xlsx, "parquet": _read_parquet, "html": _read_html, "tex": _read_tex}
    if kind not in readers:
        raise Unreadable(f"{kind!r} is not read.", field="format", remedy=f"Use one of {', '.join(KINDS)}.")
    try:
        return readers[kind](raw)
    except Unreadable:
        raise
    except Exception as problem:
        raise Unreadable(
            f"the file is no {kind} ({type(problem).__name__}).", field="table", remedy="Write it again."
        ) from None


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


def _read_xlsx(raw: bytes) -> Published:
    from openpyxl import load_workbook

    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > MAX_BYTES or len(parts) > 20:
            raise Unreadable("the workbook is too large.", field="table", remedy="Release a smaller table.")
        strange = [part.filename for part in parts if not SAFE_PARTS.fullmatch(part.filename)]
    if strange:
        raise Unreadable(f"the workbook holds {strange[0]}.", field="table", remedy="Keep to one plain sheet.")
    book = load_workbook(io.BytesIO(raw))
    sheet = book.active
    hidden = [d for d in (*sheet.row_dimensions.values(), *sheet.column_dimensions.values()) if d.hidden]
    if len(book.sheetnames) != 1 or sheet.sheet_state != "visible" or hidden or book.defined_names:
        raise Unreadable("the workbook hides something.", field="table", remedy="Keep to one plain visible sheet.")
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type == "f" or cell.comment or cell.hyperlink:
                raise Unreadable(
                    f"{cell.coordinate} holds a formula or a comment.", field="table", remedy="Write values."
                )
    return Published(tuple(tuple(_text(value) for value in row) for row in sheet.iter_rows(values_only=True)))


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


def _read_parquet(raw: bytes) -> Published:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(raw))
    extra = set(file.metadata.metadata or {}) - {b"ARROW:schema"}
    if extra:
        raise Unreadable("the file carries metadata of its own.", field="table", remedy="Write it without (no pandas).")
    table = file.read()
    if any(field.metadata for field in table.schema if set(field.metadata or {}) - {b"PARQUET:field_id"}):
        raise Unreadable("a column carries metadata of its own.", field="table", remedy="Write it without.")
    columns = [column.to_pylist() for column in table.columns]
    grid = [tuple(table.column_names), *(tuple(_text(v) for v in row) for row in zip(*columns, strict=True))]
    return Published(tuple(grid))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _html(rows: list[list[str]], labels: int) -> bytes:
    head, *body = rows
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in body)
    page = f'<!doctype html>\n<meta charset="utf-8">\n<table>\n<tr>{top}</tr>\n{lines}\n</table>\n'
    return page.encode()


class _Table(HTMLParser):
    """Takes exactly one table of plain cells; any other tag, attribute, comment or text outside cells is refused."""

    TAGS = ("meta", "table", "thead", "tbody", "tr", "th", "td")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.TAGS or (attrs and attrs != [("charset", "utf-8")]):
            raise Unreadable(
                f"the page holds <{tag}> with more than text.", field="table", remedy="Keep to a plain table."
            )
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("th", "td")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data
        elif data.strip():
            raise Unreadable("the page holds text outside the table.", field="table", remedy="Keep to a plain table.")

    def handle_comment(self, data: str) -> None:
        raise Unreadable("the page holds a comment.", field="table", remedy="Remove it.")

    def handle_pi(self, data: str) -> None:
        raise Unreadable("the page holds an instruction.", field="table", remedy="Remove it.")


def _read_html(raw: bytes) -> Published:
    parser = _Table()
    parser.feed(raw.decode("utf-8"))
    parser.close()
    return Published(tuple(map(tuple, parser.rows)))


def _tex(rows: list[list[str]], labels: int) -> bytes:
    for row in rows:
        for text in row:
            if set(text) & set("\\~^\n\r"):
                raise BadInput(f"{text!r} cannot be written as LaTeX.", field="labels", remedy="Rename the label.")
    lines = [" & ".join("".join(TEX.get(c, c) for c in text) for text in row) + r" \\" for row in rows]
    columns = "l" * labels + "r" * (len(rows[0]) - labels)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *lines, r"\end{tabular}", ""]).encode()


def _read_tex(raw: bytes) -> Published:
    lines = raw.decode("utf-8").splitlines()
    if not re.fullmatch(r"\\begin\{tabular\}\{[lcr]+\}", lines[0]) or lines[-1] != r"\end{tabular}":
        raise Unreadable("the file is no plain tabular.", field="table", remedy="Keep to one tabular.")
    back = {escaped: plain for plain, escaped in TEX.items()}
    rows = []
    for line in lines[1:-1]:
        if not line.endswith(r" \\"):
            raise Unreadable("a line of the tabular does not end.", field="table", remedy="Write a row per line.")
        parts = re.split(r"(?<!\\)&", line[:-3] + " ")
        texts = [
            re.sub(r"\\[&%$#_{}]", lambda m: back[m.group()], part[1:-1] if i else part[:-1])
            for i, part in enumerate(parts)
        ]
        if any("\\" in text or re.search(r"(?<!\\)%", part) for text, part in zip(texts, parts, strict=True)):
            raise Unreadable("the tabular holds commands or comments.", field="table", remedy="Keep to plain cells.")
        rows.append(tuple(texts))
    return Published(tuple(rows))
