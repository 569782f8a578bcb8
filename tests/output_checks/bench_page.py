"""The table of measurements in docs/output-checks.md, from what `bench` found.

Decides its words only.
"""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "output-checks.md"
NOTE = """Both sides are measured in one run, one after the other. Ours on tables and DuckDB: the best of ten, by the
clock, ahead of other work for those seconds; ACRO: the better of two. What runs in one thread (ACRO, MOD, OPT, our
protection, import, audits, compare): processor time, so that other work on the machine does not count. The first call
on millions of records loads scipy. A protected table of ours also withstands lone contributors over all sums together,
unless it says "no lone contributors"; MOD is asked to look at pairs of singletons in a line, OPT cannot."""
MARKS = ("<!-- measured -->", "<!-- /measured -->")


def page(found):
    """The measured table in Markdown."""
    lines = ["| work | ours | peer | ratio |", "|---|---|---|---|"]

    def row(work, mine, other="", ratio=""):
        lines.append(f"| {work} | {mine} | {other} | {ratio} |")

    row("import", f"{1000 * found['import']['seconds']:.0f} ms")
    for name, words in (("small check", "check"), ("small", "check, suppress, write and read back")):
        one = found[name]
        row(f"10⁵ rows, {words}", f"{1000 * one['seconds']:.0f} ms (first call {1000 * one['first']:.0f} ms)")
    for name, item in found.items():
        if isinstance(item, dict) and "duckdb" in item:
            mine, acro = item["own"]["seconds"], (item["acro"] or {}).get("seconds")
            work = f"{found['rows']:.0e} rows, {name}, +{item['own']['extra_mb']:.0f} MB"
            row(
                work,
                f"{mine:.3f} s (median {item['own']['median']:.3f} s, first call {item['own']['first']:.3f} s)",
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
                else (f"MOD: no answer in {mod['timeout']} s of the processor" if mod.get("timeout") else "")
            )
            if "OPT" in item:
                opt = item["OPT"] or {}
                beside = f"OPT {opt['seconds']:.1f} s, {opt['secondary']} further cells" if opt.get("seconds") else ""
                work = f"protect {name}, each free by ± 30 % of its value, no lone contributors"
                for one, how in ((item["bare"], "first answer"), (item["best"], "best")):
                    row(f"{work}: {how}", f"{one['seconds']:.1f} s, {one['secondary']} further cells", beside)
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
