"""Declared tables made again, by the sandbox's program without its walls: what is verified and what is blocked."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from output_checks import TableSpec
from output_checks.reading.published import Published
from tests.outputs.house import unwalled
from tre.outputs.history import KeptTable
from tre.outputs.recomputed import Asked, Computed, Snapshot, recompute
from tre.outputs.recomputing import memory as memories
from tre.outputs.recomputing.__main__ import answers
from tre.outputs.recomputing.memory import Memory, joint_findings, remembered, telling
from tre.outputs.recomputing.tables import Data, compute

GRID = [["sex", "value"], ["F", "30"], ["M", "40"]]
SPEC: dict[str, Any] = {"rows": ["sex"]}


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    path = tmp_path / "trial.parquet"
    pq.write_table(pa.table({"sex": ["F"] * 30 + ["M"] * 40, "age": list(range(70))}), path)
    return Snapshot("trial", path, "5" * 64)


def made(snapshot: Snapshot | None, *tables: tuple[dict[str, Any], Any], released: Any = ()) -> list[Computed]:
    asked = [Asked("trial", spec, grid) for spec, grid in tables]
    held = {"trial": snapshot} if snapshot else {}
    return recompute(unwalled, asked, held, {"trial": released}, "sacro")


def rules(computed: Computed) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in computed.findings}


def test_what_is_recomputed_is_verified(snapshot: Snapshot) -> None:
    assert made(snapshot, (SPEC, GRID)) == [Computed(True)]


@pytest.mark.parametrize(
    ("spec", "grid", "rule"),
    [
        (SPEC, [["sex", "value"], ["F", "31"], ["M", "40"]], "mismatch"),
        (SPEC, [["sex", "value"], ["X", "30"], ["M", "40"]], "unknown_cell"),
        (SPEC, [["sex", "value"], ["F", "thirty"], ["M", "40"]], "unreadable_cell"),
        (SPEC, [["age", "value"], ["1", "1"]], "unreadable"),
        ({"rows": ["height"]}, GRID, "unreadable"),
        ({"rows": list("abcdefg")}, GRID, "unreadable"),
        ({"rows": ["sex"], "unit": "nobody"}, GRID, "unreadable"),
    ],
)
def test_what_cannot_be_recomputed_is_blocked(snapshot: Snapshot, spec: Any, grid: Any, rule: str) -> None:
    (found,) = made(snapshot, (spec, grid))
    assert not found.verified
    assert (rule, "fail") in rules(found)


def test_without_a_table_or_a_snapshot_nothing_is_verified(snapshot: Snapshot) -> None:
    for held, grid in ((snapshot, None), (None, GRID)):
        (found,) = made(held, (SPEC, grid))
        assert (found.verified, rules(found)) == (False, {("unreadable", "fail")})


def test_the_datas_own_unit_counts_and_a_folder_is_read_whole(tmp_path: Path) -> None:
    for number, sex in enumerate(("F", "M")):
        ids = list(range(30)) if sex == "M" else [1] * 30
        pq.write_table(pa.table({"sex": [sex] * 30, "id": ids}), tmp_path / f"part-{number}.parquet")
    grid = [["sex", "value"], ["F", "30"], ["M", "30"]]
    (found,) = made(Snapshot("trial", tmp_path, "5" * 64, "id"), (SPEC, grid))
    assert [(f.rule, f.cell) for f in found.findings if f.severity == "fail"] == [("threshold", {"sex": "F"})]


def test_a_specification_cannot_loosen_the_house(tmp_path: Path) -> None:
    path = tmp_path / "few.parquet"
    pq.write_table(pa.table({"sex": ["F"] * 3 + ["M"] * 40}), path)
    spec = {**SPEC, "parameters": {"threshold": 1}}
    grid = [["sex", "value"], ["F", "3"], ["M", "40"]]
    assert ("threshold", "fail") in rules(made(Snapshot("few", path, "5" * 64), (spec, grid))[0])


def test_a_table_that_would_take_all_memory_is_never_begun(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"a": list(range(3000)), "b": list(range(3000)), "sex": ["F", "M"] * 1500}), path)
    specs = (
        {"rows": ["a"], "columns": ["b"]},
        {"rows": ["a", "b"], "observed": False},
        {"rows": ["sex"], "columns": ["b"], "categories": {"sex": [f"x{i}" for i in range(2000)]}},
    )
    for found in made(Snapshot("wide", path, "5" * 64), *((spec, GRID) for spec in specs)):
        assert any("more than 2000000 cells" in finding.why for finding in found.findings)


def test_memory_that_runs_out_inside_is_a_blocked_table(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("tre.outputs.recomputing.tables.compare_published", starved)
    assert rules(made(snapshot, (SPEC, GRID))[0]) == {("unreadable", "fail")}


def older(least: int) -> dict[str, Any]:
    return {"rows": ["sex"], "where": {"column": "age", "op": ">=", "value": least}}


def test_too_many_other_populations_block(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "MAX_COMPARED", 2)
    released = [KeptTable(f"r{i}", older(i + 10), GRID) for i in range(3)]
    assert ("unreadable", "fail") in rules(made(snapshot, (SPEC, GRID), released=released)[0])


def test_a_memory_that_cannot_be_compared_blocks(snapshot: Snapshot) -> None:
    gone = KeptTable("r", {"rows": ["sex"], "where": {"column": "gone", "op": "==", "value": 1}}, GRID)
    assert any(severity == "fail" for _, severity in rules(made(snapshot, (SPEC, GRID), released=[gone])[0]))


def test_tables_of_one_request_count_against_each_other(tmp_path: Path) -> None:
    path = tmp_path / "trial.parquet"
    pq.write_table(pa.table({"sex": ["F", "M"] * 50, "age": [18] * 4 + [40] * 96}), path)
    all_of, most = [[["sex", "value"], ["F", str(n)], ["M", str(n)]] for n in (50, 48)]
    first, second = made(Snapshot("trial", path, "5" * 64), (older(18), all_of), (older(19), most))
    assert (first.verified, first.findings) == (True, ())
    assert ("differencing", "fail") in rules(second)


def test_of_other_populations_one_table_stands_for_all(snapshot: Snapshot) -> None:
    same = [remembered(f"s{i}", SPEC, [["sex", "value"], ["F", str(i)]]) for i in range(3)]
    other = [remembered(f"o{i}", older(40), [["sex", "value"], ["F", str(i)]]) for i in range(3)]
    memory = Memory(snapshot.path)
    for table in (*same, *other):
        memory.add(table)
    kept = telling(TableSpec.from_dict(SPEC), memory).values()
    assert sorted(old.id for old in kept) == ["o0", "s0", "s1", "s2"]


def test_a_table_that_leaves_out_the_missing_of_one_dimension_more_is_of_other_people(tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    pq.write_table(pa.table({"sex": ["F", "M"] * 40, "plan": [None] * 2 + ["a"] * 78, "age": [50] * 80}), path)
    memory = Memory(path)
    for name, rows in (("by sex", ["sex"]), ("by both", ["sex", "plan"])):
        grid = [[*rows, "value"], *[[*["F", "a"][: len(rows)], "40"]]]
        memory.add(remembered(name, {"rows": rows}, grid))
    kept = telling(TableSpec.from_dict(older(40)), memory).values()
    assert sorted(old.id for old in kept) == ["by both", "by sex"]


def test_populations_found_clean_are_not_compared_again(snapshot: Snapshot) -> None:
    data = Data(snapshot.path, None)
    memory = Memory(snapshot.path)
    memory.add(remembered("r", older(45), [["sex", "value"], ["F", ""], ["M", "25"]]))
    assert compute(SPEC, GRID, data, memory, "sacro") == (True, [])
    assert len(memory.clean) == 1
    # A table whose comparison would fail now is not even looked at: the pair of populations is known.
    odd = remembered("r", older(45), [["sex", "value"], ["F", "1"]])
    memory.tables[0] = replace(memory.tables[0], release=odd)
    assert compute(SPEC, [*GRID[:2], ["M", ""]], data, memory, "sacro") == (True, [])


def test_a_kept_table_is_read_as_it_was_written() -> None:
    kept = remembered("r", SPEC, [["sex", "value"], ["F", "*"], ["M", "40"]])
    assert kept.cells == ((("F",), None), (("M",), 40.0))
    assert Published(tuple(map(tuple, GRID))).grid[0] == ("sex", "value")


def test_answers_come_one_by_one(snapshot: Snapshot) -> None:
    """What is answered is answered, whatever becomes of the program at the next table."""
    table = {"dataset": "trial", "spec": SPEC, "cells": GRID}
    job = {
        "profile": "sacro",
        "memory_bytes": 1 << 30,
        "data": {"trial": {"files": [snapshot.path.name], "unit": None}},
        "released": {"trial": []},
        "tables": [table, {**table, "dataset": "gone"}],
    }
    out = io.StringIO()
    with pytest.raises(KeyError):
        answers(job, out, snapshot.path.parent)
    assert json.loads(out.getvalue()) == {"verified": True, "findings": []}
    assert joint_findings.__module__ == "tre.outputs.recomputing.memory"
