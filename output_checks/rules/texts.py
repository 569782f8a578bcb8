"""Texts, logs and code with numbers in them.

Decides what in a text looks like a person, a record or a small count. It can only point: a text never passes
unseen when it holds numbers. Leaves reading the text to people.
"""

from __future__ import annotations

import re
from pathlib import Path

from output_checks.appetites import Profile, load
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w.]*\d)")
COUNT = re.compile(
    r"\b(?:n\s*=\s*)(\d+)\b|\b(\d+)\s+(?:people|persons|patients|participants|respondents|women|men|children|cases|deaths|"
    r"records|individuals|subjects|households|firms|companies)\b",
    re.IGNORECASE,
)
WORDS = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine)\s+(?:people|persons|patients|participants|women|men|children|cases|"
    r"deaths|individuals)\b",
    re.IGNORECASE,
)
IDENTIFIERS = {
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"),
    "NHS number": re.compile(r"\b\d{3}[ -]?\d{3}[ -]?\d{4}\b"),
    "national insurance number": re.compile(r"\b[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"),
    "postcode": re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"),
    "date of birth": re.compile(r"\b(?:dob|born)\b\W{0,3}\d", re.IGNORECASE),
}
ROWS = 5
MAX_BYTES = 4 * 2**20


def check_text(text: str | bytes | Path, *, profile: str | Profile = "sacro") -> Verdict:
    """Judges a text: identifiers, small counts and printed rows fail, other numbers are for review, plain
    words pass. What cannot be read is a failing finding.

    Source: OpenSAFELY's rules for text and logs. Raises BadInput for a profile that is not known.
    """
    house = load(profile)
    try:
        raw = text.read_bytes() if isinstance(text, Path) else text
        words = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        if len(words) > MAX_BYTES or "\0" in words:
            raise ValueError
    except (OSError, ValueError):
        blocked = Finding("unreadable", "fail", "The text could not be read.", "Give UTF-8 text of at most 4 MB.")
        return Verdict("text", (blocked,), house.id)
    lines = words.splitlines()
    findings = []
    for number, line in enumerate(lines, start=1):
        findings += _line(number, line, house)
    rows = [number for number, line in enumerate(lines, start=1) if _is_row(line)]
    if len(rows) >= ROWS:
        why = f"{len(rows)} lines look like printed records, the first is line {rows[0]}."
        findings.append(Finding("microdata", "fail", why, "Remove printed data.", evidence={"line": rows[0]}))
    numbers = sum(len(NUMBER.findall(line)) for line in lines)
    if numbers and not findings:
        why = f"The text holds {numbers} numbers."
        findings.append(Finding("numbers", "review", why, "A checker reads it.", evidence={"numbers": numbers}))
    return Verdict("text", tuple(findings), house.id, {"lines": len(lines), "numbers": numbers})


def _line(number: int, line: str, house: Profile) -> list[Finding]:
    found = []
    for name, pattern in IDENTIFIERS.items():
        if pattern.search(line):
            found.append(Finding("identifier", "fail", f"Line {number} holds what looks like a {name}.", "Remove it."))
    small = [int(a or b) for a, b in COUNT.findall(line) if below_limit(int(a or b), house.threshold)]
    if small or WORDS.search(line):
        why = f"Line {number} speaks of a count that is too small."
        found.append(
            Finding("threshold", "fail", why, "Write fewer than the threshold, or nothing.", evidence={"line": number})
        )
    return found


def _is_row(line: str) -> bool:
    """Three or more values side by side, most of them numbers."""
    parts = [part for part in re.split(r"[,;|\t]|\s{2,}", line.strip()) if part]
    numeric = sum(bool(re.fullmatch(r"\s*[-+]?\d[\d.]*\s*", part)) for part in parts)
    return len(parts) >= 3 and numeric >= 2 and 2 * numeric >= len(parts)
