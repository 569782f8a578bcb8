"""What leaves: every kind of dimension, statistic, total and format suppressed, written, read back and attacked."""

import datetime as dt
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.appetites import load
from output_checks.attack.against import place
from output_checks.history.joint import together
from output_checks.history.releases import release_of
from output_checks.mitigation.encoding import encode
from output_checks.reading.formats import KINDS, decode
from tests.output_checks.conftest import LONG
from tests.output_checks.test_evidence import frame

RNG = np.random.default_rng(7)
N = 900
BASE = RNG.choice(4, N, p=[0.5, 0.3, 0.194, 0.006])
DIMENSIONS = {
    "text": np.array(["x", "X", "it's", "z, q"], dtype=object)[BASE],
    "category": pd.Categorical.from_codes(BASE, ["b", "a", "10", "c"]),
    "integer": np.array([3, -1, 20, 7])[BASE],
    "float": np.array([0.1, 1.0, 1e-9, 2.5])[BASE],
    "boolean": BASE < 3,
    "date": np.array([dt.date(2020, 1, k + 1) for k in range(4)], dtype=object)[BASE],
    "moment": pd.to_datetime(
        np.array(["2020-01-01 00:00", "2020-01-01 12:30", "2021-05-05 00:00", "2022-02-02 00:00"])[BASE]
    ),
    "nullable": pd.array(np.array([3, -1, 20, 7])[BASE], dtype="Int64"),
    "codes": pd.Categorical(np.array([3, -1, 20, 7])[BASE]),
}
STATISTICS = ["count", "sum", "mean", "median", "std", "row_percent", "column_percent", "percent", "mode", "max"]


def data_for(kind, missing):
    dimension = pd.Series(DIMENSIONS[kind])
    if missing == "keep":
        if kind == "boolean":
            dimension = dimension.astype("boolean")
        dimension = dimension.where(pd.Series(RNG.random(N)) > 0.1) if kind != "integer" else dimension
    return pd.DataFrame({"d": dimension, "g": RNG.integers(0, 3, N), "v": RNG.gamma(2.0, 50, N).round()})


COMBINATIONS = list(product(sorted(DIMENSIONS), STATISTICS, [False, True, "all"], ["drop", "keep"]))
CASES = (
    list(product(COMBINATIONS, KINDS))
    if LONG
    else [(case, KINDS[i % len(KINDS)]) for i, case in enumerate(COMBINATIONS)]
)


@pytest.mark.parametrize(("case", "form"), CASES)
def test_no_unsafe_value_is_in_the_bytes(case, form):
    """Every dimension type, statistic, totals, treatment of missing and format: written, read back, attacked."""
    kind, statistic, margins, missing = case
    data = data_for(kind, missing)
    spec = {"rows": ["d"], "columns": ["g"], "statistic": statistic, "margins": margins, "missing": missing}
    if not statistic.endswith("percent"):
        spec["values"] = "v"
    report = oc.check(spec, data)
    safe = report.suppress()
    assert "fail" in {cell.status for cell in report.cells}
    for layout in ("long", "wide"):
        raw = encode(safe, form, layout)
        safe.audit(raw, kind=form)
        read, _ = place(report.evidence, decode(raw, form).cells(safe.report.spec))
        assert len(read) == len(report.cells)
        for i in report.primary.nonzero()[0].tolist():
            assert read[i].value is None
            assert read[i].text == ""


@pytest.mark.parametrize("missing", ["drop", "keep"])
@pytest.mark.parametrize("kind", sorted(DIMENSIONS))
def test_the_tables_of_one_submission_do_not_give_one_another_away(kind, missing):
    data = data_for(kind, missing)
    spec = {"rows": ["d"], "columns": ["g"], "margins": True, "missing": missing}
    made = [oc.check({**spec, "statistic": s, **({"values": "v"} if s in ("mean", "sum") else {})}, data).suppress()
            for s in ("count", "mean", "sum", "percent", "row_percent", "column_percent")]  # fmt: skip
    assert together([release_of(table) for table in made], load("sacro")) == []


COUNTS = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=3)


@given(COUNTS, st.sampled_from(["count", "sum", "row_percent", "percent", "mean"]), st.booleans())
def test_totals_and_percentages_do_not_give_suppressed_cells_away(counts, statistic, rounding):
    """Whatever a suppressed cell holds, what is published stays the same: it is a function of the safe cells alone."""
    spec = {"rows": ["a"], "columns": ["b"], "statistic": statistic, "margins": True}
    if statistic in ("sum", "mean"):
        spec["values"] = "v"
    records = [
        {"a": f"a{i}", "b": j, "v": float(10 + k % 7 + 100 * i), "u": k, "h": k}
        for i, row in enumerate(counts) for j, n in enumerate(row) for k in range(n)
    ]  # fmt: skip
    report = oc.check(spec, frame(records))
    if not report.cells:
        return
    safe = report.round(5) if rounding and statistic in ("count", "sum") else report.suppress()
    shown = {tuple(c.labels.values()): v for c, v in zip(report.cells, safe.values(), strict=True)}
    assert safe.to_csv()
    inner = {k: v for k, v in shown.items() if "Total" not in k}
    if statistic in ("count", "sum"):
        for labels, value in shown.items():
            if "Total" in labels and value is not None:
                parts = [v for k, v in inner.items() if v is not None and _inside(k, labels)]
                assert value == pytest.approx(sum(parts))
    if statistic == "percent" and any(v is not None for v in inner.values()):
        assert sum(v for v in inner.values() if v is not None) == pytest.approx(100)


def _inside(labels, total):
    return all(t in ("Total", label) for label, t in zip(labels, total, strict=True))


def unsafe_table():
    data = pd.DataFrame({"a": ["x"] * 40 + ["y"] * 33, "b": ["p"] * 36 + ["q"] * 4 + ["p"] * 15 + ["q"] * 18})
    return data, oc.check({"rows": ["a"], "columns": ["b"], "margins": True}, data)


def test_what_would_fail_its_audit_is_not_handed_over(tmp_path):
    from dataclasses import replace

    _, report = unsafe_table()
    honest = report.suppress()
    leaking = replace(honest, report=report, shown=np.where(report.primary, np.nan, report.evidence.value))
    target = tmp_path / "t.csv"
    with pytest.raises(oc.Unsafe) as caught:
        leaking.write_csv(target)
    assert [f.rule for f in caught.value.findings] == ["recoverable"]
    assert list(tmp_path.iterdir()) == []
    bare = replace(honest, shown=report.evidence.value)
    with pytest.raises(oc.Unsafe, match="4"):
        bare.write_csv(target)
    assert honest.write_csv(target).read_text().splitlines()[2] == "x,q,"


def test_rounded_and_midpoint_tables():
    data, report = unsafe_table()
    assert report.round(5).values() == [35, None, 15, 20, 50, 20, 35, 35, 70]
    wide = oc.check({"rows": ["a"], "columns": ["b"]}, data, "opensafely").midpoint(6)
    assert wide.values() == [33, 3, 15, 15]
    strict = report.midpoint(6)
    assert strict.values()[1] is None  # a house that does not know midpoints still suppresses
    with pytest.raises(oc.BadInput):
        report.round(1)
    with pytest.raises(oc.BadInput):
        oc.check({"rows": ["a"], "statistic": "row_percent", "columns": ["b"]}, data).round(5)


def test_a_label_like_the_total_is_refused():
    data = pd.DataFrame({"a": ["Total"] * 20 + ["x"] * 20})
    report = oc.check({"rows": ["a"], "margins": True}, data)
    with pytest.raises(oc.BadInput, match="total"):
        report.suppress().to_csv()
    assert oc.check({"rows": ["a"], "margins": True, "total": "Sum"}, data).suppress().to_csv().endswith("Sum,40\n")
