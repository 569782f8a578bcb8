"""From submission to the checks' verdict, in the real sandbox."""

from pathlib import Path

import pytest
from sqlalchemy import select

from tests.outputs.house import House, png
from tre.outputs import access
from tre.outputs.model import FileFinding, ReleaseRequest, RequestFile
from tre.workspaces.sandbox.checking import run_checked


@pytest.fixture(autouse=True)
def walls(house: House) -> None:
    house.run = run_checked


def checked(house: House, *files, **words) -> tuple[ReleaseRequest, list[RequestFile], set[tuple[str, str]]]:
    sent = house.submit(*files, **words)
    house.check()
    with house.db.read() as session:
        request = access.get(session, sent.request)
        found = access.version_of(session, request).files
        rows = session.scalars(select(FileFinding).where(FileFinding.file_id.in_([f.id for f in found]))).all()
        session.expunge_all()
        return request, found, {(row.rule, row.severity) for row in rows}


def test_a_loose_table_waits_for_review_as_claimed(house: House) -> None:
    request, (file,), found = checked(house)
    assert (request.state, file.evidence, file.media_type) == ("in_review", "claimed", "text/csv")
    assert found == {("undeclared_table", "review")}
    assert house.store.read(file.cells) == b'{"grid":[["sex","value"],["F","30"],["M","40"]]}'


def test_a_declared_table_is_verified_against_the_snapshot(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 30 + ["M"] * 40})
    table = house.file(dataset="trial", spec={"rows": ["sex"]})
    request, (file,), found = checked(house, table)
    assert (request.state, file.evidence, file.snapshot, found) == ("in_review", "verified", "5" * 64, set())


def test_a_disclosive_cell_returns_the_request_with_the_finding(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 3 + ["M"] * 40})
    table = house.file(content=b"sex,value\nF,3\nM,40\n", dataset="trial", spec={"rows": ["sex"]})
    request, _, found = checked(house, table)
    assert request.state == "returned"
    assert ("threshold", "fail") in found
    with house.db.read() as session:
        row = session.scalars(select(FileFinding).where(FileFinding.rule == "threshold")).one()
        assert row.cell == {"sex": "F"}


def test_a_table_that_is_not_what_it_says_is_returned(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 31 + ["M"] * 40})
    request, (file,), found = checked(house, house.file(dataset="trial", spec={"rows": ["sex"]}))
    assert (request.state, file.evidence) == ("returned", "claimed")
    assert ("mismatch", "fail") in found


def test_the_data_say_who_is_protected_not_the_author(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 30 + ["M"] * 40, "id": [1] * 30 + list(range(40))}, "id")
    request, _, found = checked(house, house.file(dataset="trial", spec={"rows": ["sex"]}))
    assert request.state == "returned"
    assert ("threshold", "fail") in found


def test_a_dataset_that_the_project_does_not_hold_blocks(house: House) -> None:
    request, _, found = checked(house, house.file(dataset="theirs", spec={"rows": ["sex"]}))
    assert (request.state, found) == ("returned", {("unreadable", "fail")})


def test_a_figure_gets_a_clean_preview(house: House) -> None:
    request, (file,), found = checked(house, house.file("plot.png", png(), "figure"))
    assert (request.state, file.media_type, found) == ("in_review", "image/png", set())
    assert house.store.read(file.preview).startswith(b"\x89PNG")


def adults(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F", "M"] * 50, "age": [18] * 4 + [40] * 96})


def older(house: House, least: int, name: str = "table.csv"):
    """Counts by sex of those who are at least so old."""
    content = b"sex,value\nF,50\nM,50\n" if least <= 18 else b"sex,value\nF,48\nM,48\n"
    where = {"column": "age", "op": ">=", "value": least}
    return house.file(name, content, dataset="trial", spec={"rows": ["sex"], "where": where})


def test_a_table_and_its_neighbour_in_one_request_show_the_difference(house: House, tmp_path: Path) -> None:
    adults(house, tmp_path)
    request, _, found = checked(house, older(house, 18), older(house, 19, "second.csv"))
    assert request.state == "returned"
    assert ("differencing", "fail") in found


def test_what_was_released_counts_against_what_comes_even_when_recalled(house: House, tmp_path: Path) -> None:
    from tre.outputs import release

    adults(house, tmp_path)
    first = house.released(older(house, 18))
    release.recall(house.db, house.actor("cora"), first.request, reason="A mistake.")
    request, _, found = checked(house, older(house, 19))
    assert request.state == "returned"
    assert ("differencing", "fail") in found


def test_the_same_table_again_gives_nothing_away(house: House, tmp_path: Path) -> None:
    adults(house, tmp_path)
    house.released(older(house, 18))
    assert checked(house, older(house, 18))[0].state == "in_review"
