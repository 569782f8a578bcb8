"""Tables in other formats than CSV as anybody reads them.

Decides how the bytes of XLSX, Parquet, HTML or LaTeX become a grid of texts. What a
format could hide (further or hidden sheets, formulas, comments, scripts, metadata) makes it unreadable, and
unreadable is refused. Leaves judging the grid to `against`.
"""

from __future__ import annotations

import io
import re
import zipfile
from html.parser import HTMLParser
from typing import Any

from output_checks.errors import Unreadable
from output_checks.reading.published import MAX_BYTES, Published, read

KINDS = ("csv", "xlsx", "parquet", "html", "tex")
SAFE_PARTS = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core)\.xml|xl/(workbook|styles|sharedStrings)\.xml|"
    r"xl/_rels/workbook\.xml\.rels|xl/theme/theme1\.xml|xl/worksheets/sheet1\.xml"
)
TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}


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


def _read_xlsx(raw: bytes) -> Published:
    from openpyxl import load_workbook  # type: ignore[import-untyped]

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
