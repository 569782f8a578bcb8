"""Data that cannot be read: what is said of it.

Decides the refusal's words: bytes that are no text are named by their column or line, everything else in the first line
of what the library said. Leaves noticing it to `sources` and `columns`.
"""

from __future__ import annotations

import re

from output_checks.errors import Unreadable

ENCODING = re.compile(r"invalid (unicode|utf-?8)|invalid string encoding|not valid utf-?8|encode str as utf-?8", re.I)
WHOLE = "Check that the file or frame is whole."


def not_utf8(name: str, line: str = "") -> Unreadable:
    """The refusal of text that is none; a label that cannot be read cannot be judged."""
    which = f"the column {name!r}" if name else f"line {line}" if line else "a column"
    return Unreadable(f"{which} holds text that is not UTF-8.", field="data", remedy="Write its text as UTF-8.")


def is_encoding(problem: BaseException | None) -> bool:
    """Whether bytes that are no UTF-8 were met; whoever reads them says so in words of its own, or by a cause."""
    if problem is None or isinstance(problem, UnicodeError):
        return problem is not None
    return bool(ENCODING.search(str(problem))) or is_encoding(problem.__cause__)


def unreadable(problem: Exception, remedy: str) -> Unreadable:
    """The refusal, in the first line of what the library said; further lines would quote the data."""
    if is_encoding(problem):
        line = re.search(r"on Line: (\d+)", str(problem))
        return not_utf8("", line[1] if line else "")
    return Unreadable(_first_line(problem), field="data", remedy=remedy)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]
