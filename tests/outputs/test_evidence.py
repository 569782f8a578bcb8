"""What stands behind a file, without database or sandbox: the judge and the release memory."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from output_checks.published import Published
from tre.outputs import history
from tre.outputs.evidence import MAX_FINDINGS, Declared, Snapshot, judge
from tre.outputs.history import Memory, remembered, telling
from tre.outputs.sandboxed import Seen, SeenFinding

GRID = [["sex", "value"], ["F", "30"], ["M", "40"]]
SPEC = {"rows": ["sex"]}


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    path = tmp_path / "trial.parquet"
    pq.write_table(pa.table({"sex": ["F"] * 30 + ["M"] * 40, "age": list(range(70))}), path)
    return Snapshot("trial", path, "5" * 64)


def table(grid: list[list[str]] | None = None) -> Seen:
    return Seen(media_type="text/csv", grid=grid or GRID)


def declared(spec: dict[str, object] | None = None) -> Declared:
    return Declared("table", "trial", spec or SPEC)


def rules(verdict: object) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in verdict.findings}


def test_what_is_recomputed_is_verified(snapshot: Snapshot) -> None:
    verdict = judge(declared(), table(), snapshot, "sacro", Memory())
    assert (verdict.evidence, verdict.status, verdict.snapshot) == ("verified", "pass", "5" * 64)


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
def test_what_cannot_be_recomputed_is_only_claimed_and_blocked(
    snapshot: Snapshot, spec: dict[str, object], grid: list[list[str]], rule: str
) -> None:
    verdict = judge(declared(spec), table(grid), snapshot, "sacro", Memory())
    assert (verdict.evidence, verdict.status, verdict.snapshot) == ("claimed", "fail", None)
    assert rule in {found.rule for found in verdict.findings}


def test_without_a_table_or_a_snapshot_nothing_is_verified(snapshot: Snapshot) -> None:
    for seen, held in ((Seen(media_type="image/png"), snapshot), (table(), None)):
        verdict = judge(declared(), seen, held, "sacro", Memory())
        assert (verdict.evidence, rules(verdict)) == ("claimed", {("unreadable", "fail")})


def test_a_specification_cannot_loosen_the_house(tmp_path: Path) -> None:
    path = tmp_path / "few.parquet"
    pq.write_table(pa.table({"sex": ["F"] * 3 + ["M"] * 40}), path)
    spec = {**SPEC, "parameters": {"threshold": 1}}
    grid = [["sex", "value"], ["F", "3"], ["M", "40"]]
    verdict = judge(declared(spec), table(grid), Snapshot("few", path, "5" * 64), "sacro", Memory())
    assert ("threshold", "fail") in rules(verdict)


def test_small_numbers_of_a_loose_table_are_pointed_at() -> None:
    verdict = judge(
        Declared("table"), table([["k", "n"], ["a", "9"], ["b", "10"], ["c", "0"]]), None, "sacro", Memory()
    )
    assert verdict.status == "review"
    assert [f.cell for f in verdict.findings if f.rule == "small_number"] == [{"line": "2", "column": "n"}]


def test_findings_are_bounded_and_the_worst_come_first() -> None:
    note = SeenFinding(rule="n", severity="note", why="", remedy="", cell={}, detail={})
    fail = SeenFinding(rule="f", severity="fail", why="", remedy="", cell={}, detail={})
    seen = Seen(media_type="text/plain", findings=[*[note] * (MAX_FINDINGS + 5), fail])
    verdict = judge(Declared("text"), seen, None, "sacro", Memory())
    assert len(verdict.findings) == MAX_FINDINGS + 1
    assert (verdict.status, verdict.findings[0].rule, verdict.findings[-1].rule) == ("fail", "f", "more_findings")


def older(least: int) -> dict[str, object]:
    return {"rows": ["sex"], "where": {"column": "age", "op": ">=", "value": least}}


def test_too_many_other_populations_block(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_COMPARED", 2)
    memory = Memory([remembered(f"r{i}", older(i + 10), GRID) for i in range(3)])
    verdict = judge(declared(), table(), snapshot, "sacro", memory)
    assert ("unreadable", "fail") in rules(verdict)


def test_a_memory_that_cannot_be_compared_blocks(snapshot: Snapshot) -> None:
    gone = remembered("r", {"rows": ["sex"], "where": {"column": "gone", "op": "==", "value": 1}}, GRID)
    assert judge(declared(), table(), snapshot, "sacro", Memory([gone])).status == "fail"


def test_of_other_populations_one_table_stands_for_all() -> None:
    spec = declared().spec
    same = [remembered(f"s{i}", SPEC, [["sex", "value"], ["F", str(i)]]) for i in range(3)]
    other = [remembered(f"o{i}", older(40), [["sex", "value"], ["F", str(i)]]) for i in range(3)]
    from output_checks import TableSpec

    assert sorted(old.id for old in telling(TableSpec.from_dict(spec), [*same, *other]).values()) == [
        "o0",
        "s0",
        "s1",
        "s2",
    ]


def test_populations_found_clean_are_not_compared_again(snapshot: Snapshot) -> None:
    memory = Memory([remembered("r", older(45), [["sex", "value"], ["F", ""], ["M", "25"]])])
    first = judge(declared(), table(), snapshot, "sacro", memory)
    assert first.status == "pass", first.findings
    assert len(memory.clean) == 1
    # A table whose comparison would fail now is not even looked at: the pair of populations is known.
    memory.tables[0] = remembered("r", older(45), [["sex", "value"], ["F", "1"]])
    assert judge(declared(), table([*GRID[:2], ["M", ""]]), snapshot, "sacro", memory).status == "pass"


def test_a_kept_table_is_read_as_it_was_written() -> None:
    kept = remembered("r", SPEC, [["sex", "value"], ["F", "*"], ["M", "40"]])
    assert kept.cells == ((("F",), None), (("M",), 40.0))
    assert Published(tuple(map(tuple, GRID))).grid[0] == ("sex", "value")


def test_a_table_that_would_take_all_memory_is_never_begun(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"a": list(range(3000)), "b": list(range(3000)), "sex": ["F", "M"] * 1500}), path)
    wide = Snapshot("wide", path, "5" * 64)
    for spec in (
        {"rows": ["a"], "columns": ["b"]},
        {"rows": ["a", "b"], "observed": False},
        {"rows": ["sex"], "columns": ["b"], "categories": {"sex": [f"x{i}" for i in range(2000)]}},
    ):
        verdict = judge(declared(spec), table(), wide, "sacro", Memory())
        assert any("more than 2000000 cells" in found.why for found in verdict.findings), spec


def test_a_receipt_about_these_bytes_attests(snapshot: Snapshot) -> None:
    for receipt, level in (
        ({"tables": ["d" * 64]}, "attested"),
        ({"tables": ["e" * 64]}, "claimed"),
        ({"tables": "d" * 64}, "claimed"),
        ({}, "claimed"),
        (None, "claimed"),
    ):
        said = Declared("table", digest="d" * 64, receipt=receipt)
        assert judge(said, table(), None, "sacro", Memory()).evidence == level
