"""What a reader can work out exactly from what is published.

Decides which unknown cells of a system of linear equations have only one possible value. Leaves building the
equations to `equations` and intervals to `intervals`.

A cell is determined if and only if every solution of the homogeneous system over the unknown cells is zero
there. Equations with one unknown are peeled off first; for what remains a random vector is projected onto the
null space: a free cell is then non-zero with probability one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def told_by_one(matrix: Any, alone: Any, *, seed: int = 1) -> list[tuple[int, int]]:
    """Pairs (i, j) of columns: whoever knows the value of the unknown cell i, marked in `alone`, can work out j.

    That is so exactly where every solution of the homogeneous system has the same quotient of the two: their rows in
    a few random null vectors are then parallel. Cells that anybody can work out are no such pairs, nor is a total
    whose lone contributor is the same one.
    """
    import numpy as np

    matrix, alone = matrix.tocsr(), np.asarray(alone, dtype=bool)
    used = matrix[np.diff(matrix.indptr) > 0]
    if not alone.any() or not used.shape[0]:
        return []
    free = np.stack([null_vector(used, seed + k) for k in range(3)], axis=1)
    size = np.abs(free).max(axis=1)
    there = np.flatnonzero(size >= TOLERANCE)
    lead = np.take_along_axis(free, np.abs(free).argmax(axis=1)[:, None], axis=1)[there]
    rows = free[there] / lead
    who = _contributors(matrix, alone)[there]
    pairs: list[tuple[int, int]] = []
    for k in np.flatnonzero(alone[there]).tolist():
        same = np.flatnonzero((np.abs(rows - rows[k]).max(axis=1) < 1e-6) & (who != who[k]))
        pairs += [(int(there[k]), int(there[j])) for j in same.tolist()]
    return pairs


def _contributors(matrix: Any, alone: np.ndarray) -> np.ndarray:
    """A number per column; lone contributors of a total and of one of its parts are the same person and have one."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    entries = matrix.tocoo()
    among = alone[entries.col]
    rows, columns, signs = entries.row[among], entries.col[among], entries.data[among]
    total_of = np.full(matrix.shape[0], -1, dtype=np.int64)
    total_of[rows[signs < 0]] = columns[signs < 0]
    parts = (signs > 0) & (total_of[rows] >= 0)
    n = matrix.shape[1]
    links = csr_matrix((np.ones(parts.sum()), (columns[parts], total_of[rows[parts]])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1])


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
