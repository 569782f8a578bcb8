"""The specification and its filters: to JSON and back, and every mistake named with field and remedy."""

import datetime as dt
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.evidence.where import parse

FULL = {
    "rows": ["region"],
    "columns": ["year"],
    "values": "income",
    "statistic": "sum",
    "margins": "all",
    "missing": "keep",
    "unit": "person",
    "holding": "household",
    "weights": "w",
    "where": {"all": [{"column": "age", "op": ">=", "value": 18}, {"not": {"column": "sex", "op": "is_missing"}}]},
    "hierarchies": {"region": {"north": ["a", "b"]}},
    "categories": {"year": [2020, 2021]},
    "observed": False,
    "parameters": {"threshold": 20, "nk_n": 1, "nk_k": 0.5, "p": 0.2, "zeros_are_disclosive": False},
    "totals": "shown",
    "rounding": "round:5",
    "total": "All",
}


def test_to_json_and_back():
    spec = oc.TableSpec.from_dict(json.loads(json.dumps(FULL)))
    assert spec.to_dict() == FULL
    assert oc.TableSpec.from_dict(spec.to_dict()) == spec
    assert oc.TableSpec(rows="a").to_dict() == {"rows": ["a"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rows": []}, "rows"),
        ({"rows": 7}, "rows"),
        ({"rows": ["a", "a"]}, "columns"),
        ({"colums": ["b"]}, "colums"),
        ({"values": ["a", "b"]}, "values"),
        ({"statistic": "average"}, "statistic"),
        ({"statistic": "quantile:1.2"}, "statistic"),
        ({"statistic": "sum"}, "values"),
        ({"margins": "some"}, "margins"),
        ({"margins": 1}, "margins"),
        ({"missing": "ignore"}, "missing"),
        ({"observed": "yes"}, "observed"),
        ({"rounding": "5"}, "rounding"),
        ({"totals": "some"}, "totals"),
        ({"total": ""}, "total"),
        ({"unit": 3}, "unit"),
        ({"where": "age > 5"}, "where"),
        ({"where": {"column": "a", "op": "like", "value": 1}}, "where.op"),
        ({"where": {"all": [{"column": "", "op": "==", "value": 1}]}}, "where.all[0].column"),
        ({"where": {"column": "a", "op": "in", "value": 1}}, "where.value"),
        ({"where": {"column": "a", "op": "==", "value": None}}, "where.value"),
        ({"where": {"column": "a", "op": "==", "value": 1, "sql": "x"}}, "where"),
        ({"hierarchies": {"b": [1]}}, "hierarchies.b"),
        ({"hierarchies": {"a": [3, 1]}}, "hierarchies.a"),
        ({"hierarchies": {"a": {"x": ["y"], "y": ["x"]}}}, "hierarchies.a"),
        ({"hierarchies": {"a": {"x": ["y"], "z": ["y"]}}}, "hierarchies.a"),
        ({"categories": {"a": "xy"}}, "categories.a"),
        ({"parameters": {"treshold": 5}}, "parameters.treshold"),
        ({"parameters": {"threshold": 0}}, "parameters.threshold"),
        ({"parameters": {"threshold": None}}, "parameters.threshold"),
        ({"parameters": {"p": 20}}, "parameters.p"),
        ({"parameters": {"nk_k": 90}}, "parameters.nk_k"),
        ({"parameters": {"zeros_are_disclosive": "no"}}, "parameters.zeros_are_disclosive"),
        ({"parameters": {"extreme": "ignore"}}, "parameters.extreme"),
    ],
)
def test_every_mistake_names_its_field_and_a_remedy(change, field):
    with pytest.raises(oc.BadInput) as caught:
        oc.TableSpec.from_dict({"rows": ["a"], **change})
    assert caught.value.field == field
    assert caught.value.remedy


def test_rows_are_needed():
    with pytest.raises(oc.BadInput, match="rows"):
        oc.TableSpec.from_dict({})
    with pytest.raises(oc.BadInput):
        oc.TableSpec.from_dict([1])


DATA = pd.DataFrame(
    {
        "k": range(6),
        "age": [10, 20, 30, None, 50, 60],
        "name": ["a", "it's", None, "b", "B", "c"],
        "day": pd.to_datetime(["2020-01-01", "2020-06-01", None, "2021-01-01", "2022-01-01", "2023-05-05"]),
        "yes": [True, False, True, False, True, False],
    }
)


def kept(expression):
    report = oc.check({"rows": ["k"], "where": expression}, DATA)
    return {cell.row["k"] for cell in report.cells}


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        (oc.col("age") >= 30, {2, 4, 5}),
        (oc.col("age") > 29.5, {2, 4, 5}),
        (oc.col("age") != 30, {0, 1, 4, 5}),
        (~(oc.col("age") > 20), {0, 1, 3}),
        (oc.col("age").missing(), {3}),
        (oc.col("age").between(20, 50), {1, 2, 4}),
        (oc.col("name") == "it's", {1}),
        (oc.col("name").isin(["b", "B"]), {3, 4}),
        (oc.col("day") >= "2021-01-01", {3, 4, 5}),
        (oc.col("day") == dt.date(2020, 6, 1), {1}),
        ((oc.col("yes") == True) & (oc.col("age") < 40), {0, 2}),  # noqa: E712
        ((oc.col("age") == 10) | (oc.col("name") == "c"), {0, 5}),
        ({"any": []}, set()),
        ({"column": "name", "op": "not_in", "value": []}, {0, 1, 3, 4, 5}),
    ],
)
def test_filters_mean_what_they_say(expression, rows):
    assert kept(expression) == rows


@pytest.mark.parametrize(
    ("column", "value"), [("age", "30"), ("name", 3), ("yes", 1), ("day", 2020), ("day", "spring")]
)
def test_a_constant_of_another_kind_is_refused(column, value):
    with pytest.raises(oc.BadInput, match="where"):
        kept({"column": column, "op": "==", "value": value})


LEAF = st.builds(
    lambda c, o, v: {"column": c, "op": o, "value": v},
    st.sampled_from(["age", "k"]),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.integers(0, 60),
)
TREES = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)


def truth(body, record):
    if "all" in body:
        return all(truth(part, record) for part in body["all"])
    if "any" in body:
        return any(truth(part, record) for part in body["any"])
    if "not" in body:
        return not truth(body["not"], record)
    value = record[body["column"]]
    if value is None or value != value:
        return False
    by = {"==": value == body["value"], "!=": value != body["value"], "<": value < body["value"],
          "<=": value <= body["value"], ">": value > body["value"], ">=": value >= body["value"]}  # fmt: skip
    return by[body["op"]]


@given(TREES)
def test_any_filter_agrees_with_plain_logic_and_survives_json(body):
    assert parse(json.loads(json.dumps(body))).to_dict() == body
    assert kept(body) == {r["k"] for r in DATA.to_dict("records") if truth(body, r)}
