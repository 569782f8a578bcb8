"""Plain text, Markdown and JSON: what a reviewer would not see at a glance.

Decides what blocks (invisible characters, encoded blobs) and what a reviewer must look at (rows of numbers, addresses,
numbers that look like people's).
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from .kinds import Finding, finding

MAX_BYTES = 1 << 20
MAX_LINES = 5000
MAX_DEPTH = 32
MAX_NUMBERS = 2000
BLOB = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
ROW_OF_NUMBERS = re.compile(r"^\s*\S+([,;\t|]|\s{2,}|\s)\s*[-+]?\d+(\.\d+)?(([,;\t|]|\s+)\s*[-+]?\d+(\.\d+)?)+\s*$")
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
LONG_NUMBER = re.compile(r"(?<![\d.])\d{9,}(?!\d)|(?<!\d)\d{3}[ -]\d{3}[ -]\d{4}(?!\d)")


def read_text(content: bytes, media: str) -> tuple[str | None, list[Finding]]:
    """The text as reviewers read it; None when it is too much to read or hides something."""
    text = content.decode("utf-8-sig")
    if len(content) > MAX_BYTES or text.count("\n") > MAX_LINES:
        message = f"The text is longer than {MAX_BYTES} bytes or {MAX_LINES} lines."
        return None, [finding("too_long", message, "Nobody can review that much: shorten it.")]
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs") and c not in "\n\r\t"}
    if hidden:
        codes = ", ".join(sorted(f"U+{ord(character):04X}" for character in hidden)[:5])
        return text, [finding("hidden_text", f"The text holds invisible characters ({codes}).", "Remove them.")]
    return text, [*_scan(text), *(_scan_json(text) if media == "application/json" else [])]


def _scan(text: str) -> list[Finding]:
    found = []
    if BLOB.search(text):
        found.append(
            finding("encoded_data", "The text holds a long run of letters and digits: encoded data?", "Remove it.")
        )
    rows = sum(1 for line in text.splitlines() if ROW_OF_NUMBERS.match(line))
    if rows >= 10:
        message = f"{rows} lines are rows of numbers: a table inside a text is not checked cell by cell."
        found.append(finding("numbers_in_text", message, "Hand the table in as CSV.", "review", lines=rows))
    for rule, pattern, what in (("mail_address", MAIL, "mail addresses"), ("long_number", LONG_NUMBER, "long numbers")):
        count = len(pattern.findall(text))
        if count:
            found.append(finding(rule, f"The text holds {count} {what}.", "Remove what could name a person.", "review"))
    return found


def _scan_json(text: str) -> list[Finding]:
    numbers, depth = _measure(json.loads(text), 1)
    if depth > MAX_DEPTH:
        return [finding("unreadable", f"The JSON is nested deeper than {MAX_DEPTH}.", "Write it flatter.")]
    if numbers > MAX_NUMBERS:
        message = f"The JSON holds {numbers} numbers: more than a model needs."
        return [finding("numbers_in_text", message, "Write coefficients only; tables as CSV.", "fail")]
    return []


def _measure(value: Any, depth: int) -> tuple[int, int]:
    """Numbers and depth of a parsed value; the parser itself has bounded the recursion."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        parts = [_measure(item, depth + 1) for item in value]
        return sum(part[0] for part in parts), max((part[1] for part in parts), default=depth)
    return int(isinstance(value, int | float)), depth
