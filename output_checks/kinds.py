"""Outputs that are neither table, model nor figure: curves, ratios, concentration, tests, clusters, components.

Decides for each kind what evidence is needed and which rules apply; thresholds come from the profile. Each
function takes plain numbers, so that any language can call it. Leaves text to `texts`. Sources: SACRO
statbarns 2, 3, 9–12 and 14, SDC Handbook.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from output_checks.appetites import Profile, load
from output_checks.errors import BadInput
from output_checks.findings import Finding
from output_checks.rules import below_limit
from output_checks.verdict import Verdict

MOST_TABLES = 2_000_000


def check_survival(at_risk: Sequence[float], *, profile: str | Profile = "sacro") -> Verdict:
    """A survival or life table by its published steps: numbers at risk, first to last.

    Each step must hide at least the profile's number of events and censorings, and so must the tail that is
    still at risk.
    """
    house, counts = load(profile), _numbers(at_risk, "at_risk")
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
    pairs = sorted(zip(_numbers(durations, "durations"), map(bool, observed), strict=True))
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


def check_ratio(cells: Sequence[Sequence[float]], *, profile: str | Profile = "sacro") -> Verdict:
    """An odds or risk ratio by its 2 × 2 table of counts: every cell must be large enough."""
    house = load(profile)
    flat = _numbers([n for row in cells for n in row], "cells")
    if len(flat) != 4:
        raise BadInput("is not 2 × 2.", field="cells", remedy="Give [[a, b], [c, d]].")
    small = [n for n in flat if below_limit(n, house.threshold)]
    why = f"{len(small)} of the four counts behind the ratio are too small (least {min(flat):g})."
    findings = (Finding("threshold", "fail", why, "Leave the ratio out, or widen the groups."),) if small else ()
    return Verdict("ratio", findings, house.id, {"least": min(flat)})


def implied_tables(
    ratio: str, exposed: int, unexposed: int, *, kind: str = "odds", cases: int | None = None
) -> list[tuple[int, int, int, int]]:
    """Every 2 × 2 table (a, b, c, d) that gives the published ratio at its shown decimals with the published
    group sizes.
    """
    if kind not in ("odds", "risk") or exposed * unexposed > MOST_TABLES:
        raise BadInput("cannot be enumerated.", field="kind", remedy='Use "odds" or "risk" and smaller groups.')
    decimals = len(ratio.partition(".")[2])
    low, high = float(ratio) - 0.5 * 10.0**-decimals, float(ratio) + 0.5 * 10.0**-decimals
    out = []
    for a in range(exposed + 1):
        for c in range(unexposed + 1) if cases is None else [cases - a]:
            if not 0 <= c <= unexposed:
                continue
            b, d = exposed - a, unexposed - c
            top, bottom = (a * d, b * c) if kind == "odds" else (a * unexposed, c * exposed)
            if bottom and low <= top / bottom <= high:
                out.append((a, b, c, d))
    return out


def check_implied(
    ratio: str, exposed: int, unexposed: int, *, kind: str = "odds", cases: int | None = None,
    profile: str | Profile = "sacro",
) -> Verdict:  # fmt: skip
    """A ratio with published group sizes: fails if all tables that give it agree on a count that is too small."""
    house = load(profile)
    tables = implied_tables(ratio, exposed, unexposed, kind=kind, cases=cases)
    findings: list[Finding] = []
    if not tables:
        findings.append(Finding("unreadable", "fail", "No table of counts gives this ratio.", "Check the numbers."))
    for i, name in enumerate("abcd"):
        most = max((table[i] for table in tables), default=0)
        if tables and below_limit(most, house.threshold):
            why = f"Cell {name} of the table behind the ratio can only be {most} or less."
            findings.append(Finding("implied_table", "fail", why, "Round the ratio to 2 digits, or leave sizes out."))
    return Verdict("ratio", tuple(findings), house.id, {"tables": len(tables)})


def check_concentration(contributions: Sequence[float], *, profile: str | Profile = "sacro") -> Verdict:
    """A Herfindahl-Hirschman or diversity index: sqrt(HHI) bounds the largest share, so it must not exceed
    dominance.
    """
    house, sizes = load(profile), [abs(x) for x in _numbers(contributions, "contributions")]
    total = math.fsum(sizes)
    hhi = math.fsum((x / total) ** 2 for x in sizes) if total > 0 else 0.0
    findings = list(_enough(len(sizes), house))
    limit = min((rule.k for rule in house.nk), default=0.9)
    if hhi >= limit**2:
        why = f"The index ({hhi:.3f}) says that the largest holds at least {100 * hhi:.0f} %."
        findings.append(Finding("dominance_hhi", "fail", why, "Use larger groups.", evidence={"hhi": hhi}))
    return Verdict("concentration", tuple(findings), house.id, {"n": len(sizes), "hhi": hhi})


def check_lorenz(group_counts: Sequence[float], *, top_share: float = 0.0, profile: str | Profile = "sacro") -> Verdict:
    """A Gini coefficient or Lorenz curve: records per published segment; `top_share` is what the last one holds."""
    house, counts = load(profile), _numbers(group_counts, "group_counts")
    findings = list(_enough(sum(counts), house))
    small = [n for n in counts if below_limit(n, house.threshold)]
    if small:
        why = f"{len(small)} segments of the curve rest on too few (least {min(small):g})."
        findings.append(Finding("threshold", "fail", why, "Use deciles or coarser groups."))
    if any(top_share >= rule.k for rule in house.nk):
        why = f"The last segment holds {100 * top_share:.0f} %."
        findings.append(Finding("dominance_nk", "fail", why, "Use fewer segments."))
    return Verdict("lorenz", tuple(findings), house.id, {"n": sum(counts)})


def check_correlation(r: float, n: int, *, profile: str | Profile = "sacro") -> Verdict:
    """A correlation coefficient over n units: n - 2 degrees of freedom, and not perfect."""
    house = load(profile)
    findings = list(_freedom(n - 2, house))
    if not abs(r) < 1 - 1e-9:
        why = "A perfect correlation lets one variable be worked out from the other."
        findings.append(Finding("perfect_fit", "fail", why, "Leave it out."))
    return Verdict("correlation", tuple(findings), house.id, {"n": n})


def check_test(dof: float, *, n: int | None = None, profile: str | Profile = "sacro") -> Verdict:
    """A hypothesis test (t, F, χ², …) by its residual degrees of freedom. A χ² test does not make its table safe."""
    house = load(profile)
    findings = [*_freedom(dof, house), *(_enough(n, house) if n is not None else ())]
    return Verdict("test", tuple(findings), house.id, {"dof": dof})


def check_clusters(sizes: Sequence[float], *, centroids: str = "means", profile: str | Profile = "sacro") -> Verdict:
    """Clusters by their sizes; centroids are means of a cluster, medoids are records of people."""
    house, counts = load(profile), _numbers(sizes, "sizes")
    small = [n for n in counts if below_limit(n, house.threshold)]
    findings = []
    if small:
        why = f"{len(small)} clusters are too small (least {min(small):g})."
        findings.append(Finding("threshold", "fail", why, "Use fewer clusters."))
    if centroids != "means":
        findings.append(Finding("microdata", "fail", "Medoids are records of people.", "Publish means of clusters."))
    return Verdict("clusters", tuple(findings), house.id, {"clusters": len(counts)})


def check_components(n: int, variables: int, *, scores: bool = False, profile: str | Profile = "sacro") -> Verdict:
    """Principal components or factors: eigenvalues and loadings over n units and so many variables; scores are
    microdata.
    """
    house = load(profile)
    findings = list(_freedom(n - variables, house))
    if scores:
        findings.append(Finding("microdata", "fail", "Scores are one row per person.", "Publish loadings only."))
    return Verdict("components", tuple(findings), house.id, {"n": n, "variables": variables})


def _enough(n: float, house: Profile) -> Iterator[Finding]:
    if below_limit(n, house.threshold):
        yield Finding("threshold", "fail", f"It rests on {n:g} only.", "Use more records.", evidence={"n": n})


def _freedom(dof: float, house: Profile) -> Iterator[Finding]:
    if house.dof is not None and not (math.isfinite(dof) and not below_limit(dof, house.dof)):
        why = f"{dof:g} degrees of freedom; the house asks for {house.dof.words}."
        yield Finding("dof", "fail", why, "Use more records.", evidence={"dof": dof})


def _numbers(values: Any, field: str) -> list[float]:
    try:
        out = [float(value) for value in values]
    except (TypeError, ValueError):
        out = [math.nan]
    if not out or not all(map(math.isfinite, out)):
        raise BadInput("are not plain numbers.", field=field, remedy="Give a list of finite numbers.")
    return out
