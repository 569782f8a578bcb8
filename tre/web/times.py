"""Moments as people read them: UTC, and how long ago or until when."""

from __future__ import annotations

from datetime import UTC, date, datetime

STEPS = ((60, 1, "second"), (3600, 60, "minute"), (86400, 3600, "hour"), (30 * 86400, 86400, "day"))
MONTH, YEAR = 30 * 86400, 365 * 86400


def moment(value: datetime) -> str:
    """23 November 2026, 04:48 UTC."""
    there = value.astimezone(UTC)
    return f"{day(there.date())}, {there:%H:%M} UTC"


def day(value: date) -> str:
    """23 November 2026."""
    return f"{value.day} {value:%B %Y}"


def relative(value: datetime, now: datetime) -> str:
    """2 hours ago, in 3 days, just now."""
    seconds = (value - now).total_seconds()
    away = abs(seconds)
    if away < 45:
        return "just now"
    words = distance(away)
    return f"in {words}" if seconds > 0 else f"{words} ago"


def lasting(since: datetime, now: datetime) -> str:
    """for 2 hours, for a moment."""
    seconds = (now - since).total_seconds()
    return f"for {distance(seconds)}" if seconds >= 45 else "for a moment"


def distance(seconds: float) -> str:
    for below, size, name in (*STEPS, (YEAR, MONTH, "month")):
        count = max(1, round(seconds / size))
        if seconds < below and count * size < below:
            return counted(count, name)
    return counted(max(1, round(seconds / YEAR)), "year")


def counted(count: int, noun: str, many: str = "") -> str:
    """1 file, 2 files; `many` where the plural is not the noun with an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {many or noun + 's'}"


def due_words(days: int, overdue: bool) -> str:
    """Until when, in working days: due today, due in 2 working days, due 1 working day ago."""
    if days == 0:
        return "due already" if overdue else "due today"
    return f"due {counted(-days, 'working day')} ago" if days < 0 else f"due in {counted(days, 'working day')}"
