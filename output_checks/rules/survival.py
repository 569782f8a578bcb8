"""Survival curves and life tables: how many people stand behind every step.

Decides what of a curve may leave: numbers at risk, events and withdrawals of each interval, published or implied by
other columns. Source: SACRO statbarn 11 (implicit tables, low degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from output_checks.appetites import Limit, Profile, load
from output_checks.errors import BadInput
from output_checks.rules.findings import Finding
from output_checks.rules.kinds import numbers
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

HALF = 0.5


def check_survival(at_risk: Sequence[float], *, profile: str | Profile = "sacro") -> Verdict:
    """A survival or life table by its published steps: numbers at risk, first to last.

    Each step must hide at least the profile's number of events and censorings, and so must the tail that is
    still at risk. Source: SACRO statbarn 11. Raises BadInput for numbers that grow, or are none.
    """
    house, counts = load(profile), numbers(at_risk, "at_risk")
    limit = house.survival or house.threshold
    findings = []
    for i, (before, after) in enumerate(pairwise(counts)):
        if after > before:
            raise BadInput("grows.", field=f"at_risk[{i + 1}]", remedy="Give numbers at risk from first to last.")
        if before > after and below_limit(before - after, limit):
            why = f"{before - after:g} people leave between step {i} and step {i + 1}; {limit.words} are asked for."
            findings.append(Finding("survival_step", "fail", why, "Join steps.", evidence={"step": i + 1}))
    if counts and counts[-1] > 0 and below_limit(counts[-1], limit):
        why = f"Only {counts[-1]:g} people are left at risk at the end."
        findings.append(
            Finding("survival_tail", "fail", why, "End the curve earlier.", evidence={"at_risk": counts[-1]})
        )
    return Verdict("survival", tuple(findings), house.id, {"steps": len(counts)})


def coarse_survival(
    durations: Sequence[float], observed: Sequence[Any], *, profile: str | Profile = "sacro"
) -> list[tuple[float, float, int]]:
    """Kaplan-Meier as it may leave: (time, survival, at risk) after every so many events and censorings; the
    tail is cut.

    The survival at a joint step is that of the curve at its last time. Raises BadInput for lists of different length.
    """
    house = load(profile)
    limit = house.survival or house.threshold
    if len(durations) != len(observed):
        raise BadInput("differ in length.", field="observed", remedy="Give one flag per duration.")
    pairs = sorted(zip(numbers(durations, "durations"), map(bool, observed), strict=True))
    left, survival, gone, steps = len(pairs), 1.0, 0, [(0.0, 1.0, len(pairs))]
    at = 0
    while at < len(pairs):
        moment = pairs[at][0]
        same = [event for time, event in pairs[at:] if time == moment]
        survival *= 1 - sum(same) / left
        left, at, gone = left - len(same), at + len(same), gone + len(same)
        if not below_limit(gone, limit) and not below_limit(left, limit):
            steps.append((moment, survival, left))
            gone = 0
    return steps


def check_life_table(
    at_risk: Sequence[float],
    *,
    events: Sequence[float] | None = None,
    withdrawn: Sequence[float] | None = None,
    survival: Sequence[float] | None = None,
    hazard: Sequence[float] | None = None,
    width: float = 1.0,
    profile: str | Profile = "sacro",
) -> Verdict:
    """A life table by its published columns, one entry per interval: numbers entering it, and any of events, withdrawn
    (censored), survival at its end (0 … 1) and hazard (per unit of time; intervals are `width` of them).

    Judges the steps as `check_survival`, every published column, and what columns imply: events from the quotient of
    neighbouring survivals (Kaplan-Meier or actuarial) or from the hazard, withdrawals as the rest of the step.
    Source: SACRO statbarn 11. Raises BadInput for columns of different length, and numbers at risk that grow.
    """
    house, n = load(profile), numbers(at_risk, "at_risk")
    limit = house.survival or house.threshold
    given = {"events": events, "withdrawn": withdrawn, "survival": survival, "hazard": hazard}
    columns = {name: numbers(values, name) for name, values in given.items() if values is not None}
    for name, values in columns.items():
        if len(values) != len(n):
            raise BadInput(f"has {len(values)} entries for {len(n)} intervals.", field=name, remedy="Give one each.")
    findings = list(check_survival(n, profile=house).findings)
    for name in ("events", "withdrawn"):
        findings += _small(columns.get(name, []), name, limit, "published")
    implied = _implied_events(n, columns, width)
    if implied is not None:
        findings += _small(implied, "events", limit, "implied by survival or hazard")
    known = columns.get("events", implied)
    steps = [before - after for before, after in pairwise(n)]
    if known is not None and "withdrawn" not in columns:
        rest = [step - gone for step, gone in zip(steps, known, strict=False)]
        findings += _small([round(x) for x in rest if x > HALF], "withdrawn", limit, "implied by the steps")
    if "withdrawn" in columns and known is None:
        rest = [step - gone for step, gone in zip(steps, columns["withdrawn"], strict=False)]
        findings += _small([x for x in rest if x > HALF], "events", limit, "implied by the steps")
    return Verdict("life table", tuple(findings), house.id, {"intervals": len(n), "columns": sorted(columns)})


def _small(counts: Sequence[float], name: str, limit: Limit, how: str) -> Iterator[Finding]:
    """Counts of some but too few people."""
    small = [x for x in counts if round(x) > 0 and below_limit(round(x), limit)]
    if small:
        why = f"{len(small)} numbers of {name} ({how}) are too small, the least {round(min(small))}."
        yield Finding("survival_count", "fail", why, "Join intervals.", evidence={"column": name})


def _implied_events(n: list[float], columns: dict[str, list[float]], width: float) -> list[float] | None:
    """Events per interval as a reader computes them; None if nothing implies them.

    Kaplan-Meier: d = n (1 - S / S before); the actuarial method has n - w / 2 for n. Hazard: d = h × width × (n less
    half of those who leave).
    """
    gone = columns.get("withdrawn", [0.0] * len(n))
    exposed = [x - w / 2 for x, w in zip(n, gone, strict=True)]
    if "survival" in columns:
        before = [1.0, *columns["survival"][:-1]]
        pairs = zip(exposed, before, columns["survival"], strict=True)
        return [x * (1 - s / b) if b > 0 else 0.0 for x, b, s in pairs]
    if "hazard" in columns:
        rates = [h * width for h in columns["hazard"]]
        return [x * rate / (1 + rate / 2) for x, rate in zip(exposed, rates, strict=True)]
    return None
