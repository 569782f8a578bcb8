"""Evidence from columns in memory against the same evidence from the database."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from output_checks.evidence import adding, columns, gather, tally, words
from output_checks.evidence.spec import TableSpec

NUMBER = st.one_of(st.none(), st.integers(-40, 60).map(float), st.sampled_from([0.0, 1e6, -1e6]))
POSITIVE = st.one_of(st.none(), st.integers(0, 60).map(float))
DIMENSION = {
    "text": (
        st.sampled_from(["x", "X", "y é", "", "x\0", "1234567", "12345678", None]),
        lambda values: pd.array(values, dtype="str"),
    ),
    "category": (
        st.sampled_from(["q", "p", "it's", None]),
        lambda values: pd.Categorical(values, categories=["q", "nobody", "p", "it's"]),
    ),
    "int8": (st.sampled_from([-128, 127, 3]), lambda values: np.array(values, dtype=np.int8)),
    "uint64": (st.sampled_from([0, 7, 12]), lambda values: np.array(values, dtype=np.uint64)),
    "bool": (st.booleans(), lambda values: np.array(values, dtype=bool)),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(list(DIMENSION)), min_size=1, max_size=3, unique=True))
    rows = draw(st.integers(1, 150))
    frame = {
        kind: DIMENSION[kind][1](draw(st.lists(DIMENSION[kind][0], min_size=rows, max_size=rows))) for kind in kinds
    }
    frame["v"] = np.array(
        draw(st.lists(draw(st.sampled_from([NUMBER, POSITIVE])), min_size=rows, max_size=rows)), float
    )
    spec = {"rows": kinds[:1], "columns": kinds[1:], "margins": draw(st.sampled_from([False, True, "all"]))}
    spec["statistic"] = draw(st.sampled_from(["count", "sum", "mean", "percent", "row_percent", "column_percent"]))
    if spec["statistic"] in ("sum", "mean") or draw(st.booleans()):
        spec["values"] = "v"
    spec["missing"] = draw(st.sampled_from(["drop", "keep"]))
    spec["observed"] = draw(st.booleans())
    return TableSpec.from_dict(spec), pd.DataFrame(frame), draw(st.sampled_from([2, 3]))


def alike(mine, theirs):
    assert mine.axes == theirs.axes
    for item in fields(mine):
        one, other = getattr(mine, item.name), getattr(theirs, item.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, item.name
            np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=1e-12, atol=1e-9, err_msg=item.name)


@given(tables(), st.sampled_from([1, 7, 64]), st.sampled_from([adding.Counting, adding.Sparse]))
def test_the_tally_is_what_the_database_says(case, slices, way):
    spec, data, top = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "adder", lambda size, rows: way(size))
        patch.setattr(tally, "FIRST", slices)
        patch.setattr(tally, "MOST", 2 * slices)
        patch.setattr(tally, "WORTH_A_THREAD", 20)
        patch.setattr(columns, "SLICE", slices)
        patch.setattr(columns, "WORTH_A_THREAD", 40)
        quick = gather._in_memory(spec, data, top)
        assert quick is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "in_memory", lambda spec, data: None)
        alike(quick, gather.gather(spec, data, top=top))


@given(st.integers(1, 40), st.lists(st.integers(1, 3000), min_size=1, max_size=3), st.integers(0, 2**32))
def test_both_ways_of_adding_agree_to_the_last_bit(size, slices, seed):
    rng = np.random.default_rng(seed)
    one, other = adding.Counting(size), adding.Sparse(size)
    for rows in slices:
        at = rng.integers(0, size, rows).astype(rng.choice([np.int32, np.int64]))
        values = rng.standard_cauchy(rows)
        values[rng.random(rows) < 0.001] = np.nan
        np.testing.assert_array_equal(one.sums(at, values), other.sums(at, values))
        np.testing.assert_array_equal(one.counts(at), other.counts(at))


@pytest.mark.parametrize("codes", [[0, 2], [0, 127], [0, -2], [-128, 1]])
def test_codes_that_stand_for_no_label_are_not_added_up(codes):
    """Nothing behind it looks at them again: memory beyond the cells would be written."""
    broken = pd.Categorical._simple_new(np.array(codes, dtype=np.int8), pd.CategoricalDtype(["x", "y"]))
    spec = TableSpec.from_dict({"rows": ["a"]})
    assert columns.in_memory(spec, pd.DataFrame({"a": broken})) is None
    truths = np.array([0, 2], dtype=np.uint8).view(bool)
    assert columns.in_memory(spec, pd.DataFrame({"a": truths})) is None


@pytest.mark.parametrize("long", ["q", "a label that is no word"])
def test_many_records(long, monkeypatch):
    monkeypatch.setattr(columns, "_cores", lambda: 3)
    rng = np.random.default_rng(3)
    rows = 2 * columns.WORTH_A_THREAD + 12_345
    data = pd.DataFrame(
        {
            "a": pd.Categorical.from_codes(rng.integers(-1, 40, rows), [f"a{i}" for i in range(40)]),
            "b": pd.array(np.array(["p", long, "rs"])[np.sort(rng.integers(0, 3, rows))], dtype="str"),
            "v": np.where(rng.random(rows) < 0.01, np.nan, rng.standard_t(3, rows)),
        }
    )
    spec = TableSpec.from_dict({"rows": ["a"], "columns": ["b"], "values": "v", "statistic": "mean", "margins": True})
    quick = gather._in_memory(spec, data, 3)
    arrow = pa.table({"a": data.a.astype("str"), "b": data.b, "v": data.v.to_numpy()})
    theirs = gather.gather(spec, arrow, top=3)
    order = np.argsort([axis_text(quick, i) for i in range(len(quick))])
    other = np.argsort([axis_text(theirs, i) for i in range(len(theirs))])
    for name in ("records", "n", "units", "total", "total_abs", "low", "high", "top", "negatives", "value"):
        np.testing.assert_allclose(getattr(quick, name)[order], getattr(theirs, name)[other], rtol=1e-9, err_msg=name)


def axis_text(evidence, i):
    return "/".join(axis.text(int(c), "Total") for axis, c in zip(evidence.axes, evidence.codes[i], strict=True))


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"v": [1.0, np.inf, 2.0]}, {}),
        ({"v": pd.array([1, None, 2], dtype="Int64")}, {}),
        ({"a": [1.5, 2.5, 1.5]}, {}),
        ({"a": pd.Series(["x", "y", "x"], dtype="object")}, {}),
        ({"a": np.array([0, 10**6, 5])}, {}),
        ({}, {"where": {"column": "v", "op": ">", "value": 0}}),
        ({}, {"weights": "v"}),
        ({}, {"unit": "v"}),
        ({}, {"statistic": "median"}),
    ],
)
def test_what_cannot_be_tallied_is_left_to_the_database(change, more):
    data = pd.DataFrame({"a": pd.array(["x", "y", "x"], dtype="str"), "v": [1.0, 2.0, 3.0]} | change)
    spec = TableSpec.from_dict({"rows": ["a"], "values": "v", "statistic": "sum"} | more)
    assert gather._in_memory(spec, data, 2) is None
    assert len(gather.gather(spec, data)) > 0


def test_more_labels_than_are_kept_at_hand_go_to_the_database():
    data = pd.DataFrame({"a": pd.array([f"label {i}" for i in range(columns.MOST_LABELS + 1)], dtype="str")})
    spec = TableSpec.from_dict({"rows": ["a"]})
    assert gather._in_memory(spec, data, 2) is None
    assert int(gather.gather(spec, data).published.sum()) == len(data)


TEXTS = st.one_of(st.none(), st.text(max_size=9), st.sampled_from(["a", "a\0", "", "1234567", "12345678"]))


@given(st.lists(TEXTS, max_size=300), st.integers(0, 5), st.booleans())
def test_text_becomes_codes_and_back(texts, start, large):
    array = pa.array(texts, type=pa.large_string() if large else pa.string())[start:]
    labels, room = words.Labels(100), words.Room()
    found = [
        labels.codes(part, room) for part in (array, array[: len(array) // 2], array[::-1] if len(array) else array)
    ]
    back = {code: text for text, code in labels.code_of.items()} | {-1: None}
    if not labels.too_many:
        assert [back[code] for code in found[0].tolist()] == texts[start:]
        assert found[1].tolist() == found[0].tolist()[: len(array) // 2]
        assert found[2].tolist() == found[0].tolist()[::-1]


def test_labels_that_collide_go_through_the_dictionary(monkeypatch):
    monkeypatch.setattr(words, "LARGEST_TABLE", 0)
    texts = [f"{i:x}" for i in range(4000)]
    labels = words.Labels(5000)
    array = pa.array(texts * 2)
    codes = labels.codes(array, words.Room())
    back = {code: text for text, code in labels.code_of.items()}
    assert [back[code] for code in codes.tolist()] == texts * 2
    assert not labels._short


def test_a_thread_that_fails_fails_the_table(monkeypatch):
    monkeypatch.setattr(columns, "_cores", lambda: 2)
    monkeypatch.setattr(columns, "WORTH_A_THREAD", 10)
    monkeypatch.setattr(columns, "SLICE", 10)
    broken = pa.array([b"a label that is no word"] * 30 + [b"\xff a label that is no text"] * 10).view(pa.string())
    with pytest.raises(UnicodeDecodeError):
        columns._text(pa.chunked_array([broken]))
