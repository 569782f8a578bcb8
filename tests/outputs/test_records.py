"""Records that come with files: read in the sandbox, believed no further than the workspace's word."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from tests.outputs.house import House
from tre.audit import Actor
from tre.errors import InvalidInput
from tre.outputs import access
from tre.outputs.inspection.records import ITEM, read_record
from tre.outputs.model import RequestFile
from tre.outputs.sandboxed import SeenRecord
from tre.outputs.views import RequestView, show_request
from tre.workspaces.sandbox.checking import run_checked

SECRET = "call 555 0100 about Ms Smith"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a researcher's session leaves in a folder: a table and what output_checks says of it."""
    folder = tmp_path_factory.mktemp("session") / "out"
    data = pd.DataFrame({"sex": ["F"] * 30 + ["M"] * 40 + ["X"] * 3, "plan": ["a"] * 73})
    made = oc.Session("Counts")
    made.add(oc.crosstab("sex", data=data).suppress(), name="counts", title="Sex", context="Table 1 of the paper.")
    return made.write(folder)


def record_of(folder: Path, **changes: Any) -> str:
    body = json.loads((folder / "outputs.json").read_text())
    return json.dumps({"profile": body["profile"], "item": {**body["items"][0], **changes}})


def grid(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "counts.csv").read_text().splitlines()]


def test_a_record_is_read(session: Path) -> None:
    digest = hashlib.sha256((session / "counts.csv").read_bytes()).hexdigest()
    said = SeenRecord(**read_record(record_of(session), grid(session)))
    assert (said.problem, said.files, said.status) == ("", [digest], "pass")
    assert said.profile.startswith("sacro ")
    assert said.spec == {"rows": ["sex"], "totals": "shown", "total": "All"}
    assert "left empty" in said.what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"item": {}, "profile": {}}',
        '{"tables": ["' + "d" * 64 + '"]}',
        "\ud800",
    ],
)
def test_what_is_no_record_is_named(text: str) -> None:
    assert SeenRecord(**read_record(text, [["a"], ["1"]])).problem


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {}},
        {"files": {"counts.csv": "short"}},
        {"files": {"counts.csv": 7}},
        {"files": ["d" * 64]},
        {"status": "perfect"},
        {"status": "fail"},
        {"spec": None},
        {"spec": {"rows": ["plan"]}},
        {"spec": {"rows": ["sex"], "surprise": 1}},
        {"findings": [{"severity": "none", "why": "x"}]},
        {"findings": [{"severity": "fail", "why": "x"}]},
        {"findings": "none"},
        {"more": 1},
    ],
)
def test_a_forged_record_never_attests(house: House, session: Path, changes: dict[str, Any]) -> None:
    (file,), found = looked(house, session, record_of(session, **changes))
    assert (file.evidence, file.attested) == ("claimed", None)
    assert ("record", "review") in found


def looked(house: House, folder: Path, record: str) -> tuple[list[RequestFile], set[tuple[str, str]]]:
    sent = house.submit(house.file("counts.csv", (folder / "counts.csv").read_bytes(), record=record))
    house.check()
    assert house.state(sent) == "in_review", "a record blocks nothing"
    with house.db.read() as session:
        files = access.version_of(session, access.get(session, sent.request)).files
        found = {(finding.rule, finding.severity) for file in files for finding in file.findings}
        session.expunge_all()
        return files, found


def test_a_table_of_the_session_is_attested_through_the_real_sandbox(house: House, session: Path) -> None:
    house.run = run_checked
    (file,), found = looked(house, session, record_of(session))
    assert (file.evidence, file.attested["spec"]["rows"]) == ("attested", ["sex"])
    assert ("undeclared_table", "review") in found


def test_a_table_that_was_changed_afterwards_is_only_claimed(house: House, session: Path, tmp_path: Path) -> None:
    text = (session / "counts.csv").read_text().replace("40", "41")
    (tmp_path / "counts.csv").write_text(text)
    (file,), found = looked(house, tmp_path, record_of(session))
    assert file.evidence == "claimed"
    assert ("record", "review") in found


def test_a_record_is_no_way_out_for_text(house: House, session: Path) -> None:
    """Its words are the researcher's own, written beside the data: outside the workspace nobody of the project reads
    them before they are released.
    """
    findings = [{"rule": SECRET, "severity": "review", "why": SECRET, "remedy": SECRET, "cell": {SECRET: SECRET}}]
    text = record_of(session, what=SECRET, findings=findings)
    text = text.replace('"id": "sacro"', f'"id": "{SECRET}"')
    sent = house.submit(house.file("counts.csv", (session / "counts.csv").read_bytes(), record=text))
    house.check()
    for who, sees in (("ada", False), ("ben", False), ("cora", True)):
        assert (SECRET in str(seen(house, who, sent.request))) == sees, who
    assert SECRET in str(seen(house, "ada", sent.request, via="notebook"))


def seen(house: House, who: str, request: int, via: str = "web") -> RequestView:
    return show_request(house.db, Actor(who, house.actor(who).roles, via), request)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("d" * 64),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=8), part, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from([*ITEM, "id", "version", "severity", "why"])


@given(st.data())
def test_whatever_a_record_holds_the_answer_has_its_shape(data: st.DataObject) -> None:
    """One odd record must not spoil the answer about the files beside it."""
    profile = {"id": "sacro", "version": "1"}
    finding = {"rule": "r", "severity": "review", "why": "w"}
    item = {**dict.fromkeys(ITEM, ""), "status": "pass", "files": {"a": "d" * 64}, "spec": {"rows": ["a"]}}
    item["findings"] = [finding]
    body: Any = {"profile": profile, "item": item}
    for _ in range(data.draw(st.integers(0, 2))):
        data.draw(st.sampled_from([profile, finding, item, item, item]))[data.draw(FIELDS)] = data.draw(JSON)
    text = json.dumps(data.draw(st.sampled_from([body, body, body, item, data.draw(JSON)])))
    SeenRecord.model_validate_json(json.dumps(read_record(text, [["a", "n"], ["x", "12"]])))


def test_hidden_signs_in_a_record_are_blanks(session: Path) -> None:
    said = read_record(record_of(session, what="a\u202eb\0c\ud800d"), grid(session))
    assert said["what"] == "a b c d"


@pytest.mark.parametrize("record", ["x" * (64 << 10) + "x", "a\0b", "\ud800"])
def test_a_record_that_no_column_holds_is_refused(house: House, record: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.submit(house.file(record=record))
    assert refused.value.field == "files.1.record"
