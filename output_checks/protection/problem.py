"""A table to protect, as arrays.

Decides its shape only. Leaves making it to `protecting` and solving it to `protection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from output_checks.attack.bands import CLOSE, WIDTH

if TYPE_CHECKING:
    import numpy as np

FREE = 2.1 * CLOSE / (1 - CLOSE)


@dataclass(frozen=True)
class Problem:
    """A table to protect, in arrays over its cells.

    matrix    scipy CSR (sums × cells): +1 for parts, -1 for the total        value    true values
    primary   unsafe cells                                                    required  range that each must be
              free to move in
    allowed   cells that may be suppressed further                            cost     what the reader loses
              with a cell
    alone     cells whose only contributor knows their value                  whole    whether values are whole
              numbers
    hidden    cells that no table shows (totals where linked tables meet): nobody knows them, nobody need not
    """

    matrix: Any
    value: np.ndarray
    primary: np.ndarray
    required: np.ndarray
    allowed: np.ndarray
    cost: np.ndarray
    alone: np.ndarray
    hidden: np.ndarray
    whole: bool = True

    @property
    def gone(self) -> np.ndarray:
        """Cells that are unknown to the reader from the start."""
        import numpy as np

        return np.asarray(self.primary | self.hidden)

    @property
    def shown_sums(self) -> Any:
        """The sums whose cells are all shown by some table."""
        import numpy as np

        matrix = self.matrix.tocsr()
        return matrix[np.asarray(abs(matrix) @ self.hidden.astype(float)) == 0]

    @property
    def needed(self) -> np.ndarray:
        """The range that every cell would have to be free in: what its rule asks for, and at least what an audit asks
        of any gap, since its reader cannot tell the unsafe ones from the others.
        """
        import numpy as np

        if self.whole:
            need = np.maximum(self.required, WIDTH)
        else:
            usual = np.median(self.value[self.value > 0]) if self.value.any() else 1.0
            free = np.where(self.value > 0, FREE * self.value, 1e-3 * usual)
            need = np.maximum(self.required, free)
        return np.asarray(np.where(self.hidden, 0.0, need))
