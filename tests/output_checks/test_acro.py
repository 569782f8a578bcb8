"""ACRO's results folder: ours is read by our reader, one that ACRO 1.0.2 wrote is read, altered ones are refused."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import output_checks as oc
from output_checks.notebook.acro import table_of

FROM_ACRO = Path(__file__).parent / "acro_folder"  # made-up data, finalised by acro 1.0.2
DATA = pd.DataFrame({"r": ["a"] * 40 + ["b"] * 33, "y": ["p", "q"] * 20 + ["p"] * 30 + ["q"] * 3})


def session():
    out = oc.Session("Test")
    context = "Counts by r and y, unsafe cells are suppressed and totals are of what is shown."
    out.add(oc.crosstab(DATA.r, DATA.y).suppress(), title="Records by r and y", context=context)
    out.add(oc.check_clusters([20, 30]), title="Cluster sizes", context=context)
    return out


@pytest.mark.parametrize("version", ["1.0", "0.4"])
def test_there_and_back(tmp_path, version):
    folder = oc.write_acro(session(), tmp_path / "out", version=version)
    first, second = oc.read_acro(folder)
    assert (first.uid, first.claimed, first.type) == ("output-1", "pass", "table")
    assert table_of(first, folder) == [["r", "p", "q"], ["a", "20", "20"], ["b", "30", ""]]
    assert second.files.keys() == {"output-2.json"}
    body = json.loads((folder / "results.json").read_text())["results"]["output-1"]
    name = "MinimumThresholdCheck" if version == "1.0" else "threshold"
    assert body["files"][0]["sdc"]["cells"][name] == [[1, 1]]
    assert body["outcome"]["q"] == {"a": "ok", "b": f"{name}; "}


def test_a_folder_of_acro_itself():
    records = oc.read_acro(FROM_ACRO)
    assert [(r.uid, r.claimed, r.type, r.method) for r in records[:3]] == [
        ("output_0", "fail", "table", "crosstab"),
        ("output_1", "fail", "table", "crosstab"),
        ("output_2", "pass", "regression", "olsr"),
    ]
    assert records[1].dimensions == ("r", "c")
    assert records[1].values == "v"


def altered(folder):
    path = folder / "output_0_0.csv"
    path.write_text(path.read_text().replace("2", "20"))


def missing(folder):
    (folder / "output_0_0.csv").unlink()


def outside(folder):
    path = folder / "results.json"
    path.write_text(path.read_text().replace('"output_0_0.csv"', '"../secret.csv"'))


def linked(folder):
    (folder / "output_0_0.csv").rename(folder / "x.csv")
    (folder / "output_0_0.csv").symlink_to(folder / "x.csv")


def broken(folder):
    (folder / "results.json").write_text("{")


def strange(folder):
    path = folder / "results.json"
    path.write_text(path.read_text().replace('"version": "1.0.2"', '"version": "7"'))


@pytest.mark.parametrize("change", [altered, missing, outside, linked, broken, strange])
def test_a_folder_that_is_not_whole_is_refused(tmp_path, change):
    folder = tmp_path / "out"
    shutil.copytree(FROM_ACRO, folder)
    assert oc.read_acro(folder)
    change(folder)
    with pytest.raises(oc.Unreadable):
        oc.read_acro(folder)


def test_what_fails_is_not_written(tmp_path):
    out = oc.Session()
    out.add(oc.crosstab(DATA.r, DATA.y))
    with pytest.raises(oc.Unsafe):
        oc.write_acro(out, tmp_path / "out")
    with pytest.raises(oc.BadInput):
        oc.write_acro(session(), tmp_path / "out", version="2")
    assert not (tmp_path / "out").exists()
