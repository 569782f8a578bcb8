"""The crate as plain values: whole objects, the same bytes every time, and crates of somebody who means harm."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outputs.house import CLEAN, Pen
from tre.errors import Broken
from tre.outputs.bag import build_bag, manifest, read_bag
from tre.outputs.crate import CrateFile, Person, Project, Released, build_crate, metadata, statement, statement_bytes
from tre.outputs.proof import verify_crate

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FILE = CrateFile(
    name="table 1.csv",
    title="Counts",
    kind="table",
    media_type="text/csv",
    sha256=hashlib.sha256(CLEAN).hexdigest(),
    evidence="verified",
    dataset="trial",
    snapshot="5" * 64,
    spec={"rows": ["sex"]},
    findings=(("negatives", "review", 2),),
)
RELEASED = Released(
    request=7,
    version=2,
    title="First results",
    context="Counts by sex.",
    controls="Nothing below 10.",
    project=Project("cost", "What care costs"),
    author=Person("ada", "Ada", "uni"),
    files=(FILE,),
    checks={"profile": "sacro"},
    checked_at=AT,
    reviews=((1, AT), (2, AT)),
    decided_at=AT,
    released_at=AT,
)
CONTENTS = {"table 1.csv": CLEAN}


def test_the_same_release_is_the_same_bytes() -> None:
    assert build_crate(RELEASED, CONTENTS) == build_crate(RELEASED, CONTENTS)
    other = replace(RELEASED, version=3)
    assert build_crate(other, CONTENTS) != build_crate(RELEASED, CONTENTS)
    assert other.crate_id != RELEASED.crate_id


def test_the_bag_is_one_folder_with_both_manifests() -> None:
    files = read_bag(build_crate(RELEASED, CONTENTS))
    assert sorted(files) == [
        "bag-info.txt",
        "bagit.txt",
        "data/disclosure/record.json",
        "data/outputs/table 1.csv",
        "data/ro-crate-metadata.json",
        "manifest-sha512.txt",
        "tagmanifest-sha512.txt",
    ]
    info = dict(line.split(": ", 1) for line in files["bag-info.txt"].decode().splitlines())
    assert info["External-Identifier"] == f"urn:uuid:{RELEASED.crate_id}"
    size = sum(len(body) for path, body in files.items() if path.startswith("data/"))
    assert info["Payload-Oxum"] == f"{size}.3"


def test_the_metadata_says_what_the_profile_asks_for() -> None:
    graph = {entity["@id"]: entity for entity in metadata(RELEASED)["@graph"]}
    root = graph["./"]
    assert root["conformsTo"] == {"@id": "https://w3id.org/5s-crate/0.4"}
    assert root["hasPart"] == [{"@id": "outputs/table%201.csv"}, {"@id": "disclosure/record.json"}]
    actions = [graph[mention["@id"]] for mention in root["mentions"]]
    assert [action["@type"] for action in actions] == [
        "CreateAction", "AssessAction", "AssessAction", "AssessAction", "AssessAction", "UpdateAction"
    ]  # fmt: skip
    kinds = [action["additionalType"]["@id"].rpartition("#")[2] for action in actions[1:]]
    assert kinds == ["ValidationCheck", "DisclosureCheck", "DisclosureCheck", "SignOff", "GenerateCheckValue"]
    assert actions[0]["result"] == [{"@id": "outputs/table%201.csv"}]
    assert graph[root["sourceOrganization"]["@id"]]["@type"] == "Project"

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["@id"]} if set(value) == {"@id"} else set()
            return own.union(*[references(inner) for inner in value.values()])
        return set().union(*[references(inner) for inner in value]) if isinstance(value, list) else set()

    outside = {name for name in references(list(graph.values())) if name not in graph}
    assert all(name.startswith("http") for name in outside), outside


def test_the_disclosure_record_tells_no_number_behind_a_finding() -> None:
    record = json.loads(read_bag(build_crate(RELEASED, CONTENTS))["data/disclosure/record.json"])
    assert record["files"][0]["findings"] == [{"rule": "negatives", "severity": "review", "count": 2}]
    assert record["files"][0]["evidence"] == "verified"
    assert [review["reviewer"] for review in record["reviews"]] == ["checker 1", "checker 2"]


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=200), max_size=6))
def test_what_goes_into_a_bag_comes_out(payload: dict[str, bytes]) -> None:
    files = read_bag(build_bag("bag", payload, {"A": "b"}))
    assert {path.removeprefix("data/"): body for path, body in files.items() if path.startswith("data/")} == payload


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in files.items():
            archive.writestr(path, body)
    return out.getvalue()


def bag(**changes: bytes | None) -> dict[str, bytes]:
    """A small good bag, with changes after the manifests were written; None takes a file out."""
    data = {"data/a.txt": b"a"}
    tags = {"bagit.txt": b"", "bag-info.txt": b"", "manifest-sha512.txt": manifest(data)}
    files = {**data, **tags, "tagmanifest-sha512.txt": manifest(tags)} | changes
    return {f"bag/{path}": body for path, body in files.items() if body is not None}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no zip",
        zipped(bag(**{"data/a.txt": b"b"})),
        zipped(bag(**{"data/b.txt": b"more"})),
        zipped(bag(**{"data/a.txt": None})),
        zipped(bag(**{"bagit.txt": b"x"})),
        zipped(bag(**{"manifest-sha512.txt": None})),
        zipped({**bag(), "other/x": b""}),
        zipped({**bag(), "bag/data/../../x": b""}),
        zipped({**bag(), "bag//x": b""}),
        zipped({**bag(), "bag/a\\b": b""}),
        zipped({f"bag/{i}": b"" for i in range(2100)}),
    ],
)
def test_a_crate_of_somebody_else_is_refused(content: bytes) -> None:
    with pytest.raises(Broken):
        read_bag(content)


def test_a_small_good_bag_is_read() -> None:
    assert read_bag(zipped(bag()))["data/a.txt"] == b"a"


def signed(content: bytes, pen: Pen, **changes: object) -> bytes:
    said = (
        statement(crate=RELEASED.crate_id, request=7, version=2, sha256=hashlib.sha256(content).hexdigest()) | changes
    )
    return json.dumps({**said, "signature": pen.sign(statement_bytes(said))}).encode()


def test_only_our_own_whole_crate_is_proof() -> None:
    pen, content = Pen(), build_crate(RELEASED, CONTENTS)
    proof = verify_crate(content, signed(content, pen), pen.verify)
    assert (proof.crate, proof.files) == (RELEASED.crate_id, {"table 1.csv": FILE.sha256})
    unreviewed = build_crate(replace(RELEASED, files=(replace(FILE, sha256="0" * 64),)), CONTENTS)
    for crate, signature in (
        (content, b"no json"),
        (content, b"[]"),
        (content, b"{}"),
        (content, signed(content, Pen())),
        (content, signed(content, pen, sha256="0" * 64)),
        (content, signed(content, pen, crate="another")),
        (content + b"more", signed(content, pen)),
        (unreviewed, signed(unreviewed, pen)),
    ):
        with pytest.raises(Broken):
            verify_crate(crate, signature, pen.verify)
