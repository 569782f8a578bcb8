"""What the command line refuses: exit code 2, field and remedy named, nothing written."""

import json

import pandas as pd
import pytest

import output_checks as oc
from output_checks.cli import main

DATA = pd.DataFrame({"r": ["a", "b"] * 30, "c": ["x", "y", "z"] * 20, "v": range(60), "t": ["q"] * 60})
TWO = '"rows": ["r"], "columns": ["c"]'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    DATA.to_csv("d.csv", index=False)
    return tmp_path


def refused(capsys, *arguments):
    """The field of the refusal."""
    assert main([*arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["message"]
    assert error["remedy"]
    return error["field"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "spec"),
        ("null", "spec"),
        ("{}", "rows"),
        ('{"rows": null}', "rows"),
        ('{"rows": []}', "rows"),
        ('{"rows": ["zz"]}', "rows"),
        ('{"rows": ["r"], "rows": ["c"]}', "rows"),
        ('{"rows": ["r"], "columns": ["zz"]}', "columns"),
        ('{"rows": ["r"], "columns": ["r"]}', "columns"),
        ('{"rows": ["r"], "values": "zz", "statistic": "sum"}', "values"),
        ('{"rows": ["r"], "values": "t", "statistic": "sum"}', "values"),
        ('{"rows": ["r"], "statistic": "sum"}', "values"),
        ('{"rows": ["r"], "unit": "zz"}', "unit"),
        ('{"rows": ["r"], "holding": "zz"}', "holding"),
        ('{"rows": ["r"], "weights": "zz"}', "weights"),
        ('{"rows": ["r"], "statistic": null}', "statistic"),
        ('{"rows": ["r"], "statistic": "quantile:1", "values": "v"}', "statistic"),
        ('{"rows": ["r"], "missing": null}', "missing"),
        ('{"rows": ["r"], "where": {"column": "zz", "op": "==", "value": 1}}', "where"),
        ('{"rows": ["r"], "where": "v > 3"}', "where"),
        ('{"rows": ["r"], "parameters": {"class_share": 1.5}}', "parameters.class_share"),
        ('{"rows": ["r"], "parameters": {"threshold": NaN}}', "parameters.threshold"),
        ('{"rows": ["r"], "hierarchies": {"r": [2, 1]}}', "hierarchies.r"),
    ],
)
def test_a_specification_that_is_wrong(folder, capsys, body, field):
    (folder / "s.json").write_text(body)
    assert refused(capsys, "check", "s.json", "d.csv") == field
    assert refused(capsys, "protect", "s.json", "d.csv", "-o", "out.csv") == field
    assert {path.name for path in folder.iterdir()} == {"s.json", "d.csv"}


def test_what_cannot_be_written_is_said_before_the_work(folder, capsys):
    (folder / "s.json").write_text(f'{{{TWO}, "margins": true}}')
    assert refused(capsys, "protect", "s.json", "d.csv", "-o", "none/out.csv") == "output"
    assert (
        refused(capsys, "protect", "s.json", "d.csv", "-o", "out.csv", "--certificate", "none/c.json") == "certificate"
    )
    assert refused(capsys, "protect", "s.json", "d.csv", "-o", "out.csv", "--seconds", "-1") == "seconds"
    assert refused(capsys, "verify", "none.json", "d.csv") == "certificate"
    assert {path.name for path in folder.iterdir()} == {"s.json", "d.csv"}


def test_rows_of_different_length_are_no_data(folder, capsys):
    (folder / "s.json").write_text('{"rows": ["r"]}')
    (folder / "ragged.csv").write_text("r,c,v\na,x,1\nb,y\nc,x,1,5\n")
    refused(capsys, "check", "s.json", "ragged.csv")


def test_a_table_of_nobody_is_for_people_to_look_at(folder):
    (folder / "s.json").write_text(json.dumps({"rows": ["r"], "where": {"column": "v", "op": ">", "value": 1000}}))
    assert main(["check", "s.json", "d.csv"]) == 10


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (b"", "table"),
        (b"r,value\n", "table"),
        (b"r,value\na,ten\n", "table"),
        (b"r,value\na,1\na,2\n", "table"),
        (b"r,value\na,1\nb,2\nTotal,4\n", "table"),
        (b"r,value\na,\nb,5\nTotal,4\n", "table"),
        (b"r,count,sum\na,,5\nb,20,6\n", "table"),
        (b"r,value\na,\nb,20\nAll,25\n", "total"),
    ],
)
def test_a_table_that_cannot_be_attacked(folder, capsys, table, field):
    (folder / "t.csv").write_bytes(table)
    assert refused(capsys, "audit", "t.csv") == field


def test_other_words_for_totals_negative_values_and_prefixes():
    assert oc.audit(b"r,value\na,\nb,20\nAll,25\n", total="All").status == "fail"
    assert oc.audit(b"r,value\na,-5\nb,\nc,\nTotal,0\n").to_dict()["suppressed"][0]["least"] is None
    nace = b"r,value\nA,30\nA1,\nA2,10\nB,20\nTotal,50\n"
    assert oc.audit(nace, parents={"r": [1]}).to_dict()["suppressed"][0]["most"] == 20
    assert oc.audit(b"r,value\na,0.3\nb,0.3\nc,\nd,\nTotal,2\n").status == "pass"
    assert oc.audit(b"r,value\na,33.3\nb,33.3\nc,33.3\nTotal,100.0\n").status == "pass"  # to the shown decimal


def test_prefixes_on_the_command_line(folder, capsys):
    (folder / "t.csv").write_text("r,value\nA,30\nA1,\nA2,10\nB,20\nTotal,50\n")
    (folder / "h.json").write_text('{"r": [1]}')
    assert main(["audit", "t.csv", "--hierarchies", "h.json"]) == 11
    capsys.readouterr()
    (folder / "h.json").write_text('{"r": "A"}')
    assert refused(capsys, "audit", "t.csv", "--hierarchies", "h.json") == "hierarchies.r"


def test_narrow_gaps_are_for_review_and_what_protect_writes_has_none(folder):
    (folder / "t.csv").write_text(
        "r,y,value\na,p,\na,q,\na,Total,35\nb,p,\nb,q,\nb,Total,50\nTotal,p,1\nTotal,q,84\nTotal,Total,85\n"
    )
    assert main(["audit", "t.csv"]) == 10
    (folder / "u.csv").write_text("r,value\na,\nb,\nc,970.5\nTotal,1000\n")
    assert main(["audit", "u.csv"]) == 0
    for threshold in (3, 10, 15):
        body = {"rows": ["r"], "columns": ["c"], "margins": True, "parameters": {"threshold": threshold}}
        (folder / "s.json").write_text(json.dumps(body))
        assert main(["protect", "s.json", "d.csv", "-o", "out.csv", "--seconds", "1"]) == 0
        assert main(["audit", "out.csv"]) == 0


def test_a_weighted_count_of_nobody_is_nothing():
    data = {"r": ["a"] * 20 + ["b"] * 2, "v": [1.0] * 20 + [None] * 2, "w": [1.5] * 22}
    report = oc.check({"rows": ["r"], "values": "v", "statistic": "count", "weights": "w"}, data)
    assert [cell.value for cell in report.cells] == [30, 0]
