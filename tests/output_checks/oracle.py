"""An independent reading of the rules: plain loops over records, no query, no array."""

import math
import statistics
from itertools import product


def contributors(records, spec):
    """Contributions summed per holding (or unit, or record) as a list of (key, sum)."""
    who = spec.get("holding") or spec.get("unit")
    sums = {}
    for number, record in enumerate(records):
        key = number if who is None else record[who]
        sums[key] = sums.get(key, 0.0) + record["v"]
    return sums


def units(records, spec):
    who = spec.get("unit") or spec.get("holding")
    return len(records) if who is None else len({record[who] for record in records})


def cell_records(records, dims, labels):
    """Records of a cell; a label of `Total` matches everything."""
    inside = [r for r in records if all(r[d] is not None for d in dims)]
    return [r for r in inside if all(label == "Total" or r[d] == label for d, label in zip(dims, labels, strict=True))]


def judge(records, spec, *, threshold=10, nk=(2, 0.9), p=0.1):
    """Rule ids that fail for one cell, by sacro's limits."""
    valued = [r for r in records if r["v"] is not None] if spec.get("values") else records
    n, failed = units(valued, spec), set()
    if n == 0:
        return {"zero"}
    if n < threshold:
        failed.add("threshold")
    statistic = spec["statistic"]
    if statistic in ("sum", "mean"):
        sizes = sorted((abs(s) for s in contributors(valued, spec).values()), reverse=True)
        total = math.fsum(sizes)
        if total > 0 and sum(sizes[: nk[0]]) >= nk[1] * total * (1 - 1e-12):
            failed.add("dominance_nk")
        if sizes[0] > 0 and math.fsum(sizes[2:]) < p * sizes[0] - 1e-12 * total:
            failed.add("dominance_p")
    if spec.get("values") and statistic not in ("count", "mode") and len({r["v"] for r in valued}) == 1:
        failed.add("all_same")
    return failed


def value(records, spec):
    valued = [r["v"] for r in records if r["v"] is not None] if spec.get("values") else records
    if spec["statistic"] == "count":
        return len(valued)
    if not valued:
        return 0 if spec["statistic"] == "sum" else None
    by = {"sum": math.fsum, "mean": statistics.fmean, "min": min, "max": max, "median": statistics.median}
    return by[spec["statistic"]](valued)


def all_cells(records, rows, columns, margins):
    """Labels of every cell of a crosstab, as tuples."""
    inside = [r for r in records if all(r[d] is not None for d in (*rows, *columns))]
    left = sorted({tuple(r[d] for d in rows) for r in inside})
    right = sorted({tuple(r[d] for d in columns) for r in inside})
    if not inside:
        return []
    if margins and columns:
        left.append(("Total",) * len(rows))
        right.append(("Total",) * len(columns))
    elif margins:
        left.append(("Total",) * len(rows))
    return [a + b for a, b in product(left, right)]
