"""Our attacks measured alone, by processor time: audits of one table, comparison with earlier ones."""

import time


def own_audit():
    import numpy as np

    from output_checks.attack.attacker import determined
    from output_checks.attack.auditing import audit_system
    from output_checks.attack.longtable import LongTable
    from output_checks.attack.systems import link

    rng = np.random.default_rng(0)

    def table(rows, columns, share):
        full = np.zeros((rows + 1, columns + 1))
        full[:-1, :-1] = rng.poisson(rng.gamma(0.5, 40, (rows, columns)))
        full[-1], full[:, -1] = full[:-1].sum(0), full[:, :-1].sum(1)
        full[-1, -1] = full[-1, :-1].sum()
        hidden = np.zeros_like(full, dtype=bool)
        hidden[:-1, :-1] = rng.random((rows, columns)) < share
        labels = tuple(
            (f"r{i}" if i < rows else "Total", f"c{j}" if j < columns else "Total")
            for i in range(rows + 1) for j in range(columns + 1)
        )  # fmt: skip
        return link([LongTable(("a", "b"), labels, np.where(hidden, np.nan, full).ravel())])

    system = table(200, 100, 0.2)
    unknown = np.flatnonzero(system.unknown)
    determined(system.matrix[:, unknown])
    started = time.process_time()  # one thread: its own time, whatever else the machine does
    determined(system.matrix[:, unknown])
    exact = time.process_time() - started
    system = table(200, 100, 0.05)
    started = time.process_time()
    found = audit_system(system)
    return {"exact_seconds": exact, "interval_ms_per_cell": 1000 * (time.process_time() - started) / len(found.names)}


def own_compare():
    import numpy as np
    import pandas as pd

    import output_checks as oc
    from output_checks.history.releases import release_of

    rng = np.random.default_rng(0)
    data = pd.DataFrame({f"k{i}": rng.integers(0, 25 if i % 2 else 20, 100_000) for i in range(8)})
    pairs = [rng.choice(8, 2, replace=False) for _ in range(100)]
    earlier = [
        release_of(oc.check({"rows": [f"k{a}"], "columns": [f"k{b}"]}, data).suppress(), context={"n": i})
        for i, (a, b) in enumerate(pairs)
    ]
    started = time.process_time()
    oc.compare({"rows": ["k0"], "columns": ["k1"], "margins": True}, data, earlier)
    return {"seconds": time.process_time() - started}
