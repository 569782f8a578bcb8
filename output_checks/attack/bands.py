"""What one published value says of the true one: a band, and how means and percentages tie sums to counts.

Decides the least and greatest true value behind a rounded one, and which measures are quotients of others. Leaves
what follows from many values together to `systems` and `auditing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from output_checks.errors import BadInput
from output_checks.evidence.spec import PERCENTS

if TYPE_CHECKING:
    import numpy as np

COUNT = "count"
RELATIVE = 1e-9
WIDTH = 3.0  # a hidden count must be free by at least this, 30 % of the usual threshold of ten
CLOSE = 0.05  # a hidden sum must not be known to within this share of itself


@dataclass(frozen=True)
class Measure:
    """What the cells of a table hold: `count`, `sum:income`, `mean:income`, `row_percent`, or any other word for
    something that adds up.
    """

    statistic: str
    variable: str = ""

    @classmethod
    def parse(cls, text: str) -> Measure:
        """From the header of a value column."""
        statistic, _, variable = text.partition(":")
        known = statistic in (COUNT, "sum", "mean", *PERCENTS)
        return cls(statistic, variable) if known else cls(text)

    @property
    def quotient(self) -> bool:
        return self.statistic == "mean" or self.statistic in PERCENTS

    @property
    def top(self) -> str:
        """The additive measure that is (or, for a quotient, is divided by the count of its base)."""
        if self.statistic in (COUNT, *PERCENTS):
            return COUNT
        return f"sum:{self.variable}" if self.statistic in ("sum", "mean") else self.statistic


def band(values: np.ndarray, rounding: str, *, whole: bool, negative: bool) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest true value behind published ones; NaN (suppressed) says nothing beyond the sign.

    round:b is to the nearest multiple, halves up; midpoint:b has 0 for nobody and the middle of 1…b, b+1…2b, …
    """
    import numpy as np

    floor = -np.inf if negative else 0.0
    least, most = values.astype(float).copy(), values.astype(float).copy()
    kind, _, base = rounding.partition(":")
    if kind == "round":
        half = int(base) / 2
        least = np.ceil(values - half) if whole else values - half
        most = np.ceil(values + half) - 1 if whole else values + half
    elif kind == "midpoint":
        top = values + int(base) // 2
        least, most = np.where(values == 0, 0, top - int(base) + 1), np.where(values == 0, 0, top)
    elif kind:
        raise BadInput(f"{rounding!r} is not known.", field="rounding", remedy='Use "round:5" or "midpoint:6".')
    gone = np.isnan(values)
    return np.where(gone, floor, np.maximum(least, floor)), np.where(gone, np.inf, most)


def half_unit(values: np.ndarray) -> float:
    """Half a unit of the finest decimal that a table shows: the reader's uncertainty about its means or percentages."""
    exponents = [Decimal(repr(v)).as_tuple().exponent for v in values.tolist() if v == v]
    return 0.5 * 10.0 ** min((e for e in exponents if isinstance(e, int)), default=0)
