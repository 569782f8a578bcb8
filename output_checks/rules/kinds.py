"""Outputs that are neither table, model nor figure: concentration, correlation, tests, clusters, components.

Decides for each kind what evidence is needed and which rules apply; thresholds come from the profile. Each
function takes plain numbers, so that any language can call it. Leaves text to `texts`, curves to `survival`, ratios
to `ratios`. Sources: SACRO statbarns 2, 3, 9, 12 and 14, SDC Handbook.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

from output_checks.appetites import Profile, load
from output_checks.errors import BadInput
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict


def check_concentration(contributions: Sequence[float], *, profile: str | Profile = "sacro") -> Verdict:
    """A Herfindahl-Hirschman or diversity index: sqrt(HHI) bounds the largest share, so it must not exceed dominance.

    contributions   one number per contributor, in any unit; sizes count, whatever the sign
    Source: SACRO statbarn 9 (non-linear concentration ratios). Raises BadInput for what are no finite numbers.
    """
    house, sizes = load(profile), [abs(x) for x in numbers(contributions, "contributions")]
    total = math.fsum(sizes)
    hhi = math.fsum((x / total) ** 2 for x in sizes) if total > 0 else 0.0
    findings = list(_enough(len(sizes), house))
    limit = min((rule.k for rule in house.nk), default=0.9)
    if hhi >= limit**2:
        why = f"The index ({hhi:.3f}) says that the largest holds at least {100 * hhi:.0f} %."
        findings.append(Finding("dominance_hhi", "fail", why, "Use larger groups.", evidence={"hhi": hhi}))
    return Verdict("concentration", tuple(findings), house.id, {"n": len(sizes), "hhi": hhi})


def check_lorenz(group_counts: Sequence[float], *, top_share: float = 0.0, profile: str | Profile = "sacro") -> Verdict:
    """A Gini coefficient or Lorenz curve by its published segments.

    group_counts   records behind each segment            top_share   share (0 … 1) that the last one holds
    Source: SACRO statbarn 12, and 7 for the last segment. Raises BadInput for what are no finite numbers.
    """
    house, counts = load(profile), numbers(group_counts, "group_counts")
    (top_share,) = numbers([top_share], "top_share")
    findings = list(_enough(sum(counts), house))
    small = [n for n in counts if below_limit(n, house.threshold)]
    if small:
        why = f"{len(small)} segments of the curve rest on too few (least {min(small):g})."
        findings.append(Finding("threshold", "fail", why, "Use deciles or coarser groups."))
    if any(top_share > rule.k or (top_share == rule.k and not rule.safe_at_limit) for rule in house.nk):
        why = f"The last segment holds {100 * top_share:.0f} %."
        findings.append(Finding("dominance_nk", "fail", why, "Use fewer segments."))
    return Verdict("lorenz", tuple(findings), house.id, {"n": sum(counts)})


def check_correlation(r: float, n: int, *, profile: str | Profile = "sacro") -> Verdict:
    """A correlation coefficient r (-1 … 1) over n units: n - 2 degrees of freedom, and not perfect.

    Source: SACRO statbarn 3. Raises BadInput for what are no finite numbers.
    """
    house = load(profile)
    findings = list(_freedom(n - 2, house))
    if not abs(r) < 1 - 1e-9:
        why = "A perfect correlation lets one variable be worked out from the other."
        findings.append(Finding("perfect_fit", "fail", why, "Leave it out."))
    return Verdict("correlation", tuple(findings), house.id, {"n": n})


def check_test(dof: float, *, n: int | None = None, profile: str | Profile = "sacro") -> Verdict:
    """A hypothesis test (t, F, χ², …) by its residual degrees of freedom, and by n units if that is said. A χ² test
    does not make its table safe.

    Source: SACRO statbarn 2. Raises BadInput for what are no finite numbers.
    """
    house = load(profile)
    findings = [*_freedom(dof, house), *(_enough(n, house) if n is not None else ())]
    return Verdict("test", tuple(findings), house.id, {"dof": dof})


def check_clusters(sizes: Sequence[float], *, centroids: str = "means", profile: str | Profile = "sacro") -> Verdict:
    """Clusters by their sizes (units in each); centroids are "means" of a cluster, anything else ("medoids") records
    of people.

    Source: SACRO statbarn 14. Raises BadInput for what are no finite numbers.
    """
    house, counts = load(profile), numbers(sizes, "sizes")
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

    Source: SACRO statbarn 2 (eigenvalues) and 10 (factors). Raises BadInput for what are no finite numbers.
    """
    house = load(profile)
    findings = list(_freedom(n - variables, house))
    if scores:
        findings.append(Finding("microdata", "fail", "Scores are one row per person.", "Publish loadings only."))
    return Verdict("components", tuple(findings), house.id, {"n": n, "variables": variables})


def _enough(n: float, house: Profile) -> Iterator[Finding]:
    (n,) = numbers([n], "n")
    if below_limit(n, house.threshold):
        yield Finding("threshold", "fail", f"It rests on {n:g} only.", "Use more records.", evidence={"n": n})


def _freedom(dof: float, house: Profile) -> Iterator[Finding]:
    if not isinstance(dof, Real):
        raise BadInput(f"{dof!r} is no number.", field="dof", remedy="Give the residual degrees of freedom.")
    if house.dof is not None and not (math.isfinite(dof) and not below_limit(dof, house.dof)):
        why = f"{dof:g} degrees of freedom; the house asks for {house.dof.words}."
        yield Finding("dof", "fail", why, "Use more records.", evidence={"dof": dof})


def numbers(values: Any, field: str) -> list[float]:
    """Plain finite numbers. Raises BadInput for anything else."""
    try:
        out = [float(value) for value in values]
    except (TypeError, ValueError):
        out = [math.nan]
    if not out or not all(map(math.isfinite, out)):
        raise BadInput("are not plain numbers.", field=field, remedy="Give a list of finite numbers.")
    return out
