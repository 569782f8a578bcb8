"""The command line: exit codes, JSON, and that nothing is written when something is wrong."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from output_checks.cli import main

DATA = pd.DataFrame(
    {"r": ["a"] * 40 + ["b"] * 33 + ["c"] * 40, "y": ["p", "q"] * 20 + ["p"] * 30 + ["q"] * 3 + ["p", "q"] * 20}
)


@pytest.fixture
def folder(tmp_path):
    DATA.to_csv(tmp_path / "d.csv", index=False)
    DATA.to_parquet(tmp_path / "d.parquet")
    return tmp_path


def spec(folder, **body):
    path = folder / "spec.json"
    path.write_text(json.dumps({"rows": ["r"], "columns": ["y"], **body}))
    return str(path)


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_check(folder, name, capsys):
    assert main(["check", spec(folder), str(folder / name), "--json"]) == 11
    body = json.loads(capsys.readouterr().out)
    assert body["status"] == "fail"
    cell = next(c for c in body["cells"] if c["findings"])
    assert (cell["row"], cell["column"], cell["findings"], cell["evidence"]["units"]) == (
        {"r": "b"},
        {"y": "q"},
        ["threshold"],
        3,
    )
    assert main(["check", spec(folder, parameters={"threshold": 3}), str(folder / name)]) == 0
    assert main(["check", spec(folder), str(folder / name), "--profile", "dwb"]) == 11


def test_review_has_its_own_code(folder):
    DATA.assign(v=[-1.0 + i for i in range(113)]).to_parquet(folder / "n.parquet")
    path = spec(folder, columns=[], values="v", statistic="sum")
    assert main(["check", path, str(folder / "n.parquet")]) == 10


@pytest.mark.parametrize(
    ("change", "field"),
    [({"colums": []}, "colums"), ({"statistic": "avg"}, "statistic"), ({"rows": ["zz"]}, "rows")],
)
def test_bad_input_names_the_field(folder, change, field, capsys):
    out = folder / "out.csv"
    assert main(["protect", spec(folder, **change), str(folder / "d.csv"), "-o", str(out), "--json"]) == 2
    body = json.loads(capsys.readouterr().out)
    assert body["error"]["field"] == field
    assert body["error"]["remedy"]
    assert not out.exists()


def test_unreadable_things_are_no_pass(folder):
    (folder / "broken.json").write_text("{")
    assert main(["check", str(folder / "broken.json"), str(folder / "d.csv")]) == 2
    assert main(["check", spec(folder), str(folder / "none.csv")]) == 2
    assert main(["check", spec(folder), str(folder / "d.csv"), "--profile", "nobody"]) == 2
    (folder / "t.csv").write_bytes(b"\xff\xfe")
    assert main(["audit", str(folder / "t.csv")]) == 2
    with pytest.raises(SystemExit) as stopped:
        main(["protect", "x"])
    assert stopped.value.code == 2


def test_protect_audit_verify(folder, capsys):
    out = folder / "out.csv"
    assert main(["protect", spec(folder, margins=True), str(folder / "d.csv"), "-o", str(out)]) == 0
    proof = folder / "out.certificate.json"
    capsys.readouterr()
    assert main(["audit", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["recoverable"], len(found["suppressed"])) == ("pass", 0, 4)
    assert main(["verify", str(proof), str(out)]) == 0
    text = out.read_text()
    out.write_text(text.replace("b,p,\n", "b,p,30\n"))
    assert main(["verify", str(proof), str(out)]) == 11
    assert main(["audit", str(out)]) == 11


def test_published(folder, capsys):
    pd.crosstab(DATA.r, DATA.y, margins=True).to_csv(folder / "t.csv")
    arguments = ["published", spec(folder, margins=True), str(folder / "d.csv"), str(folder / "t.csv")]
    assert main(arguments) == 11
    assert "published as 3 (line 3, column 3" in capsys.readouterr().out


def test_compare_remembers_and_finds_a_moved_filter(folder):
    data = pd.DataFrame({"r": ["a", "b"] * 60, "age": [20 + i // 2 for i in range(120)]})
    data.to_parquet(folder / "p.parquet")
    store = str(folder / "store.jsonl")
    where = {"column": "age", "op": ">=", "value": 25}
    first = spec(folder, columns=[], where=where)
    assert main(["compare", first, str(folder / "p.parquet"), "--store", store, "--add"]) == 0
    assert main(["compare", first, str(folder / "p.parquet"), "--store", store]) == 0
    moved = spec(folder, columns=[], where={**where, "value": 27})
    assert main(["compare", moved, str(folder / "p.parquet"), "--store", store]) == 11
    (folder / "store.jsonl").write_text("{")
    assert main(["compare", moved, str(folder / "p.parquet"), "--store", store]) == 2


def test_profiles(capsys):
    assert main(["profiles", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["profiles"]) >= {
        "sacro", "opensafely", "abs-datalab", "uk-llc", "eurostat-safe-centre", "dwb",
    }  # fmt: skip


def test_importing_costs_next_to_nothing():
    code = (
        "import sys, output_checks; print([m for m in ('pandas', 'numpy', 'duckdb', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    notebook = "import sys; sys.modules['IPython'] = sys; import output_checks; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", notebook], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
