"""Rounded tables with totals against an attacker who knows base and range: programs agree with enumeration."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.attack.auditing import audit_system
from output_checks.attack.bands import band
from output_checks.attack.longtable import LongTable
from output_checks.attack.systems import link
from output_checks.evidence.totals import rounded

ROUNDINGS = ["round:2", "round:5", "round:10", "midpoint:2", "midpoint:6", "midpoint:7"]


@given(st.integers(-40, 400), st.sampled_from(ROUNDINGS))
def test_a_band_holds_exactly_the_values_that_are_published_as_its_own(value, rounding):
    kind, base = rounding.split(":")
    assume(value >= 0 or kind == "round")
    shown = rounded(np.array([float(value)]), kind, int(base))
    least, most = band(shown, rounding, whole=True, negative=True)
    same = [v for v in range(value - 20, value + 21) if (v >= 0 or kind == "round") and
            rounded(np.array([float(v)]), kind, int(base))[0] == shown[0]]  # fmt: skip
    assert (least[0], most[0]) == (min(same), max(same))


def published(values, rounding, hidden):
    """A two-way table with independently rounded totals; some inner cells are empty."""
    full = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    full[:-1, :-1] = values
    full[-1], full[:, -1] = full[:-1].sum(0), full[:, :-1].sum(1)
    full[-1, -1] = values.sum()
    kind, base = rounding.split(":")
    shown = rounded(full, kind, int(base))
    shown[:-1, :-1][hidden] = np.nan
    return shown


def table_of(shown, rounding, totals="true"):
    rows = [*[f"r{i}" for i in range(shown.shape[0] - 1)], "Total"]
    columns = [*[f"c{j}" for j in range(shown.shape[1] - 1)], "Total"]
    return LongTable(("a", "b"), tuple(product(rows, columns)), shown.ravel(), rounding=rounding, totals=totals)


def possible(shown, rounding, top):
    """Every whole table whose rounded form is the published one, by trying them all."""
    kind, base = rounding.split(":")
    inner = shown[:-1, :-1]
    choices = [
        range(top + 1) if v != v else [x for x in range(int(v) + 8) if rounded(float(x), kind, int(base)) == v]
        for v in inner.ravel()
    ]
    for cells in product(*choices):
        values = np.array(cells, dtype=float).reshape(inner.shape)
        totals = [*values.sum(1), *values.sum(0), values.sum()]
        wanted = [*shown[:-1, -1], *shown[-1, :-1], shown[-1, -1]]
        if all(rounded(t, kind, int(base)) == w for t, w in zip(totals, wanted, strict=True)):
            yield values


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=2, max_size=2),
    st.sampled_from(["round:2", "round:3", "midpoint:4"]),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_intervals_of_rounded_tables_agree_with_enumeration(cells, rounding, gaps):
    hidden = np.array(gaps).reshape(2, 2) & (np.array([[1, 0], [0, 1]]) > 0)
    shown = published(np.array(cells, dtype=float), rounding, hidden)
    system = link([table_of(shown, rounding)])
    found = audit_system(system)
    every = np.stack(list(possible(shown, rounding, 40)))
    seen = {name: (lo, hi) for name, lo, hi in zip(found.names, found.least.tolist(), found.most.tolist(), strict=True)}
    for i, j in product(range(2), range(2)):
        name = (("a", f"r{i}"), ("b", f"c{j}"))
        least, most = every[:, i, j].min(), every[:, i, j].max()
        if name in seen:
            assert seen[name] == (least, most)  # two-way tables have whole vertices
            recovered = any(f.rule == "recoverable" and f.cell == dict(name) for f in found.findings)
            assert recovered == (least == most)
        else:
            assert least == most == shown[i, j] == 0  # a midpoint of nobody


def test_totals_that_were_rounded_by_themselves_tell_what_rounding_hid():
    """Four cells of up to 2 are published as 0; their total of 10, which is at least 8, says that each is 2."""
    shown = np.array([[0, 0, 0, 0, 10.0], [20, 20, 20, 20, 80], [20, 20, 20, 20, 90]])
    found = oc.audit(table_of(shown, "round:5"))
    assert found.status == "fail"
    first = [f.cell.get("b") for f in found.findings if f.cell.get("a") == "r0" and f.rule == "recoverable"]
    assert set(first) >= {f"c{j}" for j in range(4)}
    assert oc.audit(table_of(shown, "round:5", totals="shown")).status == "pass"


def test_a_rounded_file_is_attacked_by_the_command_line(tmp_path):
    from output_checks.cli import main

    path = tmp_path / "t.csv"
    path.write_text("a,value\nx,0\ny,0\nz,0\nTotal,3\n")
    assert main(["audit", str(path), "--rounding", "round:3"]) == 0
    path.write_text("a,value\nx,0\ny,0\nTotal,3\n")
    assert main(["audit", str(path), "--rounding", "round:3"]) == 11
    assert main(["audit", str(path), "--rounding", "round:3", "--totals", "shown"]) == 0
    assert main(["audit", str(path), "--rounding", "nearest"]) == 2


def test_a_published_rounded_table_is_attacked_with_its_bands():
    """Declared as rounded by five with true totals rounded by themselves: the gap lies between 0 and 1."""
    data = pd.DataFrame({"a": ["x"] * 18 + ["y"] * 18 + ["z"], "b": "p"})
    spec = {"rows": ["a"], "columns": ["b"], "margins": True, "rounding": "round:5"}
    raw = b"a,p,Total\nx,20,20\ny,20,20\nz,,\nTotal,35,35\n"
    report = oc.compare_published(spec, data, raw)
    assert {f.rule for f in report.findings if f.severity == "fail"} == {"recoverable"}
    assert "between 0 and 1" in report.findings[0].why
    wide = pd.concat([data, pd.DataFrame({"a": ["z"] * 3, "b": "p"})])
    raw = b"a,p,Total\nx,20,20\ny,20,20\nz,,\nTotal,40,40\n"
    assert oc.compare_published(spec, wide, raw).status == "pass"


@pytest.mark.parametrize("kind", ["round", "midpoint"])
def test_tables_that_are_rounded_here_withstand_the_attack(kind):
    rng = np.random.default_rng(3)
    shares = [0.4, 0.4, 0.1, 0.07, 0.03]
    data = pd.DataFrame({"a": rng.choice(list("wxyz"), 300), "b": rng.choice(list("pqrst"), 300, p=shares)})
    report = oc.check({"rows": ["a"], "columns": ["b"], "margins": True}, data, "opensafely")
    table = report.round(5) if kind == "round" else report.midpoint(6)
    spec = table.report.spec
    assert oc.audit(table.to_csv().encode(), rounding=spec.rounding, totals=spec.totals).status == "pass"


def test_two_roundings_of_one_table_together():
    """Rounded by five and by three, 4 is 5 and 3: nothing else is both."""
    five = LongTable(("a",), (("x",), ("y",)), np.array([5.0, 20.0]), rounding="round:5")
    three = LongTable(("a",), (("x",), ("y",)), np.array([3.0, 21.0]), rounding="round:3")
    found = audit_system(link([five, three]), below=10)
    assert [(dict(n), lo, hi) for n, lo, hi in zip(found.names, found.least, found.most, strict=True)] == [
        ({"a": "x"}, 3.0, 4.0)
    ]
