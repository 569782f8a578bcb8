"""Odds and risk ratios through the 2 × 2 tables behind them.

Decides which tables agree with a published ratio, its confidence interval and the published sizes, and whether every
one of them holds a count that is too small. Source: SACRO statbarn 10 (calculated ratios).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile, load
from output_checks.errors import BadInput
from output_checks.rules.findings import Finding
from output_checks.rules.kinds import numbers
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np

MOST_TABLES = 4_000_000
Table = tuple[int, int, int, int]


def check_ratio(cells: Sequence[Sequence[float]], *, profile: str | Profile = "sacro") -> Verdict:
    """An odds or risk ratio by its 2 × 2 table of counts, [[a, b], [c, d]]: every cell must be large enough.

    Source: SACRO statbarn 10. Raises BadInput for a table of another shape, or of what are no counts.
    """
    house = load(profile)
    flat = numbers([n for row in cells for n in row], "cells")
    if len(flat) != 4:
        raise BadInput("is not 2 × 2.", field="cells", remedy="Give [[a, b], [c, d]].")
    small = [n for n in flat if below_limit(n, house.threshold)]
    why = f"{len(small)} of the four counts behind the ratio are too small (least {min(flat):g})."
    findings = (Finding("threshold", "fail", why, "Leave the ratio out, or widen the groups."),) if small else ()
    return Verdict("ratio", findings, house.id, {"least": min(flat)})


def implied_tables(
    ratio: str,
    exposed: int | None = None,
    unexposed: int | None = None,
    *,
    kind: str = "odds",
    cases: int | None = None,
    total: int | None = None,
    interval: tuple[str, str] | None = None,
    level: float = 0.95,
) -> list[Table]:
    """Every 2 × 2 table (a, b, c, d) that gives the published ratio at its shown decimals: a of a + b exposed and c of
    c + d unexposed are cases.

    Known besides: both group sizes, or the total; cases; and the confidence interval (Wald on the log scale) at its
    shown decimals, which tells the standard error and with it nearly always the one table. Raises BadInput for more
    tables than can be tried.
    """
    import numpy as np

    if kind not in ("odds", "risk"):
        raise BadInput(f"{kind!r} is not known.", field="kind", remedy='Use "odds" or "risk".')
    sizes = _sizes(exposed, unexposed, total)
    if sum((m + 1) * (1 if cases is not None else n + 1) for m, n in sizes) > MOST_TABLES:
        raise BadInput("are too many tables to try.", field="exposed", remedy="Give both group sizes, or the cases.")
    out: list[Table] = []
    for m, n in sizes:
        a = np.arange(m + 1)[:, None]
        c = np.arange(n + 1)[None, :] if cases is None else cases - a
        a, c = np.broadcast_arrays(a, c)
        good = (c >= 0) & (c <= n) & _agree(a, m - a, c, n - c, kind, ratio, interval, level)
        out += [(int(x), m - int(x), int(y), n - int(y)) for x, y in zip(a[good], c[good], strict=True)]
    return out


def _sizes(exposed: int | None, unexposed: int | None, total: int | None) -> list[tuple[int, int]]:
    if exposed is not None and unexposed is not None:
        return [(exposed, unexposed)]
    if total is None:
        raise BadInput("is not known.", field="exposed", remedy="Give exposed and unexposed, or the total.")
    if exposed is not None or unexposed is not None:
        one = int(exposed if exposed is not None else unexposed or 0)
        return [(one, total - one)] if exposed is not None else [(total - one, one)]
    return [(m, total - m) for m in range(1, total)]


def _agree(
    a: Any, b: Any, c: Any, d: Any, kind: str, ratio: str, interval: tuple[str, str] | None, level: float
) -> np.ndarray:
    """Mask of the tables that would be published with these numbers."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        value = (a * d) / (b * c) if kind == "odds" else (a * (c + d)) / (c * (a + b))
        good = _shown_as(value, ratio)
        if interval is not None:
            known = 1 / a + 1 / c + (1 / b + 1 / d if kind == "odds" else -1 / (a + b) - 1 / (c + d))
            reach = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(known)
            good &= _shown_as(value * np.exp(-reach), interval[0]) & _shown_as(value * np.exp(reach), interval[1])
    return np.asarray(good)


def _shown_as(value: Any, text: str) -> Any:
    """Whether a value would be shown as this text: within half a unit of its last decimal."""
    try:
        shown, half = float(text), 0.5 * 10.0 ** -len(text.partition(".")[2])
    except (TypeError, ValueError, AttributeError):
        raise BadInput(f"{text!r} is no number in words.", field="ratio", remedy='Write it as shown: "1.30".') from None
    return (value >= shown - half * (1 + 1e-9)) & (value <= shown + half * (1 + 1e-9))


def check_implied(
    ratio: str,
    exposed: int | None = None,
    unexposed: int | None = None,
    *,
    kind: str = "odds",
    cases: int | None = None,
    total: int | None = None,
    interval: tuple[str, str] | None = None,
    level: float = 0.95,
    profile: str | Profile = "sacro",
) -> Verdict:
    """A ratio with published sizes, and its confidence interval if that is published: fails if every table that gives
    them holds a count that is too small.

    ratio, interval     as they are shown ("1.30"): their decimals say how many tables agree with them
    exposed, unexposed  people in each group       cases, total  people with the outcome, and all of them
    kind                "odds" or "risk"           level         of the interval (0.95)
    Source: SACRO statbarn 10. Raises BadInput for another kind, missing sizes, or more tables than can be tried.
    """
    house = load(profile)
    tables = implied_tables(
        ratio, exposed, unexposed, kind=kind, cases=cases, total=total, interval=interval, level=level
    )
    findings: list[Finding] = []
    if not tables:
        findings.append(Finding("unreadable", "fail", "No table of counts gives these numbers.", "Check them."))
    least = max((min(table) for table in tables), default=0)
    if tables and below_limit(least, house.threshold):
        why = f"Each of the {len(tables)} tables that can be behind the ratio holds a count of {least} or less."
        remedy = "Round ratio and interval to 2 digits, or leave out the interval or the sizes."
        findings.append(Finding("implied_table", "fail", why, remedy, evidence={"tables": len(tables), "least": least}))
    return Verdict("ratio", tuple(findings), house.id, {"tables": len(tables)})
