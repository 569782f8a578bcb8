"""Published tables against the data: honest ones pass, every way of cheating or erring is named."""

import pandas as pd
import pytest

import output_checks as oc
from output_checks import published

DATA = pd.DataFrame(
    {
        "r": ["a"] * 60 + ["b"] * 40 + ["c"] * 24,
        "y": [2020, 2021] * 30 + [2020] * 37 + [2021] * 3 + [2020, 2021] * 12,
        "v": [float(i % 9) + 1 for i in range(124)],
    }
)
SPEC = {"rows": ["r"], "columns": ["y"], "margins": True}


def table(**changes):
    frame = pd.crosstab(DATA.r, DATA.y, margins=True).astype(object)
    for (row, column), value in changes.get("at", {}).items():
        frame.loc[row, column] = value
    return frame


def verdict(frame, tmp_path, spec=SPEC, profile="sacro", **options):
    path = tmp_path / "t.csv"
    frame.to_csv(path, **options)
    return oc.compare_published(spec, DATA, oc.published.read(path), profile)


def rules(report):
    return sorted({f.rule for f in report.findings if f.severity == "fail"})


HIDDEN = {("b", 2021): "", ("b", 2020): "", ("c", 2020): "", ("c", 2021): ""}


def test_a_disclosive_cell_is_named_with_its_place(tmp_path):
    report = verdict(table(), tmp_path)
    assert report.status == "fail"
    (finding,) = report.findings
    assert (finding.rule, finding.cell, finding.evidence["units"]) == ("threshold", {"r": "b", "y": 2021}, 3)
    assert "line 3, column 3" in finding.why
    assert finding.remedy


def test_suppressed_but_recoverable(tmp_path):
    report = verdict(table(at={("b", 2021): "*"}), tmp_path)
    assert rules(report) == ["recoverable"]
    assert report.findings[0].cell == {"r": "b", "y": 2021}


def test_suppressed_with_enough_others(tmp_path):
    assert verdict(table(at=HIDDEN), tmp_path).status == "pass"


def test_totals_of_what_is_shown(tmp_path):
    frame = table(at={("b", 2021): "", ("b", "All"): 37, ("All", 2021): 42, ("All", "All"): 121})
    assert verdict(frame, tmp_path).status == "pass"


def test_a_wrong_number(tmp_path):
    report = verdict(table(at={**HIDDEN, ("a", 2020): 31}), tmp_path)
    assert rules(report) == ["mismatch"]
    assert "says 31, the data say 30" in report.findings[0].why


def test_rounding_must_be_declared_and_true(tmp_path):
    frame = table(
        at={**HIDDEN, ("All", 2020): 80, ("All", 2021): 45, ("All", "All"): 125, ("b", "All"): 40, ("c", "All"): 25}
    )
    assert rules(verdict(frame, tmp_path)) == ["mismatch"]
    assert verdict(frame, tmp_path, {**SPEC, "rounding": "round:5"}).status == "pass"
    frame.loc["a", 2020] = 35
    assert rules(verdict(frame, tmp_path, {**SPEC, "rounding": "round:5"})) == ["mismatch"]


def test_rounding_alone_does_not_hide_small_cells_unless_the_house_says_so(tmp_path):
    base = DATA.assign(k=1).pivot_table(index="r", columns="y", values="k", aggfunc="count")
    five = ((base + 2.5) // 5 * 5).astype(int)
    spec = {"rows": ["r"], "columns": ["y"]}
    assert "threshold" in rules(verdict(five, tmp_path, {**spec, "rounding": "round:5"}))
    six = base.map(lambda n: -(-n // 6) * 6 - 3 * (n != 0))
    assert verdict(six, tmp_path, {**spec, "rounding": "midpoint:6"}, "opensafely").status == "pass"
    assert "threshold" in rules(verdict(six, tmp_path, {**spec, "rounding": "midpoint:6"}, "sacro"))


@pytest.mark.parametrize("rounding", ["round:1", "round:2", "midpoint:2"])
def test_a_rounding_too_fine_to_hide_anything_does_not_switch_the_attack_off(tmp_path, rounding):
    base = int(rounding[-1])
    frame = table(at={("b", 2021): ""})
    if base > 1:
        shift = 1 if rounding.startswith("midpoint") else 0
        frame = frame.map(lambda n: n if n == "" else (n + 1) // 2 * 2 - shift)
    assert "recoverable" in rules(verdict(frame, tmp_path, {**SPEC, "rounding": rounding}))


def test_modes_that_are_words(tmp_path):
    data = pd.DataFrame({"r": ["a"] * 40 + ["b"] * 40, "w": ["red"] * 25 + ["blue"] * 15 + ["blue"] * 39 + ["red"]})
    spec = {"rows": ["r"], "values": "w", "statistic": "mode"}
    assert oc.check(spec, data).suppress().to_csv() == "r,value\na,red\nb,\n"
    assert oc.compare_published(spec, data, b"r,w\na,red\nb,\n").status == "pass"
    assert rules(oc.compare_published(spec, data, b"r,w\na,blue\nb,\n")) == ["mismatch"]
    assert rules(oc.compare_published(spec, data, b"r,w\na,red\nb,blue\n")) == ["mode_share"]


def test_percentages_of_the_whole_add_up_to_their_totals(tmp_path):
    frame = (100 * pd.crosstab(DATA.r, DATA.y, normalize="all", margins=True)).astype(object)
    frame.loc["b", 2021] = frame.loc["c", 2020] = ""
    spec = {"rows": ["r"], "columns": ["y"], "statistic": "percent", "margins": True}
    assert rules(verdict(frame, tmp_path, spec)) == ["recoverable"]


def test_percentages_that_miss_only_one(tmp_path):
    frame = (100 * pd.crosstab(DATA.r, DATA.y, normalize="index")).astype(object)
    frame.loc["b", 2021] = ""
    spec = {"rows": ["r"], "columns": ["y"], "statistic": "row_percent"}
    assert rules(verdict(frame, tmp_path, spec)) == ["recoverable"]
    frame.loc["b", 2020] = ""
    assert verdict(frame, tmp_path, spec).status == "pass"


def test_decimals_shown_are_enough(tmp_path):
    frame = DATA[DATA.r != "b"].groupby("r").v.mean().round(2)
    spec = {"rows": ["r"], "values": "v", "statistic": "mean", "where": {"column": "r", "op": "!=", "value": "b"}}
    assert verdict(frame, tmp_path, spec).status == "pass"
    assert rules(verdict(frame + 0.02, tmp_path, spec)) == ["mismatch"]


def test_what_is_not_the_declared_table(tmp_path):
    assert "unknown_cell" in rules(verdict(table(at=HIDDEN).rename({"a": "z"}), tmp_path))
    assert "unreadable_cell" in rules(verdict(table(at={**HIDDEN, ("a", 2020): "30 (approx.)"}), tmp_path))
    twice = pd.concat([table(at=HIDDEN), table(at=HIDDEN)])
    assert "unknown_cell" in rules(verdict(twice, tmp_path))
    fewer = verdict(table(at=HIDDEN).drop("c"), tmp_path)
    assert [f.rule for f in fewer.findings] == ["missing_cell"]


def test_a_specification_cannot_loosen_the_house(tmp_path):
    assert rules(verdict(table(), tmp_path, {**SPEC, "parameters": {"threshold": 2}})) == ["threshold"]


def test_long_tables_and_lists_of_cells(tmp_path):
    long = DATA[DATA.r != "b"].groupby(["r", "y"]).size().reset_index(name="n")
    path = tmp_path / "long.csv"
    long.to_csv(path, index=False)
    spec = {"rows": ["r"], "columns": ["y"], "where": {"column": "r", "op": "!=", "value": "b"}}
    assert oc.compare_published(spec, DATA, path).status == "pass"
    cells = [{"labels": {"r": r, "y": y}, "value": n} for r, y, n in long.itertuples(index=False)]
    assert oc.compare_published(spec, DATA, cells).status == "pass"
    cells[0]["value"] += 1
    assert rules(oc.compare_published(spec, DATA, cells)) == ["mismatch"]


def test_several_levels_of_rows_and_columns(tmp_path):
    data = pd.DataFrame({"a": list("pq") * 60, "b": list("xxy") * 40, "c": [1, 1, 2, 2] * 30, "d": list("mn") * 60})
    frame = pd.crosstab([data.a, data.b], [data.c, data.d])
    path = tmp_path / "multi.csv"
    frame.to_csv(path)
    spec = {"rows": ["a", "b"], "columns": ["c", "d"], "parameters": {"zeros_are_disclosive": True}}
    report = oc.compare_published(spec, data, path, "dwb")
    assert not [f for f in report.findings if f.rule in ("mismatch", "unknown_cell", "missing_cell")]


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe1", b"a,b\n1\n", b'a,"b\n1,2', b"a\0,b\n1,2\n", b"x,y\n1,2\n"])
def test_unreadable_files_block(raw):
    with pytest.raises(oc.Unreadable):
        oc.compare_published(SPEC, DATA, raw)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", 1234),
        ("12.50", 12.5),
        (" 7 ", 7),
        ("45%", 45),
        ("*", None),
        ("<10", None),
        ("", None),
        ("[redacted]", None),
    ],
)
def test_texts_of_cells(text, value):
    cell = published.cell({}, text)
    assert cell.readable
    assert (None if cell.value is None else float(cell.value)) == value


@pytest.mark.parametrize("text", ["abc", "1,23", "inf", "1-2", "12 34"])
def test_texts_that_are_no_cell(text):
    assert not published.cell({}, text).readable
