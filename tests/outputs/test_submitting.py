"""Submissions: hostile names and words, limits, other people's requests, withdrawing, retrying."""

import pytest
from sqlalchemy import update

from tests.outputs.house import House
from tre.errors import Conflict, Forbidden, GateClosed, InvalidInput, LimitExceeded, NotFound, TreError
from tre.outputs import limits, service
from tre.outputs.model import ReleaseRequest
from tre.outputs.service import NewFile
from tre.projects.model import Project

NAMES = (
    "",
    "a",
    "../up.csv",
    "a/b.csv",
    "a\\b.csv",
    "a\nb.csv",
    "a\0b.csv",
    "\u202evsc.exe",
    "a\u200bb.csv",
    "x" * 256 + ".csv",
    ".hidden.csv",
    "-rf.csv",
    "ta..ble.csv",
    "table.csv ",
    "tabl\u00e9.csv",
    "CON:.csv",
)


def test_hostile_file_names_are_refused(house: House) -> None:
    for name in NAMES:
        with pytest.raises(InvalidInput) as refused:
            house.submit(house.file(name))
        assert refused.value.field == "files.1.name", name


WORDS = (
    ("title", ""),
    ("title", "x" * 121),
    ("title", "a\u202eb"),
    ("title", "a\x1b[2Jb"),
    ("context", " \n "),
    ("context", "x" * 5000),
    ("controls", ""),
    ("controls", "zero\u200bwidth"),
)


def test_words_are_needed_and_plain(house: House) -> None:
    for field, value in WORDS:
        with pytest.raises(InvalidInput) as refused:
            house.submit(**{field: value})
        assert refused.value.field == field, value


NONSENSE: tuple[tuple[dict[str, object], str], ...] = (
    ({"kind": "executable"}, "files.1.kind"),
    ({"digest": "0" * 64}, "files.1.sha256"),
    ({"digest": "../../x"}, "sha256"),
    ({"spec": {"rows": ["sex"]}}, "files.1.dataset"),
    ({"dataset": "trial"}, "files.1.dataset"),
    ({"dataset": "trial", "spec": {"rows": []}}, "files.1.spec"),
    ({"dataset": "trial", "spec": {"rows": ["a"], "sql": "DROP"}}, "files.1.spec"),
    ({"dataset": "trial", "spec": {"rows": ["a" * 100_000]}}, "files.1.spec"),
    ({"dataset": "trial", "spec": {"rows": [float("nan")]}}, "files.1.spec"),
)


def test_a_file_that_makes_no_sense_names_its_field(house: House) -> None:
    for changes, field in NONSENSE:
        file = {"name": "table.csv", "digest": house.file().digest, "kind": "table"} | changes
        with pytest.raises(InvalidInput) as refused:
            house.submit(NewFile(**file))
        assert refused.value.field == field, changes


def test_names_that_look_alike_are_refused(house: House) -> None:
    with pytest.raises(InvalidInput):
        house.submit(house.file("Table.csv"), house.file("table.CSV"))


def test_sizes_and_counts_come_from_the_house(house: House) -> None:
    changes = {"max_files": 2, "max_file_bytes": 1024, "max_request_bytes": 1500, "max_requests_per_day": 3}
    limits.change(house.db, house.actor("adam"), changes)
    with pytest.raises(LimitExceeded):
        house.submit(house.file(content=b"x" * 1025))
    with pytest.raises(LimitExceeded):
        house.submit(house.file(content=b"x" * 1000), house.file("b.csv", b"y" * 1000))
    with pytest.raises(InvalidInput):
        house.submit(*[house.file(f"t{i}.csv") for i in range(3)])
    for _ in range(3):
        house.submit()
    with pytest.raises(LimitExceeded) as refused:
        house.submit()
    assert refused.value.error_code == "too_many_requests"
    house.clock.forward(days=1, seconds=1)
    house.submit()


def test_a_setting_that_does_not_exist_or_fit_is_refused(house: House) -> None:
    for changes in ({"reviewers": 2}, {"max_rows": 0}, {"max_rows": "9"}, {"profile": "none"}, {"max_rows": True}):
        with pytest.raises(InvalidInput):
            limits.change(house.db, house.actor("adam"), changes)


def test_only_members_with_an_open_gate_submit(house: House) -> None:
    for who in ("cora", "adam", "eve", "old"):
        with pytest.raises((Forbidden, GateClosed)):
            house.submit(who=who)


def test_a_suspended_project_submits_nothing(house: House) -> None:
    with house.db.transaction() as session:
        session.execute(update(Project).where(Project.slug == "cost").values(state="suspended"))
    with pytest.raises(GateClosed):
        house.submit()


def test_a_new_version_is_the_authors_and_needs_a_returned_request(house: House) -> None:
    sent = house.submit(house.file(content=b""))
    with pytest.raises(Conflict):
        house.submit(request=sent.request)
    house.check()
    with pytest.raises(Forbidden):
        house.submit(request=sent.request, who="ben")
    with pytest.raises(NotFound):
        house.submit(request=999)
    assert house.submit(request=sent.request).version == 2


def test_a_request_is_withdrawn_by_its_author_in_their_own_turn(house: House) -> None:
    sent = house.submit(house.file(content=b""))
    with pytest.raises(Conflict):
        service.withdraw(house.db, house.actor("ada"), sent.request, reason="No.")
    house.check()
    for who in ("ben", "cora", "adam"):
        with pytest.raises(Forbidden):
            service.withdraw(house.db, house.actor(who), sent.request, reason="No.")
    service.withdraw(house.db, house.actor("ada"), sent.request, reason="No longer needed.")
    assert house.state(sent) == "withdrawn"
    with pytest.raises(Conflict):
        house.submit(request=sent.request)
    with pytest.raises(Conflict):
        service.comment(house.db, house.actor("ada"), sent.request, text="Late.", audience="everybody")


def test_a_comment_on_a_file_that_is_not_there(house: House) -> None:
    sent = house.submit()
    with pytest.raises(NotFound):
        service.comment(house.db, house.actor("ada"), sent.request, text="Hm.", audience="everybody", file=7)
    with pytest.raises(InvalidInput):
        service.comment(house.db, house.actor("ada"), sent.request, text="Hm.", audience="public")


@pytest.mark.parametrize(("failed_from", "target"), [("checking", "submitted"), ("releasing", "approved")])
def test_what_failed_is_tried_again_where_it_failed(house: House, failed_from: str, target: str) -> None:
    sent = house.submit()
    with house.db.transaction() as session:
        session.execute(update(ReleaseRequest).values(state="failed", failed_from=failed_from))
    for who in ("ben", "eve", "audrey"):
        with pytest.raises(TreError):
            service.retry(house.db, house.actor(who), sent.request)
    assert service.retry(house.db, house.actor("ada"), sent.request) == target
    with pytest.raises(Conflict):
        service.retry(house.db, house.actor("ada"), sent.request)
