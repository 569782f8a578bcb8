"""Text that is not UTF-8, in every form that data come in: blocked by an error of ours that names the place."""

import json

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import output_checks as oc
from output_checks.cli import main

SHORT, LONG = b"\xff\xfe", b"\xff\xfe and more bytes than one word holds"
SPECS = [
    {"rows": ["r"]},
    {"rows": ["r"], "values": "v", "statistic": "mean"},
    {"rows": ["r"], "values": "v", "statistic": "median"},
    {"rows": ["v"], "values": "r", "statistic": "mode"},
    {"rows": ["r"], "hierarchies": {"r": [1]}},
]


def texts(bad, kind=pa.string()):
    """Arrow text as a careless program writes it: the bytes of another encoding under the type of text."""
    binary = pa.large_binary() if kind == pa.large_string() else pa.binary()
    return pa.array([b"north", bad, None] * 30, binary).view(kind)


def arrow(bad, kind=pa.string()):
    return pa.table({"r": texts(bad, kind), "v": [0, 1, 2] * 30})


def dictionary(bad):
    labels = pa.array([b"north", bad]).view(pa.string())
    codes = pa.array([0, 1, None] * 30, pa.int32())
    return pa.table({"r": pa.DictionaryArray.from_arrays(codes, labels), "v": [0, 1, 2] * 30})


def pandas_strings(bad):
    return pd.DataFrame({"r": pd.arrays.ArrowStringArray(pa.chunked_array([texts(bad)])), "v": [0, 1, 2] * 30})


def pandas_arrow(bad):
    return pd.DataFrame({"r": pd.arrays.ArrowExtensionArray(pa.chunked_array([texts(bad)])), "v": [0, 1, 2] * 30})


def relation(bad):
    held = arrow(bad)
    return duckdb.connect().from_arrow(held)


FRAMES = [
    arrow,
    lambda bad: arrow(bad, pa.large_string()),
    dictionary,
    pandas_strings,
    pandas_arrow,
    relation,
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bad", [SHORT, LONG])
@pytest.mark.parametrize("make", FRAMES)
def test_frames_and_relations(make, bad, spec):
    with pytest.raises(oc.Unreadable, match="column 'r' holds text that is not UTF-8") as refused:
        oc.check(spec, make(bad))
    assert (refused.value.field, refused.value.exit_code) == ("data", 2)
    assert refused.value.remedy


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bad", [SHORT, LONG])
def test_parquet(tmp_path, bad, spec):
    pq.write_table(arrow(bad), tmp_path / "d.parquet")
    pq.write_table(dictionary(bad), tmp_path / "e.parquet")
    for data in (tmp_path / "d.parquet", tmp_path / "e.parquet", duckdb.read_parquet(str(tmp_path / "d.parquet"))):
        with pytest.raises(oc.Unreadable, match="column 'r' holds text that is not UTF-8"):
            oc.check(spec, data)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bad", [SHORT, LONG])
def test_csv_says_the_line(tmp_path, bad, spec):
    (tmp_path / "d.csv").write_bytes(b"r,v\nnorth,0\n" + bad + b",1\nsouth,2\n")
    with pytest.raises(oc.Unreadable, match="line 3 holds text that is not UTF-8"):
        oc.check(spec, tmp_path / "d.csv")


def test_a_filter_or_a_unit_does_not_hide_it():
    for more in ({"where": {"column": "r", "op": "==", "value": "north"}}, {"unit": "r"}):
        with pytest.raises(oc.Unreadable, match="not UTF-8"):
            oc.check({"rows": ["v"], **more}, arrow(SHORT))


def test_half_a_character_of_python_text():
    data = pd.DataFrame({"r": pd.Series(["a\udcff", "b"] * 30, dtype=object)})
    with pytest.raises(oc.Unreadable, match="not UTF-8"):
        oc.check({"rows": ["r"]}, data)


def test_a_text_that_many_threads_read(monkeypatch):
    """What one thread cannot read stops all of them."""
    monkeypatch.setattr("output_checks.evidence.columns.WORTH_A_THREAD", 2**14)
    rows = [b"a label that is no word"] * 2**17
    rows[-1] = LONG
    held = pd.arrays.ArrowStringArray(pa.chunked_array([pa.array(rows).view(pa.string())]))
    with pytest.raises(oc.Unreadable, match="column 'r'"):
        oc.check({"rows": ["r"]}, pd.DataFrame({"r": held}))


def test_the_command_line_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text('{"rows": ["r"], "margins": "all"}')
    (tmp_path / "d.csv").write_bytes(b"r,v\nnorth,0\n" + SHORT + b",1\n")
    pq.write_table(arrow(SHORT), tmp_path / "d.parquet")
    before = {path.name for path in tmp_path.iterdir()}
    for data, place in (("d.csv", "line 3"), ("d.parquet", "column 'r'")):
        for command in (["check", "s.json", data], ["protect", "s.json", data, "-o", "out.csv"]):
            assert main([*command, "--json"]) == 2
            error = json.loads(capsys.readouterr().out)["error"]
            assert (error["code"], error["field"]) == ("unreadable", "data")
            assert place in error["message"]
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_store_of_releases(tmp_path):
    (tmp_path / "store.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(oc.Unreadable, match="line 1 of the store"):
        oc.compare({"rows": ["v"]}, pd.DataFrame({"v": [0, 1, 2] * 30}), oc.JsonLines(tmp_path / "store.jsonl"))
