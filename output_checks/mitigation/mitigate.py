"""Mitigated tables: suppressed or rounded, written, read back and audited before they are handed over.

Decides what is shown after mitigation, and that every way out leads through the audit of `readback`. Leaves the choice
of further cells to suppress to `protection`, layout and bytes to `writing`, `given`, `encoding` and `bars`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput
from output_checks.evidence.layout import text_parents
from output_checks.evidence.spec import PERCENTS
from output_checks.evidence.totals import add_up, rounded, values_of_shown
from output_checks.mitigation.delivery import deliver
from output_checks.mitigation.redacted import Redacted
from output_checks.protection.protecting import RANGE, protect_report
from output_checks.rules.judgement import Judgement

if TYPE_CHECKING:
    import numpy as np

    from output_checks.mitigation.bars import Bars


@dataclass(frozen=True)
class Mitigated(Redacted):
    """A table that may leave: every way out of it is read back and audited."""

    def bars(self, title: str = "") -> Bars:
        """A bar chart of the published cells; `write`, `png` and `svg` read their bytes back."""
        from output_checks.mitigation.bars import Bars

        return Bars(self, title or " / ".join(self.report.spec.dimensions))

    def wide(self) -> Any:
        """The table as pandas would lay it out: rows by columns, labels with their own types, categories in order."""
        from output_checks.mitigation.writing import laid_out

        return laid_out(self.report, self.values())

    def like(self, table: Any) -> Any:
        """The caller's own frame (or Styler) of this table with mitigated values; order, names and types survive."""
        from output_checks.mitigation.given import like

        return like(self, table)

    def to_csv(self, *, layout: str = "long", like: Any = None) -> str:
        """The table as CSV text, read back and audited. `like` is the caller's own frame or Styler: its order, names
        and display formats survive. Raises Unsafe if the text gives away what it should hide.
        """
        from output_checks.mitigation.readback import audited_csv

        return audited_csv(self, layout, like)

    def write_csv(self, path: str | Path, *, layout: str = "long") -> Path:
        """Writes the audited CSV; the path never holds anything that was not audited."""
        return deliver(Path(path), self.to_csv(layout=layout).encode())

    def certificate(self) -> dict[str, Any]:
        """Proof for the long CSV that nothing follows from it; only for tables made by `protect`. See
        `certificates`.
        """
        from output_checks.protection.certificates import certify

        if self.proof is None:
            raise BadInput("has no proof.", field="table", remedy='Make it with protect or suppress(totals="keep").')
        raw, e = self.to_csv().encode(), self.report.evidence
        return certify(self.proof, [raw], total=e.spec.total, parents=text_parents(e.axes))

    def write(self, path: str | Path, *, layout: str = "long", like: Any = None) -> Path:
        """Writes CSV, XLSX, Parquet, HTML or LaTeX by the path's ending, after reading the bytes back and
        auditing them. `like` as for `to_csv`.
        """
        from output_checks.mitigation.encoding import encode

        kind = Path(path).suffix.lower().removeprefix(".")
        raw = encode(self, kind, layout, like)
        self.audit(raw, kind=kind)
        return deliver(Path(path), raw)

    def audit(self, raw: bytes, *, kind: str = "csv") -> Judgement:
        """Reads published bytes as anybody would and judges them. Raises Unsafe with the findings if they fail."""
        from output_checks.mitigation.readback import audit

        return audit(self, raw, kind)

    def _repr_html_(self) -> str:
        return str(self.wide()._repr_html_())


def suppress(report: Judgement, *, totals: str = "recompute") -> Mitigated:
    """Unsafe cells empty; totals of what is shown, or true totals with further cells empty."""
    import numpy as np

    if totals not in ("recompute", "keep"):
        raise BadInput(f"{totals!r} is not known.", field="totals", remedy='Use "recompute" or "keep".')
    e, hide = report.evidence, report.primary
    if totals == "keep":
        return protected(report)
    report = _declare(report, totals="shown")
    if e.mode is not None:
        return Mitigated(report, np.where(hide, np.array([None]), e.mode), _said(hide))
    return Mitigated(report, _recomputed(report, hide), _said(hide))


def _recomputed(report: Judgement, hide: np.ndarray) -> np.ndarray:
    """True values of safe cells; totals and percentages of what is shown; totals that cannot be recomputed
    stay only if nothing below them is hidden.
    """
    import numpy as np

    e = report.evidence
    base = e.base
    visible = base & ~hide
    again = values_of_shown(e, visible)
    if e.spec.statistic in ("count", "sum", "mean", *PERCENTS):
        shown = np.where(base & (e.spec.statistic not in PERCENTS), e.value, again)
        nothing = add_up(e, np.ones(len(e)), visible) == 0
        shown = np.where(nothing & ~base, np.nan, shown)
    else:
        part_hidden = add_up(e, (hide & base).astype(float), base) > 0
        shown = np.where(part_hidden & ~base, np.nan, e.value)
    return np.where(hide, np.nan, shown)


def protected(report: Judgement, *, range: float = RANGE, seconds: float = 10.0) -> Mitigated:
    """True totals; unsafe cells and as few others as possible empty, with the proof that nothing follows."""
    import numpy as np

    gone, proof = protect_report(report, range=range, seconds=seconds)
    return Mitigated(report, np.where(gone, np.nan, report.evidence.value), said_of(report, gone), proof=proof)


def said_of(report: Judgement, gone: np.ndarray) -> str:
    """One sentence on a protected table."""
    extra = int(gone.sum() - report.primary.sum())
    return f"{int(report.primary.sum())} unsafe cells and {extra} others are left empty; totals are true."


def round_to(report: Judgement, base: int) -> Mitigated:
    """Unsafe cells empty, the others rounded; totals are sums of rounded cells where the statistic adds up."""
    return _rounded(report, "round", base, hide=report.primary)


def midpoint(report: Judgement, base: int) -> Mitigated:
    """Midpoints of bands; only for counts. What the house does not accept as mitigation is left empty all the
    same.
    """
    import numpy as np

    if report.spec.statistic != "count":
        raise BadInput("are for counts only.", field="midpoints", remedy="Use round or suppress.")
    accepted = report.profile.midpoint_base == base
    hidden_by_midpoint = np.zeros(len(report.evidence), dtype=bool)
    for rule, (severity, mask) in report.masks.items():
        if severity == "fail" and not (accepted and rule in ("threshold", "zero")):
            hidden_by_midpoint |= mask
    return _rounded(report, "midpoint", base, hide=hidden_by_midpoint & report.evidence.published)


def _rounded(report: Judgement, kind: str, base: int, *, hide: np.ndarray) -> Mitigated:
    import numpy as np

    if type(base) is not int or base < 2:
        raise BadInput(f"{base!r} is not a whole number from 2.", field="base", remedy="Use 5.")
    if report.spec.statistic not in ("count", "sum", "units"):
        raise BadInput(
            f"cannot round {report.spec.statistic} to a base.", field="statistic", remedy="Suppress instead."
        )
    report = _declare(report, totals="shown", rounding=f"{kind}:{base}")
    e = report.evidence
    values = rounded(e.value, kind, base)
    cells = e.base
    if e.spec.statistic != "units":
        visible = cells & ~hide
        values = np.where(cells, values, add_up(e, values, visible))
        values = np.where(~cells & (add_up(e, np.ones(len(e)), visible) == 0), np.nan, values)
    return Mitigated(report, np.where(hide, np.nan, values), f"{_said(hide)} The others are rounded ({kind} {base}).")


def _declare(report: Judgement, **what: str) -> Judgement:
    """The report with a specification that says what was done."""
    declared = replace(report.spec, **what)
    return replace(report, evidence=replace(report.evidence, spec=declared))


def _said(hide: np.ndarray) -> str:
    return f"{int(hide.sum())} unsafe cells are left empty; totals are of what is shown."
