"""Differencing: a filter that moved, a category that was split, a newer snapshot, gaps that follow from two tables."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.history.releases import release_of

N = 400
DATA = pd.DataFrame(
    {
        "region": [f"r{i % 4}" for i in range(N)],
        "sex": [("f", "m")[i // 4 % 2] for i in range(N)],
        "age": [20 + i // 8 for i in range(N)],
        "person": range(N),
    }
)


def rules(verdict):
    return sorted({f.rule for f in verdict.findings if f.severity == "fail"})


def released(spec, data=DATA, profile="sacro"):
    return release_of(oc.check(spec, data, profile).suppress())


def older(age):
    return {"column": "age", "op": ">=", "value": age}


def test_a_filter_that_moved_by_a_few_people():
    first = released({"rows": ["region"], "where": older(30)})
    assert rules(oc.compare({"rows": ["region"], "where": older(30)}, DATA, [first])) == []
    assert rules(oc.compare({"rows": ["region"], "where": older(31)}, DATA, [first])) == ["differencing"]
    assert rules(oc.compare({"rows": ["region"], "where": older(35)}, DATA, [first])) == []  # ten of each region
    found = oc.compare({"rows": ["region"], "where": older(31)}, DATA, [first]).findings[0]
    assert found.evidence == {"release": first.id}
    assert "2 people" in found.why


def test_the_same_population_said_differently_is_no_difference():
    first = released({"rows": ["region"], "where": older(30)})
    same = {"all": [{"column": "age", "op": ">", "value": 29}, {"column": "person", "op": ">=", "value": 0}]}
    assert rules(oc.compare({"rows": ["region"], "where": same}, DATA, [first])) == []


@given(st.integers(20, 69), st.integers(20, 69))
def test_populations_are_compared_as_a_list_of_people_would_be(first, second):
    report = released({"rows": ["region"], "where": older(first)})
    found = rules(oc.compare({"rows": ["region"], "where": older(second)}, DATA, [report]))
    low, high = sorted([first, second])
    between = DATA[(DATA.age >= low) & (DATA.age < high)]
    counts = [*between.groupby("region").size(), len(between)]
    assert ("differencing" in found) == any(0 < n < 10 for n in counts)


def test_units_count_once_in_a_difference():
    twice = pd.concat([DATA.assign(person=DATA.person // 5)] * 2)
    first = released({"rows": ["sex"], "where": older(30), "unit": "person"}, twice)
    spec = {"rows": ["sex"], "where": older(36), "unit": "person"}
    assert rules(oc.compare(spec, twice, [first])) != []
    assert rules(oc.compare({**spec, "unit": None}, twice, [first])) == []


def test_a_newer_snapshot_of_the_same_table():
    first = released({"rows": ["region"]})
    newer = pd.concat([DATA, DATA.head(3)])
    assert rules(oc.compare({"rows": ["region"]}, newer, [first])) == ["snapshot"]
    much = pd.concat([DATA, DATA.head(60)])
    assert rules(oc.compare({"rows": ["region"]}, much, [first])) == []


def test_gaps_that_follow_from_two_tables_together():
    data = pd.DataFrame({"a": ["x"] * 40 + ["y"] * 33, "b": ["p"] * 36 + ["q"] * 4 + ["p"] * 15 + ["q"] * 18})
    inner = {"rows": ["a"], "columns": ["b"]}
    totals = released({"rows": ["a"]}, data)
    assert oc.check(inner, data).suppress().to_csv()  # alone it may leave
    verdict = oc.compare(inner, data, [totals])
    assert rules(verdict) == ["linked"]
    assert verdict.findings[0].cell == {"a": "x", "b": "q"}
    other = released({"rows": ["a"], "where": {"column": "b", "op": "==", "value": "p"}}, data)
    assert "linked" not in rules(oc.compare(inner, data, [other]))


def test_a_store_in_one_file(tmp_path):
    store = oc.JsonLines(tmp_path / "store.jsonl")
    assert list(store.releases()) == []
    table = oc.check({"rows": ["region"], "where": older(30)}, DATA).suppress()
    release = oc.remember(table, store, context={"project": "heart"})
    assert list(store.releases()) == [release]
    assert release.context == {"project": "heart"}
    assert rules(oc.compare({"rows": ["region"], "where": older(31)}, DATA, store)) == ["differencing"]
    (tmp_path / "store.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(oc.Unreadable, match="line 1"):
        oc.compare({"rows": ["region"]}, DATA, store)


def test_an_earlier_release_that_no_longer_fits_the_data_blocks():
    old = released({"rows": ["region"], "where": older(30)})
    broken = oc.Release(old.id, {**old.spec, "where": {"column": "gone", "op": ">", "value": 1}}, old.cells)
    assert rules(oc.compare({"rows": ["region"]}, DATA, [broken])) == ["unreadable"]


def test_a_changed_treatment_of_missing_labels_is_another_population():
    """Three people of the north have no sex: dropping them in one table and keeping them in another shows them."""
    data = DATA.assign(sex=DATA.sex.where(DATA.person >= 3))
    kept = released({"rows": ["region"]}, data)
    spec = {"rows": ["region"], "columns": ["sex"], "margins": True}
    found = oc.compare(spec, data, [kept])
    assert rules(found) == ["differencing"]
    assert {f.cell["region"] for f in found.findings} == {"r0", "r1", "r2", "Total"}
    assert rules(oc.compare({**spec, "missing": "keep"}, data, [kept])) == ["linked"]  # of the same people, but a gap
    both = released({**spec, "missing": "keep"}, data)
    assert rules(oc.compare(spec, data, [both])) == ["differencing"]
    assert rules(oc.compare(spec, DATA, [released({"rows": ["region"]})])) == []  # nobody is missing
    many = DATA.assign(sex=DATA.sex.where(DATA.person >= 48))
    assert rules(oc.compare(spec, many, [released({"rows": ["region"]}, many)])) == []  # twelve of each region


def test_missing_numbers_count_as_missing_labels():
    data = DATA.assign(score=(DATA.person % 2).astype(float).where(DATA.person >= 3))
    first = released({"rows": ["region"]}, data)
    assert rules(oc.compare({"rows": ["region", "score"]}, data, [first])) == ["differencing"]
