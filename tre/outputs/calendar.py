"""Working days: until when reviewers should have answered.

Decides that Monday to Friday are working days, but for the house's holidays, by UTC dates. Pure: the holidays are
handed in.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from tre.errors import InvalidInput

DAY = timedelta(days=1)
SATURDAY = 5
MAX_HOLIDAYS = 400


def is_working(day: date, holidays: Collection[date]) -> bool:
    return day.weekday() < SATURDAY and day not in holidays


def due_after(since: datetime, days: int, holidays: Collection[date]) -> datetime:
    """The same time of day so many working days later. What comes on a day off counts from the next working day's
    beginning.
    """
    moment = since.astimezone(UTC)
    if not is_working(moment.date(), holidays):
        while not is_working(moment.date(), holidays):
            moment += DAY
        moment = datetime.combine(moment.date(), time(), UTC)
    for _ in range(days):
        moment += DAY
        while not is_working(moment.date(), holidays):
            moment += DAY
    return moment


def working_days(now: datetime, due: datetime, holidays: Collection[date]) -> int:
    """Working days from today to the day when it is due; 0 on that day, negative after it. A day off counts as the
    next working day's beginning, as in `due_after`.
    """
    today, last = now.astimezone(UTC).date(), due.astimezone(UTC).date()
    while today < last and not is_working(today, holidays):
        today += DAY
    early, late = min(today, last), max(today, last)
    between = sum(is_working(early + DAY * n, holidays) for n in range(1, (late - early).days + 1))
    return between if today <= last else -between


def read_holidays(given: object) -> list[str]:
    """Dates as ISO text, in order, each once. Raises `InvalidInput`."""
    if not isinstance(given, list) or len(given) > MAX_HOLIDAYS:
        raise InvalidInput(f"Give a list of at most {MAX_HOLIDAYS} dates like 2026-12-25.", field="holidays")
    try:
        return sorted({date.fromisoformat(day).isoformat() for day in given})
    except (TypeError, ValueError) as error:
        raise InvalidInput("Give dates like 2026-12-25.", field="holidays") from error
