"""Evidence and rules against plain loops over the records."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from tests.output_checks import oracle

VALUES = st.one_of(st.none(), st.integers(-3, 60).map(float), st.sampled_from([0.0, 1000.0]))
RECORD = st.fixed_dictionaries(
    {
        "a": st.sampled_from(["x", "X", "y", None]),
        "b": st.sampled_from([1, 2, 3]),
        "v": VALUES,
        "u": st.integers(0, 30),
        "h": st.integers(0, 6),
    }
)
RECORDS = st.lists(RECORD, min_size=1, max_size=120)


@st.composite
def specs(draw):
    statistic = draw(st.sampled_from(["count", "sum", "mean", "min", "max", "median"]))
    spec = {"rows": ["a"], "columns": draw(st.sampled_from([[], ["b"]])), "statistic": statistic}
    if statistic != "count" or draw(st.booleans()):
        spec["values"] = "v"
    spec["margins"] = draw(st.booleans())
    spec["unit"] = draw(st.sampled_from([None, "u"]))
    spec["holding"] = draw(st.sampled_from([None, "h"]))
    return {key: value for key, value in spec.items() if value is not None}


def frame(records):
    return pd.DataFrame(records, columns=["a", "b", "v", "u", "h"]).astype({"v": float})


@given(RECORDS, specs())
def test_every_cell_agrees_with_plain_loops(records, spec):
    report = oc.check(spec, frame(records))
    dims = (*spec["rows"], *spec["columns"])
    expected = oracle.all_cells(records, spec["rows"], spec["columns"], spec["margins"])
    found = {tuple(cell.labels[d] for d in dims): cell for cell in report.cells}
    assert set(found) == set(expected)
    known = {"threshold", "zero", "dominance_nk", "dominance_p", "all_same"}
    for labels, cell in found.items():
        inside = oracle.cell_records(records, dims, labels)
        valued = [r for r in inside if r["v"] is not None] if spec.get("values") else inside
        assert cell.evidence["records"] == len(inside)
        assert cell.evidence["units"] == oracle.units(valued, spec)
        want = oracle.value(inside, spec)
        assert cell.value == (None if want is None else pytest.approx(want, abs=1e-9))
        assert set(cell.findings) & known == oracle.judge(inside, spec), (labels, inside)


@given(RECORDS, st.sampled_from(["min", "max", "median", "quantile:0.25", "quantile:0.9"]))
def test_ties_and_sides_are_counted(records, statistic):
    report = oc.check({"rows": ["a"], "values": "v", "statistic": statistic, "margins": True}, frame(records))
    for cell in report.cells:
        if cell.value is None:
            continue
        values = [r["v"] for r in oracle.cell_records(records, ["a"], [cell.row["a"]]) if r["v"] is not None]
        sides = [sum(v < cell.value for v in values), values.count(cell.value), sum(v > cell.value for v in values)]
        assert [cell.evidence[name] for name in ("below", "ties", "above")] == sides
        few_ties = sides[1] < 10
        if statistic in ("min", "max"):
            assert ("extreme" in cell.findings) == few_ties
        else:
            assert ("side_count" in cell.findings) == (few_ties and min(sides[0], sides[2]) < 10)


@given(RECORDS)
def test_units_at_an_extreme_count_people_not_records(records):
    spec = {"rows": ["b"], "values": "v", "statistic": "max", "unit": "u"}
    for cell in oc.check(spec, frame(records)).cells:
        inside = [r for r in oracle.cell_records(records, ["b"], [cell.row["b"]]) if r["v"] is not None]
        if inside:
            top = max(r["v"] for r in inside)
            assert cell.evidence["ties"] == len({r["u"] for r in inside if r["v"] == top})


@given(RECORDS)
def test_every_kind_of_data_gives_the_same_verdict(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("data")
    data = frame(records)
    data.to_parquet(folder / "d.parquet")
    data.to_csv(folder / "d.csv", index=False)
    spec = {"rows": ["a"], "columns": ["b"], "values": "v", "statistic": "sum", "margins": True, "unit": "u"}
    if data["a"].notna().sum() == 0 or data["v"].notna().sum() == 0:
        return  # a CSV column without any value has no type
    first = oc.check(spec, data)
    same = [
        pl.from_pandas(data),
        pl.from_pandas(data).lazy(),
        pa.Table.from_pandas(data),
        folder / "d.parquet",
        folder,
        data.astype({"a": "category"}),
    ]
    for other in same:
        report = oc.check(spec, other)
        assert {tuple(c.labels.values()): (c.value, c.findings) for c in report.cells} == {
            tuple(c.labels.values()): (c.value, c.findings) for c in first.cells
        }
    csv = oc.check(spec, str(folder / "d.csv"))
    assert {tuple(map(str, c.labels.values())): c.findings for c in csv.cells} == {
        tuple(map(str, c.labels.values())): c.findings for c in first.cells
    }


def test_a_duckdb_relation_is_read_on_its_own_connection():
    import duckdb

    connection = duckdb.connect()
    relation = connection.sql("SELECT i % 3 AS a, i AS v FROM range(90) t(i)")
    report = oc.check({"rows": ["a"], "values": "v", "statistic": "mean"}, relation)
    assert [(cell.row["a"], cell.value, cell.evidence["n"]) for cell in report.cells] == [
        (0, 43.5, 30),
        (1, 44.5, 30),
        (2, 45.5, 30),
    ]


def test_missing_dimensions_are_dropped_or_kept():
    data = pd.DataFrame({"a": ["x"] * 12 + [None] * 15, "f": [1.5] * 12 + [float("nan")] * 15})
    for name in ("a", "f"):
        assert len(oc.check({"rows": [name]}, data).cells) == 1
        kept = oc.check({"rows": [name], "missing": "keep"}, data).cells
        assert [(cell.row[name], cell.value) for cell in kept][1] == ("(missing)", 15)


def test_categories_nobody_has_are_cells_when_asked_for():
    data = pd.DataFrame({"a": pd.Categorical(["x"] * 20, categories=["x", "y"]), "b": ["p", "q"] * 10})
    assert len(oc.check({"rows": ["a"], "columns": ["b"]}, data).cells) == 2
    report = oc.check({"rows": ["a"], "columns": ["b"], "observed": False}, data)
    assert [cell.findings for cell in report.cells] == [(), (), ("zero",), ("zero",)]
    declared = oc.check({"rows": ["b"], "categories": {"b": ["r", "q", "p"]}}, data)
    assert [(cell.row["b"], cell.value) for cell in declared.cells] == [("r", 0), ("q", 10), ("p", 10)]


def test_hierarchies_add_their_nodes_as_cells():
    data = pd.DataFrame({"code": ["A1"] * 12 + ["A2"] * 13 + ["B1"] * 20, "v": range(45)})
    by_prefix = oc.check({"rows": ["code"], "hierarchies": {"code": [1]}, "margins": "all"}, data)
    found = {cell.row["code"]: cell.value for cell in by_prefix.cells}
    assert found == {"A1": 12, "A2": 13, "B1": 20, "A": 25, "B": 20, "Total": 45}
    tree = {"north": ["A1", "A2"], "south": ["B1"]}
    by_tree = oc.check({"rows": ["code"], "hierarchies": {"code": tree}, "margins": True}, data)
    assert {cell.row["code"]: cell.value for cell in by_tree.cells} == {
        "A1": 12, "A2": 13, "B1": 20, "north": 25, "south": 20, "Total": 45,
    }  # fmt: skip


def test_a_label_that_is_parent_and_leaf_is_refused():
    data = pd.DataFrame({"code": ["A"] * 12 + ["A2"] * 13})
    with pytest.raises(oc.BadInput, match="both a parent"):
        oc.check({"rows": ["code"], "hierarchies": {"code": [1]}}, data)


def test_weights_change_values_but_not_thresholds():
    data = pd.DataFrame({"a": ["x"] * 5 + ["y"] * 12, "w": [100.0] * 5 + [2.0] * 12, "v": [1.0] * 17})
    cells = oc.check({"rows": ["a"], "weights": "w"}, data).cells
    assert [(cell.value, cell.findings) for cell in cells] == [(500.0, ("threshold",)), (24.0, ())]
    mean = oc.check({"rows": ["a"], "weights": "w", "values": "v", "statistic": "mean"}, data).cells
    assert [cell.value for cell in mean] == [1.0, 1.0]
    with pytest.raises(oc.BadInput, match="weights"):
        oc.check({"rows": ["a"], "weights": "w"}, data.assign(w=[-1.0] + [1.0] * 16))


def test_a_holding_with_a_large_loss_dominates_by_its_size():
    data = pd.DataFrame(
        {"a": ["x"] * 62, "h": ["big", "big", *map(str, range(60))], "v": [-500.0, -500.0] + [1.0] * 60}
    )
    spec = {"rows": ["a"], "values": "v", "statistic": "sum", "holding": "h"}
    (cell,) = oc.check(spec, data).cells
    assert cell.evidence["top"] == [1000.0, 1.0]
    assert {"dominance_nk", "dominance_p", "negatives"} <= set(cell.findings)


def test_infinite_values_block():
    data = pd.DataFrame({"a": ["x"] * 20, "v": [1.0] * 19 + [float("inf")]})
    report = oc.check({"rows": ["a"], "values": "v", "statistic": "sum"}, data)
    assert "not_finite" in report.cells[0].findings
    assert report.status == "fail"


def test_what_cannot_be_read_is_blocked(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no parquet")
    (tmp_path / "notes.docx").write_bytes(b"x")
    for data in (tmp_path / "broken.parquet", tmp_path / "notes.docx", tmp_path / "absent.csv", 7, None):
        with pytest.raises(oc.Unreadable):
            oc.check({"rows": ["a"]}, data)
    with pytest.raises(oc.BadInput, match="no column"):
        oc.check({"rows": ["z"]}, pd.DataFrame({"a": [1]}))


def test_no_records_at_all_is_no_release_of_anything():
    data = pd.DataFrame({"a": ["x"], "v": [1.0]})
    spec = {"rows": ["a"], "where": {"column": "v", "op": ">", "value": 5}, "margins": True}
    assert oc.check(spec, data).cells == []


def test_names_with_quotes_and_sql_are_only_names():
    name = 'a"; DROP TABLE records; --'
    data = pd.DataFrame({name: ["it's", 'say "x"'] * 10})
    assert [cell.row[name] for cell in oc.check({"rows": [name]}, data).cells] == ["it's", 'say "x"']
