"""Adding up by cells: how many records each cell has, and the sum of their values.

Decides which library does it. Both ways add in the order of the records and give the same numbers, to the last bit.
Leaves what is added to `tally`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

WORTH_LOADING = 2**22


class Adder(Protocol):
    """Counts and sums of records by their cell. Who numbers the cells answers for their range."""

    def counts(self, at: np.ndarray) -> np.ndarray: ...

    def sums(self, at: np.ndarray, values: np.ndarray) -> np.ndarray: ...


def adder(size: int, rows: int) -> Adder:
    """For so many cells and records. Scipy is twice as fast; to load it takes as long as a table of some million
    records, and who has one makes more of them.
    """
    return Sparse(size) if rows >= WORTH_LOADING or "scipy.sparse" in sys.modules else Counting(size)


class Counting:
    """By `bincount`."""

    def __init__(self, size: int) -> None:
        self.size = size

    def counts(self, at: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.bincount(at, minlength=self.size)

    def sums(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.bincount(at, values, self.size)


class Sparse:
    """As the product of a sparse matrix of one column, filled anew with each slice."""

    def __init__(self, size: int) -> None:
        import numpy as np
        from scipy.sparse import csc_array

        self.matrix: Any = csc_array((size, 1))
        self.each = np.ones(0, dtype=np.int32)

    def counts(self, at: np.ndarray) -> np.ndarray:
        import numpy as np

        if len(self.each) < len(at):
            self.each = np.ones(len(at), dtype=np.int32)
        return self.sums(at, self.each[: len(at)])

    def sums(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
        import numpy as np

        self.matrix.data, self.matrix.indices = values, at.astype(np.int32, copy=False)
        self.matrix.indptr = np.array([0, len(at)], dtype=np.int32)
        return np.asarray(self.matrix @ np.ones(1, dtype=values.dtype))
