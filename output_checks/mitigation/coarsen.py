"""Coarser outputs: merged categories, top- and bottom-coding, fewer quantiles.

Decides which merge keeps most cells, where the tails may be cut, how many quantiles a group bears. Proposes
only: the researcher applies it to the data and the new table is checked like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile, load
from output_checks.errors import BadInput
from output_checks.evidence.layout import label_text
from output_checks.rules.tables import below_limit

if TYPE_CHECKING:
    import numpy as np

    from output_checks.rules.judgement import Judgement

ORDERED = ("int", "float", "date", "time", "enum")


@dataclass(frozen=True)
class Merge:
    """A proposal for one dimension: groups of labels, cells that remain, and how many of them are still too small."""

    dimension: str
    groups: tuple[tuple[Any, ...], ...]
    cells: int
    unsafe: int

    @property
    def mapping(self) -> dict[Any, str]:
        """Old label → new label, for `series.map`."""
        return {label: " or ".join(map(label_text, group)) for group in self.groups for label in group}


def propose_merge(report: Judgement) -> Merge | None:
    """The merge of labels of one dimension after which no cell has too few units, keeping most cells; None if
    none is needed.

    Neighbours only where labels have an order (numbers, dates, categories), any two labels otherwise. If no
    dimension alone will do, the proposal that leaves fewest cells unsafe. Judges counts of records; check the
    merged table before it leaves.
    Raises nothing.
    """
    options = [option for j in range(len(report.evidence.axes)) if (option := _along(report, j)) is not None]
    if not options or all(
        len(option.groups) == len(report.evidence.axes[i].labels) for i, option in enumerate(options)
    ):
        return None
    return min(options, key=lambda option: (option.unsafe, -option.cells))


def _along(report: Judgement, j: int) -> Merge | None:
    import numpy as np

    e = report.evidence
    axis = e.axes[j]
    if axis.parents or not axis.labels:
        return None
    counts = _counts(report, j)
    groups: list[tuple[Any, ...]] = [(label,) for label in axis.labels]
    while _unsafe(counts, report.profile) and len(groups) > 1:
        best = None
        for a, b in _pairs(len(groups), axis.kind):
            trial = np.delete(counts, b, axis=0)
            trial[a - (b < a)] = counts[a] + counts[b]
            rank = (_unsafe(trial, report.profile), float(counts[a].sum() + counts[b].sum()))
            if best is None or rank < best[0]:
                best = (rank, a, b, trial)
        assert best is not None
        _, a, b, counts = best
        groups[a] = groups[a] + groups[b]
        del groups[b]
    return Merge(axis.name, tuple(groups), int(counts.size), _unsafe(counts, report.profile))


def _counts(report: Judgement, j: int) -> np.ndarray:
    """Units per label of the dimension (rows) and combination of the other labels (columns), base cells only."""
    import numpy as np

    e = report.evidence
    base = np.flatnonzero(e.base)
    others = np.delete(e.codes[base], j, axis=1)
    _, side = np.unique(others, axis=0, return_inverse=True)
    side = side.ravel()
    out = np.zeros((len(e.axes[j].labels), int(side.max(initial=0)) + 1))
    np.add.at(out, (e.codes[base, j], side), e.units[base])
    return out


def _unsafe(counts: np.ndarray, profile: Profile) -> int:
    few = (counts > 0) & below_limit(counts, profile.threshold)
    return int(few.sum() + (profile.zeros_are_disclosive * (counts == 0)).sum())


def _pairs(n: int, kind: str) -> list[tuple[int, int]]:
    if kind in ORDERED:
        return [(i, i + 1) for i in range(n - 1)]
    return [(a, b) for a in range(n) for b in range(a + 1, n)]


def coding_limits(values: Any, *, profile: str | Profile = "sacro") -> tuple[float, float]:
    """Bottom and top codes: (low, high) such that enough records lie at or beyond each. Raises BadInput for
    too few values.
    """
    import numpy as np

    house = load(profile)
    numbers = np.sort(np.asarray(values, dtype=float))
    numbers = numbers[np.isfinite(numbers)]
    need = int(house.threshold.limit) + (not house.threshold.safe_at_limit)
    if len(numbers) < 2 * need:
        raise BadInput("are too few to code both tails.", field="values", remedy="Use a larger group.")
    return float(numbers[need - 1]), float(numbers[len(numbers) - need])


def finest_quantiles(n: int, *, profile: str | Profile = "sacro") -> int:
    """Into how many quantile groups n records may be cut so that each holds enough; 1 if none may be published.

    Source: SACRO statbarn 4 (position). Raises BadInput for a profile that is not known.
    """
    house = load(profile)
    need = int(house.threshold.limit) + (not house.threshold.safe_at_limit)
    return max(1, n // need)
