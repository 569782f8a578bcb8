"""`check`, `protect` and `compare_published`: a table specification and data in, a report out.

Decides the order: profile, evidence, rules, report. Leaves each of them to its module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from output_checks.appetites import Profile, adapt, load
from output_checks.attack.against import compare, named
from output_checks.evidence.gather import gather
from output_checks.evidence.spec import TableSpec
from output_checks.mitigation import mitigate
from output_checks.mitigation.mitigate import Mitigated
from output_checks.protection.protecting import RANGE
from output_checks.rules.findings import Finding
from output_checks.rules.judgement import Judgement, judge

EMPTY = Finding(
    "empty",
    "review",
    "No record is left, so the table has no cell that could be judged.",
    "Check the filter and the missing labels; that nobody is there may itself be a statement about people.",
)


class Report(Judgement):
    """A verdict on one table, with ways to mitigate it."""

    def suppress(self, *, totals: str = "recompute") -> Mitigated:
        """Unsafe cells left empty. `totals="recompute"` gives totals of what is still shown; `"keep"` keeps
        true totals and leaves further cells empty until nothing can be worked out.
        """
        return mitigate.suppress(self, totals=totals)

    def round(self, base: int | None = None) -> Mitigated:
        """Unsafe cells left empty, the others rounded to a multiple of `base`; totals are sums of rounded cells."""
        return mitigate.round_to(self, base or self.profile.round_base or 5)

    def midpoint(self, base: int | None = None) -> Mitigated:
        """Counts as midpoints of bands of `base` (1-6 → 3, 7-12 → 9); totals are sums of them."""
        return mitigate.midpoint(self, base or self.profile.midpoint_base or 6)

    def _repr_html_(self) -> str:
        from output_checks.rules.view import html

        return html(self)


def check(
    spec: TableSpec | dict[str, Any],
    data: Any,
    profile: str | Path | Profile = "sacro",
    *,
    may_loosen: bool = True,
) -> Report:
    """Judges every cell of the table `spec` on `data` by a risk appetite.

    data is a pandas, polars or Arrow table, a DuckDB relation, or the path of Parquet or CSV. With
    `may_loosen=False` parameters of the specification that are looser than the profile are ignored. Raises
    BadInput for what the specification gets wrong and Unreadable for data that cannot be read; both mean blocked.
    """
    table = spec if isinstance(spec, TableSpec) else TableSpec.from_dict(spec)
    appetite = adapt(load(profile), table.parameters, may_loosen=may_loosen)
    top = max([2, *(rule.n for rule in appetite.nk)])
    evidence = gather(table, data, top=top)
    return Report(evidence, appetite, judge(evidence, appetite), () if evidence.published.any() else (EMPTY,))


def protect(
    spec: TableSpec | dict[str, Any],
    data: Any,
    profile: str | Path | Profile = "sacro",
    *,
    range: float = RANGE,
    seconds: float = 10.0,
) -> Mitigated:
    """The table with true totals, unsafe cells and as few others as possible empty, with a certificate that
    nothing follows.

    range     frequency: how far (± a share of the threshold) each unsafe cell must stay free; magnitude: the
              rule's own level
    seconds   time for improvement; the answer is always safe
    Raises BadInput for statistics without sums, Unsafe if the table cannot be protected at all.
    """
    return mitigate.protected(check(spec, data, profile), range=range, seconds=seconds)


def compare_published(
    spec: TableSpec | dict[str, Any],
    data: Any,
    cells: Any,
    profile: str | Path | Profile = "sacro",
) -> Report:
    """The verdict on a table as published: recomputed from `data` and compared with `cells`.

    cells is what `published.read` gives, the path of the written file, or a list of {"labels": {…}, "value":
    …}. The specification cannot loosen the profile. Findings: those of every rule for disclosive cells that
    were published, `mismatch`, `missing_cell`, `unknown_cell`, `unreadable_cell`, `recoverable`, `singleton`.
    Raises BadInput and Unreadable as `check` does, and Unreadable for a file that is not the declared table.
    """
    table = spec if isinstance(spec, TableSpec) else TableSpec.from_dict(spec)
    return compare(check(table, data, profile, may_loosen=False), named(cells, table))
