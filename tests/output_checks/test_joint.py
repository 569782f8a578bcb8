"""Several outputs of one submission: means times counts, percentages of totals, sums of other tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.appetites import load
from output_checks.history.joint import attack, together
from output_checks.history.releases import Release, release_of

HOUSE = load("sacro")


def release(spec, labels, values):
    return Release(str(hash((str(spec), tuple(values)))), spec, tuple(zip(labels, values, strict=True)))


def by_group(statistic, cells, total, decimals=None, **more):
    """A published table of one dimension with a true total; None is suppressed."""
    spec = {"rows": ["g"], "margins": True, "statistic": statistic, **more}
    shown = [None if v is None else float(v if decimals is None else round(v, decimals)) for v in [*cells, total]]
    return release(spec, [*[(f"g{i}",) for i in range(len(cells))], ("Total",)], shown)


COUNTS, MEANS = np.array([40, 60, 12]), np.array([100.0, 200.0, 5000.0])
SUMS = COUNTS * MEANS
TOTAL = SUMS.sum() / COUNTS.sum()


def means(hide=(), decimals=None, total=TOTAL):
    shown = [None if i in hide else m for i, m in enumerate(MEANS)]
    return by_group("mean", shown, total, decimals, values="v")


def counts(hide=()):
    return by_group("count", [None if i in hide else n for i, n in enumerate(COUNTS)], COUNTS.sum())


def rules(findings):
    return sorted({f.rule for f in findings})


def test_means_and_counts_are_multiplied_back():
    found = attack([means(hide=[2]), counts()], HOUSE)
    assert rules(found) == ["linked"]
    assert found[0].cell == {"g": "g2"}
    assert "60000" in found[0].why
    assert attack([means(hide=[2])], HOUSE) == []
    assert attack([counts()], HOUSE) == []
    assert attack([means(hide=[1, 2]), counts()], HOUSE) == []  # one equation, two unknown sums


def test_rounded_means_put_the_sum_within_the_house_share():
    assert rules(attack([means(hide=[2], decimals=0), counts()], HOUSE)) == ["close"]


def test_suppressed_counts_follow_from_means():
    """The total mean is the weighted mean of the others: weights that are missing come out."""
    hidden = by_group("count", [40, 60, None], None)
    assert rules(attack([means(), hidden], HOUSE)) == ["linked"]
    assert attack([hidden, counts(hide=[2, 1])], HOUSE) != []  # the plain joint attack is still there


def test_percentages_and_totals_are_multiplied_back():
    shares = by_group("percent", [100 * n / 112 for n in COUNTS], 100.0, 1)
    hidden = by_group("count", [None, None, None], 112)
    found = attack([shares, hidden], HOUSE)
    assert rules(found) == ["linked"]
    assert len(found) == 3
    large = by_group("percent", [100 * n / 112 for n in COUNTS], 100.0, 0)
    wide = by_group("count", [None, None, None], 112)
    assert rules(attack([large, wide], HOUSE)) in ([], ["linked"])


def test_row_percentages_need_the_row_total():
    spec = {"rows": ["r"], "columns": ["c"], "statistic": "row_percent"}
    labels = [("x", "p"), ("x", "q"), ("y", "p"), ("y", "q")]
    shares = release(spec, labels, [90.0, 10.0, 50.0, 50.0])
    totals = release({"rows": ["r"]}, [("x",), ("y",)], [30.0, 40.0])
    hidden = release({"rows": ["r"], "columns": ["c"]}, labels, [None, None, 20.0, 20.0])
    assert rules(attack([shares, totals, hidden], HOUSE)) == ["linked"]
    assert attack([shares, hidden], HOUSE) == []


@given(st.lists(st.integers(10, 60), min_size=2, max_size=4), st.integers(0, 3), st.integers(0, 10**6))
def test_one_hidden_sum_among_true_totals_is_always_found(sizes, at, seed):
    rng = np.random.default_rng(seed)
    n = np.array(sizes)
    m = rng.gamma(2, 50, len(n)).round(3) + 1
    hide = at % len(n)
    shown = [None if i == hide else v for i, v in enumerate(m)]
    mean = by_group("mean", shown, float((n * m).sum() / n.sum()), values="v")
    found = attack([mean, by_group("count", n, n.sum())], HOUSE)
    assert [f.cell for f in found] == [{"g": f"g{hide}"}]


def test_other_populations_are_not_mixed():
    other = by_group("count", COUNTS, COUNTS.sum(), where={"column": "age", "op": ">", "value": 3})
    assert together([means(hide=[2]), other], HOUSE) == []
    assert rules(together([means(hide=[2]), counts()], HOUSE)) == ["linked"]


def test_tables_that_dropped_different_people_do_not_contradict_one_another():
    one = release({"rows": ["g"]}, [("a",), ("b",)], [30.0, None])
    two = release({"rows": ["g"], "columns": ["h"], "margins": True},
                  [("a", "x"), ("a", "Total"), ("b", "x"), ("b", "Total")], [28.0, 28.0, 20.0, 20.0])  # fmt: skip
    assert together([one, two], HOUSE) == []


DATA = pd.DataFrame({"g": np.repeat(["a", "b", "c"], COUNTS), "v": 0.0})
RNG = np.random.default_rng(0)
DATA["v"] = RNG.gamma(2, 50, len(DATA)).round(2)
DATA.loc[DATA.g == "c", "v"] = [1.0] * 11 + [40_000.0]


def raw_means():
    """Means as an author would write them by hand: the dominated cell is empty, the total is true."""
    report = oc.check({"rows": ["g"], "values": "v", "statistic": "mean", "margins": True}, DATA)
    assert [c.status for c in report.cells] == ["pass", "pass", "fail", "pass"]
    return report


def test_compare_finds_means_of_an_earlier_release():
    report = raw_means()
    old = release_of(report)
    cells = tuple((labels, None if labels == ("c",) else value) for labels, value in old.cells)
    found = oc.compare({"rows": ["g"], "margins": True}, DATA, [Release(old.id, old.spec, cells)])
    assert rules(found.findings) == ["linked"]
    safe = release_of(report.suppress())
    assert oc.compare({"rows": ["g"], "margins": True}, DATA, [safe]).status == "pass"


def test_a_session_joins_its_items(tmp_path):
    from dataclasses import replace

    report = raw_means()
    honest = report.suppress()
    hidden = np.where(report.evidence.codes[:, 0] == 2, np.nan, report.evidence.value)
    careless = replace(honest, report=report, shown=hidden)
    words = "Table of the paper with everything that a checker asks for here."
    for table, status in ((honest, []), (careless, ["linked"])):
        session = oc.Session("Joint", profile="sacro")
        session.add(oc.crosstab(DATA.g, margins=True).suppress(), title="Counts by group", context=words)
        session.add(table, title="Means by group", context=words, counts=session.items[0])
        assert [q.rule for q in session.questions()] == status
        if status:
            with pytest.raises(oc.Unsafe, match="Together"):
                session.write(tmp_path / "careless")
            assert not (tmp_path / "careless").exists()
        else:
            session.write(tmp_path / "honest")


def test_audit_multiplies_back_files_whose_columns_say_what_they_hold():
    one = b"g,mean:v\na,100\nb,200\nc,\nTotal,678.571428571429\n"
    two = b"g,count\na,40\nb,60\nc,12\nTotal,112\n"
    assert oc.audit(one).status == "pass"
    assert oc.audit(one, two).status == "fail"
    near = b"g,mean:v\na,100\nb,200\nc,\nTotal,678\n"
    assert oc.audit(near, two, close=0).status == "pass"
    assert rules(oc.audit(near, two).findings) == ["close"]
