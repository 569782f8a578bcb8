"""CSV as a grid of texts, within bounds.

Decides what is no plain rectangular table. Leaves what the numbers say to output_checks, on the other side of the wall.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import unicodedata

from .kinds import Finding, finding

MAX_COLUMNS = 500
MAX_CELLS = 200_000
MAX_FIELD = 2000
FORMULA = re.compile(r"^\s*[=@]|^\s*[+-](?![\d.])")
NUMBER = re.compile(r"^[-+]?\d+(\.\d+)?$")
Grid = list[list[str]]


def read_grid(content: bytes, *, max_rows: int) -> tuple[Grid | None, list[Finding]]:
    """Rows of equal length, header first; None with the reason when there is no such table."""
    text = content.decode("utf-8-sig")
    csv.field_size_limit(MAX_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [row for row in itertools.islice(reader, max_rows + 2) if row]
    except csv.Error as error:
        remedy = f"Write UTF-8 CSV with fields of at most {MAX_FIELD} characters."
        return None, [finding("unreadable", f"The file is not CSV ({error}).", remedy)]
    problem = _shape_problem(rows, max_rows)
    if problem:
        return None, [problem]
    return rows, [*_hidden(rows), *_formulas(rows), *_identifiers(rows)]


def _shape_problem(rows: Grid, max_rows: int) -> Finding | None:
    if len(rows) < 2:
        return finding("unreadable", "The table has no rows.", "Write a header and at least one row.")
    if len(rows) > max_rows + 1:
        return finding("too_many_rows", f"The table has more than {max_rows} rows.", "Release a smaller table.")
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return finding("unreadable", "The rows differ in length.", "Write one rectangular table per file.")
    if width > MAX_COLUMNS or width * len(rows) > MAX_CELLS:
        message = f"The table has more than {MAX_COLUMNS} columns or {MAX_CELLS} cells."
        return finding("too_many_cells", message, "Release a smaller table.")
    return None


def _hidden(rows: Grid) -> list[Finding]:
    for number, row in enumerate(rows, start=1):
        for field in row:
            if any(unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs") for character in field):
                message = f"Line {number} holds control characters or invisible characters."
                return [finding("hidden_text", message, "Remove them.", line=number)]
    return []


def _formulas(rows: Grid) -> list[Finding]:
    found = [
        number
        for number, row in enumerate(rows, start=1)
        if any(FORMULA.match(field) and field.strip() != "-" for field in row)
    ]
    if not found:
        return []
    message = f"{len(found)} lines hold a field that a spreadsheet would run as a formula."
    return [finding("formula", message, "Begin no field with =, +, - or @.", "review", lines=found[:20])]


def _identifiers(rows: Grid) -> list[Finding]:
    """A column of many distinct long whole numbers looks like record numbers: rows of people, not a table."""
    body = rows[1:]
    if len(body) < 50:
        return []
    found = []
    for j, name in enumerate(rows[0]):
        values = [row[j] for row in body]
        if (
            len(set(values)) == len(values)
            and all(NUMBER.match(value) for value in values)
            and "." not in "".join(values)
        ):
            found.append(name)
    if not found:
        return []
    message = f"Every row has its own whole number in {', '.join(found[:5])}: the file may list single records."
    return [finding("row_level", message, "Release aggregates only.", "review", columns=found[:5])]
