"""What stands behind a file, from what the sandboxes said of it."""

import pytest

from output_checks.rules.findings import Finding
from tre.outputs.evidence import judge
from tre.outputs.findings import MAX_FINDINGS, blocked, bounded
from tre.outputs.recomputed import Computed
from tre.outputs.sandboxed import Seen, SeenFinding, SeenRecord

GRID = [["sex", "value"], ["F", "30"], ["M", "40"]]
MINE = "d" * 64


def table(grid: list[list[str]] | None = None, **more: object) -> Seen:
    return Seen(media_type="text/csv", grid=grid or GRID, **more)


def record(**changes: object) -> SeenRecord:
    said = {"files": [MINE], "profile": "sacro 1", "status": "pass", "spec": {"rows": ["sex"]}}
    return SeenRecord(**{**said, **changes})


def rules(verdict: object) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in verdict.findings}


def test_a_computed_table_is_verified_or_only_claimed() -> None:
    note = Finding("n", "note", "")
    assert judge(MINE, table(), Computed(True, (note,)), "sacro").evidence == "verified"
    wrong = judge(MINE, table(), Computed(False, (blocked("No.", ""),)), "sacro")
    assert (wrong.evidence, wrong.status) == ("claimed", "fail")


def test_a_record_counts_for_nothing_where_the_platform_computed_itself() -> None:
    verdict = judge(MINE, table(record=record()), Computed(False, (blocked("No.", ""),)), "sacro")
    assert (verdict.evidence, verdict.attested) == ("claimed", None)


def test_a_record_of_these_bytes_attests_and_no_more() -> None:
    verdict = judge(MINE, table(record=record()), None, "sacro")
    assert (verdict.evidence, verdict.status) == ("attested", "review")
    assert verdict.attested == {"profile": "sacro 1", "status": "pass", "what": "", "spec": {"rows": ["sex"]}}
    assert rules(verdict) == {("undeclared_table", "review")}, "reviewers must look all the same"


@pytest.mark.parametrize(
    "forged",
    [
        record(files=["e" * 64]),
        record(files=[]),
        record(status="fail"),
        record(status=""),
        SeenRecord(problem="It is not a record."),
        record(problem="Its specification does not fit."),
        SeenRecord(),
    ],
)
def test_a_forged_or_foreign_record_is_a_claim_with_a_finding(forged: SeenRecord) -> None:
    verdict = judge(MINE, table(record=forged), None, "sacro")
    assert (verdict.evidence, verdict.attested) == ("claimed", None)
    assert ("record", "review") in rules(verdict)


def test_what_a_record_says_stands_in_the_sentence_only() -> None:
    """Rules and remedies are shown to the project outside the workspace; a record's words must not be."""
    said = record(findings=[("review", "Dominated by a firm."), ("note", "Rounded.")])
    found = [f for f in judge(MINE, table(record=said), None, "sacro").findings if f.rule == "attested"]
    assert [(f.severity, f.remedy, f.cell, f.evidence) for f in found] == [("review", "", {}, {}), ("note", "", {}, {})]
    assert found[0].why == "By the workspace's word: Dominated by a firm."


def test_small_numbers_of_a_loose_table_are_pointed_at() -> None:
    verdict = judge(MINE, table([["k", "n"], ["a", "9"], ["b", "10"], ["c", "0"]]), None, "sacro")
    assert verdict.status == "review"
    assert [f.cell for f in verdict.findings if f.rule == "small_number"] == [{"line": "2", "column": "n"}]


def test_findings_are_bounded_and_the_worst_come_first() -> None:
    note = SeenFinding(rule="n", severity="note", why="", remedy="", cell={}, detail={})
    fail = SeenFinding(rule="f", severity="fail", why="", remedy="", cell={}, detail={})
    seen = Seen(media_type="text/plain", findings=[*[note] * (MAX_FINDINGS + 5), fail])
    verdict = judge(MINE, seen, None, "sacro")
    assert len(verdict.findings) == MAX_FINDINGS + 1
    assert (verdict.status, verdict.findings[0].rule, verdict.findings[-1].rule) == ("fail", "f", "more_findings")
    assert bounded([Finding("n", "note", "")]) == [Finding("n", "note", "")]
