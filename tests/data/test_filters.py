"""Row filters: SQL never comes in, what comes out binds every constant and means what was said."""

import contextlib
import datetime as dt
import math
import os

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tre.data.filters import both, check_rows, compile_rows
from tre.data.model import Variable
from tre.errors import InvalidInput

KINDS = {"age": "int", "cost": "float", "sex": "text", "dead": "bool", "seen": "date", "at": "time"}
VARIABLES = [Variable(name=name, kind=kind, identifier=False, unit=False) for name, kind in KINDS.items()]
VARIABLES += [
    Variable(name="nhs", kind="text", identifier=True, unit=False),
    Variable(name="person", kind="int", identifier=False, unit=True),
]
ROWS = [
    (1, 18, 1.5, "F", True, dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12)),
    (2, None, math.nan, "M", False, None, None),
    (3, 70, None, None, None, dt.date(2021, 6, 1), dt.datetime(2021, 6, 1)),
    (4, 40, -2.0, "'; DROP TABLE t; --", False, dt.date(1999, 12, 31), dt.datetime(1999, 12, 31, 23, 59)),
]


def chosen(rows):
    condition, parameters = compile_rows(rows, VARIABLES)
    with duckdb.connect() as connection:
        connection.execute(
            'CREATE TABLE t (i INT, age BIGINT, cost DOUBLE, sex VARCHAR, dead BOOL, seen DATE, "at" TIMESTAMP)'
        )
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)
        return [
            i for (i,) in connection.execute(f"SELECT i FROM t WHERE {condition} ORDER BY i", parameters).fetchall()
        ]


def cond(column, op, *value):
    return {"column": column, "op": op, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, [1, 2, 3, 4]),
        (cond("age", ">=", 18), [1, 3, 4]),
        (cond("age", "in", [18, 70]), [1, 3]),
        (cond("age", "not_in", [18]), [3, 4]),
        (cond("age", "in", []), []),
        ({"not": cond("age", ">", 30)}, [1, 2]),
        (cond("cost", "is_missing"), [2, 3]),
        (cond("cost", "<", 0), [4]),
        (cond("sex", "==", "'; DROP TABLE t; --"), [4]),
        (cond("sex", "!=", "F"), [2, 4]),
        (cond("dead", "==", False), [2, 4]),
        (cond("seen", "between", ["1999-12-31", "2020-01-01"]), [1, 4]),
        (cond("seen", ">", dt.date(2020, 1, 1)), [3]),
        (cond("at", ">", "2020-01-01"), [1, 3]),
        (cond("at", "<=", "2020-01-01T12:00:00+00:00"), [1, 4]),
        ({"all": [cond("age", ">=", 18), {"any": [cond("sex", "==", "F"), cond("sex", "is_missing")]}]}, [1, 3]),
        ({"all": []}, [1, 2, 3, 4]),
        ({"any": []}, []),
    ],
)
def test_filters_mean_what_they_say(rows, expected):
    assert chosen(rows) == expected


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ("age > 18", "rows"),
        (["age"], "rows"),
        ({"sql": "1=1"}, "rows"),
        (cond('age" OR 1=1 --', ">", 1), "rows"),
        (cond("age", "> 1 OR 1=1", 1), "rows.op"),
        (cond("age", ">", "1"), "rows.age"),
        (cond("age", ">", True), "rows.age"),
        (cond("age", ">", 2**63), "rows.age"),
        (cond("age", ">", math.inf), "rows.value"),
        (cond("age", ">", {"a": 1}), "rows.value"),
        (cond("sex", "==", "a\0b"), "rows.sex"),
        (cond("sex", "==", "x" * 501), "rows.sex"),
        (cond("sex", "==", 1), "rows.sex"),
        (cond("dead", "==", 1), "rows.dead"),
        (cond("seen", "==", "yesterday"), "rows.seen"),
        (cond("seen", "==", "2020-01-01T10:00"), "rows.seen"),
        (cond("seen", "==", 20200101), "rows.seen"),
        (cond("nhs", "==", "400"), "rows"),
        (cond("person", "in", [1]), "rows"),
        ({"not": {"all": [cond("nhs", "not_missing")]}}, "rows"),
        (cond("age", "in", list(range(1001))), "rows"),
        ({"all": [cond("age", ">", 1)] * 201}, "rows"),
        ({**cond("age", ">", 1), "extra": 1}, "rows"),
    ],
)
def test_what_is_no_filter_is_refused(rows, field):
    with pytest.raises(InvalidInput) as refusal:
        check_rows(rows, VARIABLES)
    assert refusal.value.field == field


@pytest.mark.parametrize("wrap", [lambda part: {"not": part}, lambda part: {"all": [part]}])
def test_a_tower_of_filters_does_not_exhaust_the_stack(wrap):
    tower = cond("age", ">", 1)
    for _ in range(100_000):
        tower = wrap(tower)
    with pytest.raises(InvalidInput):
        check_rows(tower, VARIABLES)


def test_no_constant_is_in_the_text():
    condition, parameters = compile_rows(
        {"all": [cond("sex", "==", "SECRET"), cond("age", "in", [4711, 4712])]}, VARIABLES
    )
    assert "SECRET" not in condition
    assert "4711" not in condition
    assert list(parameters.values()) == ["SECRET", 4711, 4712]


words = st.sampled_from(["all", "any", "not", "column", "op", "value", "age", "==", "in"])
anything = st.recursive(
    st.none() | st.text() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | words, inner),
    max_leaves=20,
)


@settings(max_examples=1000 if os.environ.get("TRE_TEST_LONG") else 50, deadline=None)
@given(anything)
def test_arbitrary_json_compiles_or_is_refused_as_input(rows):
    with contextlib.suppress(InvalidInput):
        compile_rows(rows, VARIABLES)


def test_both_filters_hold():
    first, second = cond("age", ">", 1), cond("sex", "==", "F")
    assert both(None, None) is None
    assert both(first, None) == first
    assert both(first, second) == {"all": [first, second]}
