"""Ratios measured side by side: `python -m tests.output_checks.bench --peer /path/to/python`.

Works on seeded data, each measurement in a process of its own, ours and the peers' one after the other.
`--peer` is an interpreter with acro 1.0.2 and pytauargus 0.6; without it only our own side is measured. What was found
is kept in `build/output-checks-bench.json`, item by item; `bench_rows` makes the page's rows of it.
"""

import argparse
import json
import math
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.output_checks.bench_attacks import own_audit, own_compare

HERE = Path(__file__).parent
STORE = HERE.parents[1] / "build" / "output-checks-bench.json"
PARTS = ["tables", "protect", "rest"]
LIMIT = 600
LONGER = 10
MOST_SECONDS = {"30 x 20 x 10": 30.0}
FIRST_ANSWER = 0.5
MOD = "MOD(1,5,1,0,0)"
ALSO_OPT = "two hierarchies, 8547 cells"


def write_rows(path, rows):
    """50 × 20 groups, a skewed value, seeded."""
    import duckdb

    query = f"""COPY (SELECT 'a' || (hash(i) % 50) AS a, 'b' || (hash(i + 7) % 20) AS b,
                -20.0 * ln((hash(i + 13) % 1000003 + 1) / 1000004.0) AS v FROM range({rows}) t(i))
                TO '{path}' (FORMAT parquet)"""
    duckdb.connect().execute(query)


def frame(path, kind):
    import pandas as pd

    data = pd.read_parquet(path)
    return data.astype({"a": "category", "b": "category"}) if kind == "category" else data


SPEC = {"rows": ["a"], "columns": ["b"], "values": "v", "statistic": "mean"}


def ahead():
    """Lets this process go before others while it measures by the clock, for seconds, where that is allowed."""
    with suppress(OSError):
        os.setsid()
        os.nice(-15)
        Path("/proc/self/autogroup").write_text("-15", encoding="ascii")


def own_check(path, kind, how):
    """Best of ten; extra memory is the growth of the peak while checking. `how` far: checked, suppressed (a table in
    memory, which is what ACRO's call gives) or also written, read back and audited.
    """
    sys.modules.setdefault("IPython", sys)  # as in a notebook
    import output_checks as oc

    data = frame(path, kind)
    ahead()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # what loading took at its peak does not count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(10):
        started = time.perf_counter()
        report = oc.check(SPEC, data)
        assert report.status in ("pass", "review", "fail")
        if how == "suppressed":
            report.suppress().wide()
        elif how == "written":
            report.suppress().to_csv()
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    usual = statistics.median(times)
    return {"seconds": min(times), "median": usual, "first": times[0], "extra_mb": (after - before) / 1024}


def own_duckdb(path, kind):
    """One plain query for the same aggregates, as a yardstick."""
    import duckdb

    data = frame(path, kind)
    connection = duckdb.connect()
    connection.register("records", data)
    ahead()
    times = []
    for _ in range(10):
        started = time.perf_counter()
        connection.execute(
            "SELECT a, b, count(*), count(v), sum(v), min(v), max(v), sum(abs(v)), max(abs(v), 2), "
            "count(*) FILTER (v < 0) FROM records GROUP BY a, b"
        ).fetchnumpy()
        times.append(time.perf_counter() - started)
    return {"seconds": min(times)}


def own_big(path):
    import output_checks as oc

    started = time.perf_counter()
    oc.check(SPEC, path)
    return {
        "seconds": time.perf_counter() - started,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def own_import():
    """As in a notebook, where the engine is loaded at once; pandas is not there yet."""
    sys.modules.setdefault("IPython", sys)
    started = time.process_time()
    import output_checks

    assert output_checks.check
    return {"seconds": time.process_time() - started}


def own_protect(name, seconds, whose="house"):
    """Seconds and further cells; every unsafe cell stays free by ± 30 % of the threshold (`house`, at least ± 3), or by
    ± 30 % of its own value as FREQ(10, 30) of the peer asks for (`peer`); `bare` is that without lone contributors.
    """
    from dataclasses import replace

    import numpy as np

    import output_checks as oc
    from output_checks.protection.protecting import problem_of
    from output_checks.protection.search import protect_cells
    from tests.output_checks.instances import INSTANCES

    data, spec = INSTANCES[name]()
    oc.check({"rows": ["a"]}, data.head(100))
    started = time.process_time()
    if whose == "house":
        table = oc.protect(spec, data, "eurostat-safe-centre", seconds=float(seconds))
        primary, gone = int(table.report.primary.sum()), int(table.suppressed.sum())
    else:
        problem = problem_of(oc.check(spec, data, "eurostat-safe-centre"), 0.3)
        problem = replace(problem, required=np.where(problem.primary, 0.6 * problem.value, 0.0))
        if whose == "bare":
            problem = replace(problem, alone=np.zeros_like(problem.alone))
        primary, gone = int(problem.primary.sum()), int(protect_cells(problem, seconds=float(seconds)).suppressed.sum())
    return {"seconds": time.process_time() - started, "primary": primary, "secondary": gone - primary}


def own(kind, *rest):
    """One of our measurements in a process of its own."""
    return _run([sys.executable, "-m", "tests.output_checks.bench", "--one", kind, *map(str, rest)])


def peer(python, *rest):
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:  # the peers leave files where they run
        return _run([python, str(HERE / "bench_peer.py"), *map(str, rest)], folder)


def _run(command, folder=HERE.parents[1]):
    """What it prints. The limit is processor time, as most of what is measured: other work does not use it up."""
    limited = ["prlimit", f"--cpu={LIMIT}", *command]
    try:
        done = subprocess.run(limited, capture_output=True, text=True, cwd=folder, timeout=LONGER * LIMIT)
    except subprocess.TimeoutExpired:
        return {"seconds": None, "timeout": LIMIT}
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"seconds": None, "timeout": LIMIT}
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if not lines:
        return {"seconds": None, "error": done.stderr[-300:]}
    return json.loads(lines[-1][5:])


def measure(options, keep):
    """Yields what is measured, item by item; `keep` says which parts are asked for."""
    yield "machine", {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    yield "rows", options.rows
    with tempfile.TemporaryDirectory() as folder:
        if "rest" in keep:
            yield from _rest(folder)
        if "tables" in keep:
            yield from _tables(options, folder)
    if "protect" in keep:
        from tests.output_checks.instances import INSTANCES

        for name in INSTANCES:
            yield name, _protected(options, name)
    if options.big:
        with tempfile.TemporaryDirectory() as folder:
            write_rows(f"{folder}/big.parquet", options.big)
            yield "big", {"rows": options.big, **own("big", f"{folder}/big.parquet")}


def _rest(folder):
    yield "import", min((own("import") for _ in range(3)), key=lambda found: found["seconds"])
    yield "audit", own("audit")
    yield "compare", own("compare")
    path = f"{folder}/small.parquet"
    write_rows(path, 100_000)
    found = [own("check", path, "category", how) for how in ("written", "checked") for _ in range(5)]
    yield "small", min(found[:5], key=lambda one: one["first"])
    yield "small check", min(found[5:], key=lambda one: one["first"])


def _protected(options, name):
    """Ours at the peer's range and at the house's, and MOD; OPT and our answer to its question where that ends."""
    seconds = min(options.seconds, MOST_SECONDS.get(name, options.seconds))
    found = {"same": own("protect", name, seconds, "peer")}
    found["MOD"] = peer(options.peer, "argus", name, MOD)
    if name == ALSO_OPT:
        found["bare"] = own("protect", name, FIRST_ANSWER, "bare")
        found["best"] = own("protect", name, seconds, "bare")
        found["OPT"] = peer(options.peer, "argus", name, "OPT(1,60)")
    return found | {"own": own("protect", name, seconds)}


def _tables(options, folder):
    write_rows(f"{folder}/large.parquet", options.rows)
    for kind in ("category", "text"):
        path = f"{folder}/{kind}.parquet"
        frame(f"{folder}/large.parquet", kind).to_parquet(path)
        for how in ("checked", "suppressed") if kind == "category" else ("suppressed",):
            found = {"own": own("check", path, kind, how), "duckdb": own("duckdb", path, kind)}
            if how == "suppressed":
                found["written"] = own("check", path, kind, "written")
            twice = [peer(options.peer, "acro", path, "mean", how) for _ in range(2 if options.peer else 1)]
            found["acro"] = min(twice, key=lambda one: (one or {}).get("seconds") or math.inf)
            yield f"{kind}, {how}", found


MEASURES = {
    "check": own_check, "duckdb": own_duckdb, "big": own_big, "import": own_import, "protect": own_protect,
    "audit": own_audit, "compare": own_compare,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default="", help="interpreter with acro and pytauargus")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--big", type=int, default=0, help="rows of the large Parquet file (100000000 for the full run)"
    )
    parser.add_argument("--seconds", type=float, default=240.0, help="time for improving a protected table")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="which parts to measure again")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, *rest = options.one
        print("JSON " + json.dumps(MEASURES[kind](*rest)))
        return
    keep(options, set(options.only))


def keep(options, parts):
    """Measures the parts and keeps what was found, item by item; returns all that is known."""
    found = {} if parts == set(PARTS) or not STORE.exists() else json.loads(STORE.read_text(encoding="utf-8"))
    for name, value in measure(options, parts):
        found[name] = value
        STORE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
