"""Ratios measured side by side: `python -m tests.output_checks.bench --peer /path/to/python`.

Works on seeded data, each measurement in a process of its own, ours and the peers' one after the other.
`--peer` is an interpreter with acro 1.0.2 and pytauargus 0.6; without it only our own side is measured. Writes
`bench.json` beside this file and the table in docs/output-checks.md.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
STORE = HERE / "bench.json"
DOCS = HERE.parents[1] / "docs" / "output-checks.md"
NOTE = """Ratios are side by side in one run. Import,
audits and compare are processor time of one thread. Protected tables of ours also withstand lone contributors over all
sums together, which costs a few cells."""
MARKS = ("<!-- measured -->", "<!-- /measured -->")


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


def own_check(path, kind, suppress):
    """Best of three; extra memory is the growth of the peak while checking."""
    sys.modules.setdefault("IPython", sys)  # as in a notebook
    import output_checks as oc

    data = frame(path, kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(3):
        started = time.perf_counter()
        report = oc.check(SPEC, data)
        assert report.status in ("pass", "review", "fail")
        if suppress == "True":
            report.suppress().to_csv()
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(times), "first": times[0], "extra_mb": (after - before) / 1024}


def own_duckdb(path, kind):
    """One plain query for the same aggregates, as a yardstick."""
    import duckdb

    data = frame(path, kind)
    connection = duckdb.connect()
    connection.register("records", data)
    times = []
    for _ in range(4):
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
    started = time.process_time()
    import output_checks

    assert output_checks.check
    return {"seconds": time.process_time() - started}


def own_protect(name, seconds, whose="house"):
    """Seconds and further cells; every unsafe cell stays free by ± 30 % of the threshold (`house`, at least ± 3), or by
    ± 30 % of its own value as FREQ(10, 30) of the peer asks for (`peer`).
    """
    from dataclasses import replace

    import numpy as np

    import output_checks as oc
    from output_checks.protection.protecting import problem_of
    from output_checks.protection.search import protect_cells
    from tests.output_checks.instances import INSTANCES

    data, spec = INSTANCES[name]()
    oc.check({"rows": ["a"]}, data.head(100))
    started = time.perf_counter()
    if whose == "house":
        table = oc.protect(spec, data, "eurostat-safe-centre", seconds=float(seconds))
        primary, gone = int(table.report.primary.sum()), int(table.suppressed.sum())
    else:
        problem = problem_of(oc.check(spec, data, "eurostat-safe-centre"), 0.3)
        problem = replace(problem, required=np.where(problem.primary, 0.6 * problem.value, 0.0))
        primary, gone = int(problem.primary.sum()), int(protect_cells(problem, seconds=float(seconds)).suppressed.sum())
    return {"seconds": time.perf_counter() - started, "primary": primary, "secondary": gone - primary}


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


def own(kind, *rest):
    """One of our measurements in a process of its own."""
    return _run([sys.executable, "-m", "tests.output_checks.bench", "--one", kind, *map(str, rest)])


def peer(python, *rest):
    if not python:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:  # the peers leave files where they run
            return _run([python, str(HERE / "bench_peer.py"), *map(str, rest)], folder)
    except subprocess.TimeoutExpired:
        return {"seconds": None, "timeout": LIMIT}


LIMIT = 600


def _run(command, folder=HERE.parents[1]):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=LIMIT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if not lines:
        return {"seconds": None, "error": done.stderr[-300:]}
    return json.loads(lines[-1][5:])


def measure(options, keep):
    """Yields what is measured, item by item; `keep` says which parts are asked for."""
    yield "machine", {"cores": _cores(), "python": platform.python_version()}
    yield "rows", options.rows
    if "rest" in keep:
        yield "import", own("import")
        yield "audit", own("audit")
        yield "compare", own("compare")
    with tempfile.TemporaryDirectory() as folder:
        if "rest" in keep:
            write_rows(f"{folder}/small.parquet", 100_000)
            yield "small", own("check", f"{folder}/small.parquet", "category", True)
        if "tables" in keep:
            yield from _tables(options, folder)
        if options.big:
            write_rows(f"{folder}/big.parquet", options.big)
            yield "big", {"rows": options.big, **own("big", f"{folder}/big.parquet")}
    if "protect" in keep:
        from tests.output_checks.instances import INSTANCES

        for name in INSTANCES:
            found = {
                "own": own("protect", name, options.seconds),
                "same": own("protect", name, options.seconds, "peer"),
            }
            yield name, {**found, "MOD": peer(options.peer, "argus", name, "MOD(1,5,1,0,0)")}


def _tables(options, folder):
    write_rows(f"{folder}/large.parquet", options.rows)
    for kind in ("category", "text"):
        path = f"{folder}/{kind}.parquet"
        frame(f"{folder}/large.parquet", kind).to_parquet(path)
        for suppress in (False, True):
            found = {"own": own("check", path, kind, suppress), "duckdb": own("duckdb", path, kind)}
            yield f"{kind}, suppress {suppress}", {**found, "acro": peer(options.peer, "acro", path, "mean", suppress)}


def _cores():
    import os

    return len(os.sched_getaffinity(0))


def page(found):
    """The measured table in Markdown."""
    lines = ["| work | ours | peer | ratio |", "|---|---|---|---|"]

    def row(work, mine, other="", ratio=""):
        lines.append(f"| {work} | {mine} | {other} | {ratio} |")

    row("import", f"{1000 * found['import']['seconds']:.0f} ms")
    row(
        "10⁵ rows, check and suppress",
        f"{1000 * found['small']['seconds']:.0f} ms (first call {1000 * found['small']['first']:.0f} ms)",
    )
    for name, item in found.items():
        if isinstance(item, dict) and "duckdb" in item:
            mine, acro = item["own"]["seconds"], (item["acro"] or {}).get("seconds")
            work = f"{found['rows']:.0e} rows, {name}, +{item['own']['extra_mb']:.0f} MB"
            row(
                work,
                f"{mine:.3f} s",
                f"DuckDB query {item['duckdb']['seconds']:.3f} s",
                f"{mine / item['duckdb']['seconds']:.2f} ×",
            )
            if acro:
                row(work, f"{mine:.3f} s", f"ACRO {acro:.1f} s", f"{acro / mine:.0f} × faster")
        elif isinstance(item, dict) and "MOD" in item:
            mod = item["MOD"] or {}
            when = " (an earlier run)" if mod.get("earlier") else ""
            other = (
                f"MOD {mod['seconds']:.1f} s, {mod['secondary']} further cells{when}"
                if mod.get("seconds")
                else (f"MOD: no answer in {mod['timeout']} s" if mod.get("timeout") else "")
            )
            for mine, words in ((item["same"], "± 30 % of its value"), (item["own"], "± 30 % of the threshold")):
                beside = mod.get("seconds") and not mod.get("earlier")
                ratio = f"{mine['seconds'] / mod['seconds']:.2f} × time" if beside else ""
                work = f"protect {name} ({mine['primary']} unsafe), each free by {words}"
                row(work, f"{mine['seconds']:.1f} s, {mine['secondary']} further cells", other, ratio)
    row("exact audit, 20,301 cells", f"{1000 * found['audit']['exact_seconds']:.0f} ms")
    row("interval audit, about 1,000 gaps", f"{found['audit']['interval_ms_per_cell']:.2f} ms per cell")
    row("compare with 100 earlier tables of 500 cells", f"{found['compare']['seconds']:.2f} s")
    if "big" in found:
        row(
            f"{found['big']['rows']:.0e} rows from Parquet",
            f"{found['big']['seconds']:.1f} s, peak {found['big']['peak_mb']:.0f} MB",
        )
    return "\n".join(lines)


def write_docs(found):
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    cores = found["machine"]["cores"]
    python = found["machine"]["python"]
    note = f"Measured on {cores} cores shared with much other work, Python {python}. {NOTE}"
    DOCS.write_text(f"{before}{MARKS[0]}\n{note}\n\n{page(found)}\n{MARKS[1]}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default="", help="interpreter with acro and pytauargus")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--big", type=int, default=0, help="rows of the large Parquet file (100000000 for the full run)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="time for improving a protected table")
    parts = ["tables", "protect", "rest"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="which parts to measure again")
    parser.add_argument("--docs", action="store_true", help="only write the page from bench.json")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, *rest = options.one
        print("JSON " + json.dumps(globals()[f"own_{kind}"](*rest)))
        return
    if not options.docs:
        keep(options, set(options.only))
    write_docs(json.loads(STORE.read_text(encoding="utf-8")))


def keep(options, parts):
    """Measures the parts and keeps what was found, item by item; returns all that is known."""
    found = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    for name, value in measure(options, parts):
        found[name] = value
        STORE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_docs(found)
    return found


if __name__ == "__main__":
    main()
