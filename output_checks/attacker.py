"""What a reader can work out exactly from what is published.

Decides which unknown cells of a system of linear equations have only one possible value. Leaves building the
equations to `equations` and intervals to `intervals`.

A cell is determined if and only if every solution of the homogeneous system over the unknown cells is zero
there. Equations with one unknown are peeled off first; for what remains a random vector is projected onto the
null space: a free cell is then non-zero with probability one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from output_checks.equations import Sums

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-7


def determined(matrix: Any, *, seed: int = 1) -> np.ndarray:
    """Mask over the columns of a sparse matrix (equations × unknown cells): whose value the equations fix."""
    import numpy as np

    matrix = matrix.tocsr()
    known = np.zeros(matrix.shape[1], dtype=bool)
    known[_peel(matrix)] = True
    rest = np.flatnonzero(~known)
    if not len(rest):
        return known
    system = matrix[:, rest]
    system = system[np.diff(system.indptr) > 0]
    if system.shape[0]:
        fixed = np.abs(null_vector(system, seed)) < TOLERANCE
        known[rest[fixed]] = True
    return known


def null_vector(system: Any, seed: int) -> np.ndarray:
    """The projection of a random vector onto the null space of a sparse matrix, entries of about unit size
    where free.
    """
    import numpy as np
    from scipy.sparse.linalg import lsmr

    rng = np.random.default_rng(seed)
    start = rng.uniform(1, 2, system.shape[1]) * rng.choice([-1.0, 1.0], system.shape[1])
    system = system.astype(float)
    for _ in range(3):
        step = lsmr(system, system @ start, atol=1e-13, btol=1e-13, maxiter=4 * sum(system.shape) + 100)[0]
        start = start - step
    return np.asarray(start)


def _peel(matrix: Any) -> list[int]:
    """Unknowns found one after the other from equations with a single unknown left."""
    import numpy as np

    by_column = matrix.tocsc()
    left = np.diff(matrix.indptr).tolist()
    queue = [row for row, count in enumerate(left) if count == 1]
    done: dict[int, None] = {}
    while queue:
        row = queue.pop()
        if left[row] != 1:
            continue
        unknown = next(c for c in matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist() if c not in done)
        done[unknown] = None
        for other in by_column.indices[by_column.indptr[unknown] : by_column.indptr[unknown + 1]].tolist():
            left[other] -= 1
            if left[other] == 1:
                queue.append(other)
    return list(done)


def recoverable(sums: Sums, unknown: np.ndarray) -> np.ndarray:
    """Mask over all cells: unknown ones whose value the sums fix. `unknown` is a mask over all cells."""
    import numpy as np
    from scipy.sparse import csr_matrix

    out = np.zeros(len(unknown), dtype=bool)
    where = np.flatnonzero(unknown)
    if not len(where) or not len(sums):
        return out
    column = np.full(len(unknown), -1, dtype=np.int64)
    column[where] = np.arange(len(where))
    rows = np.concatenate([sums.equation, np.arange(len(sums))])
    cells = np.concatenate([sums.member, sums.total])
    signs = np.concatenate([np.ones(len(sums.member)), -np.ones(len(sums))])
    inside = column[cells] >= 0
    matrix = csr_matrix((signs[inside], (rows[inside], column[cells[inside]])), shape=(len(sums), len(where)))
    out[where] = determined(matrix)
    return out
