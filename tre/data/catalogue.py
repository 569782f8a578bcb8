"""What the catalogue may say about a variable: pure functions from exact measures to what is shown.

The catalogue is published metadata and is itself disclosure-controlled (SATRE 3.1.20 and 3.4.01). The one rule: nothing
shown rests on fewer than `SMALLEST` protected units.

- a shown lowest value has at least `SMALLEST` units at or below it, a highest at or above it; both lie on a grid of
  round numbers (dates: the first of a month), so that neither follows one unit's own value;
- a share of missing values is rounded so coarsely that one step stands for at least `SMALLEST` units, and is put in
  words where fewer units miss it, or have it;
- counts are rounded down to two significant digits, and not shown below `SMALLEST`;
- identifiers and unit numbers show neither range nor categories.

Leaves measuring to `profile`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

#: Units behind everything shown: the threshold of SACRO's default appetite.
SMALLEST = 10
MOST_CATEGORIES = 50
_STEPS = (1, 2, 5, 10, 20, 25, 50)  # per cent
_GRID_LINES = 50


@dataclass(frozen=True)
class Measured:
    """Exact measures of one variable; they never leave the platform.

    `low` and `high` are the `SMALLEST` smallest and largest values of distinct units (ascending and descending).
    `categories` maps a value to its number of units; None where there are too many, or none are asked for.
    """

    records: int
    records_missing: int
    units: int
    units_missing: int
    units_present: int
    low: tuple[Any, ...] = ()
    high: tuple[Any, ...] = ()
    categories: dict[str, int] | None = None


@dataclass(frozen=True)
class Shown:
    """What the catalogue says of one variable."""

    missing: str
    lowest: str | None = None
    highest: str | None = None
    categories: list[str] | None = None
    categories_hidden: bool = False


def shown(measured: Measured, kind: str, *, protected: bool) -> Shown:
    missing = missing_words(measured)
    if protected or measured.units_present < SMALLEST:
        return Shown(missing)
    if measured.categories is not None:
        frequent = sorted(value for value, units in measured.categories.items() if units >= SMALLEST)
        return Shown(missing, categories=frequent, categories_hidden=len(frequent) < len(measured.categories))
    lowest, highest = bounds(measured.low, measured.high, kind)
    return Shown(missing, lowest, highest)


def shown_count(count: int) -> int | None:
    """Rounded down to two significant digits (to tens at the least); None below `SMALLEST`."""
    if count < SMALLEST:
        return None
    step = max(10, int(10 ** (len(str(count)) - 2)))
    return count // step * step


def missing_words(measured: Measured) -> str:
    """ "few or none", "about 12 %", "nearly all", or "not shown" for a dataset that is too small to say anything."""
    if measured.units < SMALLEST:
        return "not shown"
    if measured.units_missing < SMALLEST:
        return "few or none"
    if measured.units_present < SMALLEST:
        return "nearly all"
    step = next((s for s in _STEPS if s * measured.units >= 100 * SMALLEST), _STEPS[-1])
    share = round(100 * measured.records_missing / measured.records / step) * step
    return f"under {step} %" if share == 0 else "nearly all" if share == 100 else f"about {share} %"


def bounds(low: Sequence[Any], high: Sequence[Any], kind: str) -> tuple[str | None, str | None]:
    """The shown lowest and highest value. Both None where fewer than `SMALLEST` units stand behind either, or where
    the two would cross.
    """
    if len(low) < SMALLEST or len(high) < SMALLEST or low[SMALLEST - 1] > high[SMALLEST - 1]:
        return None, None
    first, last = low[SMALLEST - 1], high[SMALLEST - 1]
    if kind in ("date", "time"):
        return _months(first, last)
    return _grid(Decimal(repr(first)), Decimal(repr(last)), whole=kind == "int")


def _grid(first: Decimal, last: Decimal, *, whole: bool) -> tuple[str | None, str | None]:
    if first == last:
        return (_plain(first), _plain(first)) if whole else (None, None)
    step = _nice((last - first) / _GRID_LINES)
    if whole:
        step = max(step, Decimal(1))
    lowest = (first / step).to_integral_value(ROUND_CEILING) * step
    highest = (last / step).to_integral_value(ROUND_FLOOR) * step
    return (_plain(lowest), _plain(highest)) if lowest <= highest else (None, None)


def _nice(width: Decimal) -> Decimal:
    """The next of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not smaller."""
    power = Decimal(10) ** math.floor(math.log10(width))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width)


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _months(first: dt.date, last: dt.date) -> tuple[str | None, str | None]:
    """Rounded inwards to the first of a month."""
    low, high = (value.date() if isinstance(value, dt.datetime) else value for value in (first, last))
    if low.day > 1 or (isinstance(first, dt.datetime) and first.time() != dt.time()):
        if (low.year, low.month) == (9999, 12):
            return None, None
        low = (low.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    high = high.replace(day=1)
    return (low.isoformat(), high.isoformat()) if low <= high else (None, None)
