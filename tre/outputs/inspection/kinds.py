"""What the bytes are, whatever their name says.

Decides the media type by content and refuses everything that cannot be reviewed by eye: what carries code, hidden
data or whole data sets. Each refusal names what to hand in instead.
"""

from __future__ import annotations

import json
import re
from typing import Any

Finding = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n"
_FIGURE = "Save the figure as PNG: figure.savefig('name.png')."
_TABLE = "Write the table as CSV."
_MODEL = "Write the coefficients as CSV or JSON."
# First bytes → what it is, what to hand in instead.
MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive, spreadsheet or document", _TABLE),
    (b"PK\x05\x06", "an empty zip archive", _TABLE),
    (b"PAR1", "a Parquet file", _TABLE),
    (b"ARROW1", "an Arrow file", _TABLE),
    (b"SQLite format 3", "an SQLite database", _TABLE),
    (b"\x89HDF", "an HDF5 file", _TABLE),
    (b"\xd0\xcf\x11\xe0", "an old Office document", _TABLE),
    (b"<stata_dta>", "a Stata data file", _TABLE),
    (b"$FL2", "an SPSS data file", _TABLE),
    (b"RDX", "an R data file", _TABLE),
    (b"\x93NUMPY", "a NumPy array", _TABLE),
    (b"\x1f\x8b", "compressed data", "Hand in the plain file."),
    (b"BZh", "compressed data", "Hand in the plain file."),
    (b"\xfd7zXZ", "compressed data", "Hand in the plain file."),
    (b"\x28\xb5\x2f\xfd", "compressed data", "Hand in the plain file."),
    (b"7z\xbc\xaf", "an archive", "Hand in the plain files."),
    (b"\xff\xd8\xff", "a JPEG image", _FIGURE),
    (b"GIF8", "a GIF image", _FIGURE),
    (b"II*\x00", "a TIFF image", _FIGURE),
    (b"MM\x00*", "a TIFF image", _FIGURE),
    (b"RIFF", "a WebP image or sound", _FIGURE),
    (b"BM", "a BMP image", _FIGURE),
    (b"%PDF", "a PDF document", _FIGURE),
    (b"%!PS", "a PostScript document", _FIGURE),
    (b"\x7fELF", "a program", "Programs are not released as outputs."),
    (b"MZ", "a program", "Programs are not released as outputs."),
)
PICKLE = re.compile(rb"\x80[\x02-\x05]")
OLD_PICKLE = re.compile(rb"^(\(dp0|\(lp0|c[a-z_]+(\.[a-z_]+)*\n\w+\n|ccopy_reg\n)", re.MULTILINE)
MARKUP = re.compile(
    r"<\s*(!doctype|html|head|body|script|iframe|object|embed|style|svg|\?xml|link|meta)\b", re.IGNORECASE
)
ENDINGS = {
    "text/csv": (".csv",),
    "image/png": (".png",),
    "text/plain": (".txt", ".log"),
    "text/markdown": (".md",),
    "application/json": (".json",),
}
KINDS = {
    "table": ("text/csv",),
    "figure": ("image/png",),
    "model": ("text/csv", "application/json", "text/plain", "text/markdown"),
    "text": ("text/plain", "text/markdown", "application/json"),
}


def finding(rule: str, why: str, remedy: str, severity: str = "fail", **detail: Any) -> Finding:
    return {"rule": rule, "severity": severity, "why": why, "remedy": remedy, "cell": {}, "detail": detail}


def detect(name: str, kind: str, content: bytes) -> tuple[str, list[Finding]]:
    """Media type ("" when it is none of the allowed) and what speaks against the file as it is."""
    media, refused = _media_type(name, kind, content)
    if refused:
        return "", [refused]
    found = []
    if not name.lower().endswith(ENDINGS[media]):
        message = f"The name does not fit the content, which is {media}."
        found.append(finding("file_name", message, f"Name it with the ending {ENDINGS[media][0]}."))
    if media not in KINDS[kind]:
        message = f"The content is {media}; a {kind} is {' or '.join(KINDS[kind])}."
        found.append(finding("file_kind", message, "Declare what it is, or write it in an allowed format."))
    return media, found


def _media_type(name: str, kind: str, content: bytes) -> tuple[str, Finding | None]:
    if not content.strip():
        return "", finding("empty_file", "The file is empty.", "Write it again.")
    if content.startswith(PNG):
        return "image/png", None
    what = _refused_binary(content)
    if what:
        return "", finding("file_type", f"The file is {what[0]}, which is not released.", what[1])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "", finding("encoding", "The text is not UTF-8.", "Write it again with encoding='utf-8'.")
    return _text_type(name, kind, text)


def _refused_binary(content: bytes) -> tuple[str, str] | None:
    for magic, what, remedy in MAGIC:
        if content.startswith(magic) and not (len(magic) == 2 and magic.isalpha() and _is_text(content)):
            return what, remedy
    if PICKLE.match(content) or OLD_PICKLE.search(content[:4096]):
        return "a pickled Python object, which runs code when it is opened", _MODEL
    if content[257:262] == b"ustar":
        return "an archive", "Hand in the plain files."
    if b"\0" in content:
        return "binary data", "Write plain UTF-8 text, or a PNG image."
    return None


def _is_text(content: bytes) -> bool:
    """For magic words of two letters, which a text may begin with."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


def _text_type(name: str, kind: str, text: str) -> tuple[str, Finding | None]:
    head = text.lstrip()[:4096].lower()
    if "<svg" in head:
        return "", finding("file_type", "The file is an SVG image, which carries the data of every point.", _FIGURE)
    if MARKUP.search(head):
        return "", finding("file_type", "The file is HTML or XML, which can carry code and hidden text.", _FIGURE)
    if head.startswith(("{", "[")):
        return _json_type(text)
    if name.lower().endswith(".md"):
        return "text/markdown", None
    if name.lower().endswith(".csv") or kind == "table":
        return "text/csv", None
    return "text/plain", None


def _json_type(text: str) -> tuple[str, Finding | None]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "text/plain", None
    if isinstance(value, dict) and "cells" in value and ("nbformat" in value or "metadata" in value):
        remedy = "Hand in the tables and figures that the notebook makes, each as a file of its own."
        return "", finding("file_type", "The file is a notebook, whose outputs may hold records.", remedy)
    if isinstance(value, dict) and {"data", "layout"} <= value.keys():
        return "", finding("file_type", "The file is a plotly figure, which carries the data of every point.", _FIGURE)
    return "application/json", None
