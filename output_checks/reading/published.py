"""Tables as they are published: text in, cells out.

Decides how a written CSV (long: a column per dimension; wide: rows × columns as pandas writes it) names its
cells, which texts mean "suppressed", and what is unreadable. Leaves judging to `against`.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from output_checks.errors import Unreadable
from output_checks.evidence.spec import TableSpec

SUPPRESSED = frozenset(
    {"", "*", "**", "-", "–", "—", "..", ".", ":", "c", "x", "s", "nan", "na", "n/a", "none",
     "null", "<na>", "suppressed",
     "[suppressed]", "redacted", "[redacted]", "(suppressed)"}
)  # fmt: skip
LESS_THAN = re.compile(r"[<≤]\s*=?\s*\d+")
PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
TOTALS = ("Total", "All", "total", "all")
MAX_BYTES = 64 * 2**20


class PublishedCell(NamedTuple):
    """One cell as written: label text per dimension, the text, its value (None: suppressed) and its number of
    decimals.

    `place` is row and column in the file, counted from 1, for the reader of a finding.
    """

    labels: dict[str, str]
    text: str
    value: Decimal | None
    place: tuple[int, int] = (0, 0)
    readable: bool = True

    @property
    def slack(self) -> float:
        """Half a unit of the last decimal that is shown."""
        if self.value is None:
            return 0.0
        exponent = self.value.as_tuple().exponent
        return 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0


@dataclass(frozen=True)
class Published:
    """A written table as a grid of texts. `cells(spec)` names them by the specification's dimensions."""

    grid: tuple[tuple[str, ...], ...]

    def cells(self, spec: TableSpec) -> list[PublishedCell]:
        """Every cell with its labels. Raises Unreadable for a file that is not the specification's table."""
        if not self.grid:
            raise Unreadable("the file is empty.", field="table", remedy="Write the table again.")
        header = self.grid[0]
        if all(name in header for name in spec.dimensions):
            return list(self._long(spec, header))
        return list(self._wide(spec))

    def _long(self, spec: TableSpec, header: tuple[str, ...]) -> Any:
        if len(set(header)) != len(header):
            raise Unreadable("two columns have one name.", field="table", remedy="Name every column once.")
        values = [i for i, name in enumerate(header) if name not in spec.dimensions]
        if len(values) != 1:
            raise Unreadable(
                f"a long table has one column beside its dimensions, this one has {len(values)}.",
                field="table",
                remedy="Write the dimensions and one value; one file per statistic.",
            )
        names, place = list(spec.dimensions), values[0]
        columns = [list(column) for column in zip(*self.grid[1:], strict=True)] or [[] for _ in header]
        texts = columns[place]
        for number, (text, *labels) in enumerate(
            zip(texts, *(columns[header.index(name)] for name in names), strict=True), start=2
        ):
            yield cell(dict(zip(names, labels, strict=True)), text, (number, place + 1))

    def _wide(self, spec: TableSpec) -> Any:
        rows, levels = len(spec.rows), len(spec.columns)
        head, first = self._heading(spec)
        for number, row in enumerate(self.grid[first:], start=first + 1):
            for i in range(rows, len(row)):
                labels = dict(zip(spec.rows, row[:rows], strict=True))
                labels |= {name: head[level][i] for level, name in enumerate(spec.columns[:levels])}
                yield cell(labels, row[i], (number, i + 1))

    def _heading(self, spec: TableSpec) -> tuple[list[tuple[str, ...]], int]:
        """The rows with column labels and the number of the first row with cells."""
        rows, levels = len(spec.rows), len(spec.columns)
        if not rows or not levels:
            return self._one_sided(spec)
        head = [self.grid[k] for k in range(min(levels, len(self.grid)))]
        if len(head) < levels or len(self.grid[0]) <= rows:
            raise Unreadable("the header is too short.", field="table", remedy="Write all labels of rows and columns.")
        names = self.grid[levels - 1][:rows]
        if levels == 1 and names == spec.rows:
            return head, 1
        following = self.grid[levels] if len(self.grid) > levels else ()
        if levels > 1 and following[:rows] == spec.rows and not any(following[rows:]):
            return head, levels + 1
        raise Unreadable(
            f"the header does not name the rows {', '.join(spec.rows)}.",
            field="table",
            remedy="Keep the names of the index when writing, or write a long table.",
        )

    def _one_sided(self, spec: TableSpec) -> tuple[list[tuple[str, ...]], int]:
        raise Unreadable(
            f"the header does not name {', '.join(spec.dimensions)}.", field="table", remedy="Write a long table."
        )


def cell(labels: dict[str, str], text: str, place: tuple[int, int] = (0, 0)) -> PublishedCell:
    """A cell from its text; what is neither a number nor a known sign of suppression is kept as unreadable."""
    plain = text.strip()
    if PLAIN.fullmatch(plain):
        return PublishedCell(labels, text, Decimal(plain), place)
    if plain.lower() in SUPPRESSED or LESS_THAN.fullmatch(plain):
        return PublishedCell(labels, text, None, place)
    number = plain.removesuffix("%").strip()
    if THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    try:
        value = Decimal(number)
    except InvalidOperation:
        return PublishedCell(labels, text, None, place, readable=False)
    return PublishedCell(labels, text, value, place, readable=value.is_finite())


def read(path: str | Path | bytes) -> Published:
    """A written CSV as a grid. Raises Unreadable for anything that is not a plain rectangular UTF-8 CSV."""
    raw = path if isinstance(path, bytes) else published_bytes(Path(path))
    if len(raw) > MAX_BYTES:
        raise Unreadable("the file is too large for a table.", field="table", remedy="Release a smaller table.")
    try:
        text = raw.decode("utf-8-sig")
        if "\0" in text:
            raise Unreadable("the file holds NUL bytes.", field="table", remedy="Write plain CSV.")
        lines = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as problem:
        raise Unreadable(f"the file is not CSV ({problem}).", field="table", remedy="Write UTF-8 CSV.") from None
    if len({len(row) for row in lines}) > 1:
        raise Unreadable("the rows differ in length.", field="table", remedy="Write one rectangular table per file.")
    return Published(tuple(lines))


def published_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises Unreadable if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Unreadable(f"could not be read ({problem.strerror}).", field="table", remedy="Check the path.") from None
