"""What is shown of a judged table after mitigation, as a plain value.

Decides which cells count as suppressed and how published values read (whole numbers whole). Leaves choosing them to
`mitigate`, laying them out to `writing` and `given`, bytes to `encoding` and their audit to `readback`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from output_checks.rules.judgement import Judgement

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Redacted:
    """`shown`: value per cell, NaN (None for modes) where suppressed; `what`: one sentence of what was done; `proof`
    where totals are true.
    """

    report: Judgement
    shown: Any
    what: str
    decimals: int | None = None
    proof: Any = None

    @cached_property
    def suppressed(self) -> np.ndarray:
        """Mask of published cells that are left empty although the data have a value."""
        import numpy as np

        e = self.report.evidence
        if e.mode is not None:
            gone = np.array([value is None for value in self.shown.tolist()])
        else:
            gone = np.isnan(self.shown)
        return np.asarray(gone & e.published & ((e.n > 0) | self.report.primary))

    @property
    def table(self) -> Any:
        """The long table as a pandas frame; suppressed values are missing."""
        frame = self.report.table.drop(columns="status")
        frame["value"] = self.values()
        return frame

    def values(self) -> list[Any]:
        """Published values in the table's order; None where suppressed."""
        shown = self.shown[self.report.evidence.published].tolist()
        values = [None if value is None or value != value else value for value in shown]
        if self.report.spec.statistic in ("count", "units"):
            return [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
        if self.decimals is None:
            return values
        return [round(value, self.decimals) if isinstance(value, float) else value for value in values]

    def to_dict(self) -> dict[str, Any]:
        """What was done and what is shown, as plain JSON values."""
        cells = [
            {"row": cell.row, "column": cell.column, "value": value}
            for cell, value in zip(self.report.cells, self.values(), strict=True)
        ]
        return {
            "what": self.what,
            "suppressed": int(self.suppressed.sum()),
            "spec": self.report.spec.to_dict(),
            "cells": cells,
        }
