"""From approved to released, once and byte for byte; what was altered, recalled, or never approved stays in."""

import json
import zipfile
from io import BytesIO

import pytest
from sqlalchemy import select, text

from tests.outputs.house import CLEAN, House, png
from tre.errors import Broken, Conflict, Forbidden, TreError, Unavailable
from tre.outputs import release
from tre.outputs.keeping import collect_orphans
from tre.outputs.model import Release, ReleasedTable
from tre.outputs.proof import verify_crate


def test_the_download_is_what_was_reviewed(house: House) -> None:
    sent = house.released(house.file(), house.file("plot.png", png(), "figure"))
    assert house.state(sent) == "released"
    assert release.download(house.db, house.store, house.actor("ada"), sent.request, file=1).content == CLEAN
    assert release.download(house.db, house.store, house.actor("ben"), sent.request, file=2).content == png()
    crate = release.download(house.db, house.store, house.actor("ada"), sent.request)
    with zipfile.ZipFile(BytesIO(crate.content)) as archive:
        assert archive.read("release-1-1/data/outputs/table.csv") == CLEAN
        assert archive.testzip() is None


def test_the_crate_is_verified_offline(house: House) -> None:
    sent = house.released()
    crate = release.download(house.db, house.store, house.actor("ada"), sent.request).content
    said = release.signature_of(house.db, house.actor("ada"), sent.request)
    proof = verify_crate(crate, json.dumps(said).encode(), house.pen.verify)
    assert (proof.request, proof.version) == (1, 1)
    altered = crate.replace(b"F,30", b"F,31")
    for content, statement in ((altered, said), (crate, said | {"request": 2}), (crate, said | {"format": "x"})):
        with pytest.raises(Broken):
            verify_crate(content, json.dumps(statement).encode(), house.pen.verify)


def test_the_crate_names_checkers_by_number_only(house: House) -> None:
    sent = house.released()
    crate = release.download(house.db, house.store, house.actor("ada"), sent.request).content
    assert b"cora" not in crate
    assert b"carl" not in crate
    assert b"checker 1" in crate
    named = house.events("request.released")[0]["detail"]["reviewers"]
    assert named == {"checker 1": "cora", "checker 2": "carl"}


def test_a_verified_table_stays_in_the_release_memory(house: House, tmp_path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 30 + ["M"] * 40})
    house.released(house.file(dataset="trial", spec={"rows": ["sex"]}))
    with house.db.read() as session:
        kept = session.scalars(select(ReleasedTable)).one()
        assert (kept.dataset, kept.snapshot, kept.spec) == ("trial", "5" * 64, {"rows": ["sex"]})
        assert kept.cells == [["sex", "value"], ["F", "30"], ["M", "40"]]


def test_nothing_unapproved_is_released(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent)
    with pytest.raises(Conflict):
        release.release(house.db, house.actor("cora"), sent.request, version=1)
    assert not release.step(house.db, house.release_desk())


def test_only_its_checkers_release(house: House) -> None:
    sent = house.approved()
    for who in ("ada", "ben", "old", "bias", "adam", "audrey", "eve"):
        with pytest.raises(Forbidden):
            release.release(house.db, house.actor(who), sent.request, version=1)


def test_orphans_go_and_everything_that_counts_stays(house: House) -> None:
    sent = house.released(house.file(), house.file("plot.png", png(), "figure"))
    before = set(house.store.digests())
    orphan = house.store.put(b"never submitted").digest
    assert collect_orphans(house.db, house.store, grace_seconds=-1) == 1
    assert set(house.store.digests()) == before - {orphan}
    assert collect_orphans(house.db, house.store, grace_seconds=-1) == 0
    assert house.events("content.collect")[0]["detail"] == {"removed": 1}
    release.download(house.db, house.store, house.actor("ada"), sent.request)


def alter(house: House, digest: str) -> None:
    path = house.store.shelf.path(digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"F,30", b"F,31"))


def test_bytes_changed_before_the_release_stop_it(house: House) -> None:
    sent = house.releasing()
    alter(house, _digest(house))
    assert release.step(house.db, house.release_desk())
    assert house.state(sent) == "failed"
    assert house.events("content.alarm")[0]["detail"]["code"] == "content_altered"


def _digest(house: House) -> str:
    from tre.outputs.model import RequestFile

    with house.db.read() as session:
        return session.scalars(select(RequestFile.digest)).first()


@pytest.mark.parametrize("file", [None, 1])
def test_bytes_changed_after_the_release_are_not_handed_out(house: House, file: int | None) -> None:
    sent = house.released()
    with house.db.read() as session:
        digest = _digest(house) if file else session.scalars(select(Release.digest)).one()
    alter(house, digest)
    with pytest.raises(Broken):
        release.download(house.db, house.store, house.actor("ada"), sent.request, file=file)
    assert house.events("content.alarm")[0]["detail"]["code"] == "content_altered"


def test_recall_is_for_ever(house: House) -> None:
    sent = house.released()
    with pytest.raises(Forbidden):
        release.recall(house.db, house.actor("ben"), sent.request, reason="I do not like it.")
    release.recall(house.db, house.actor("ada"), sent.request, reason="A table shows a village.")
    with pytest.raises(Forbidden) as refused:
        release.download(house.db, house.store, house.actor("ada"), sent.request)
    assert (refused.value.error_code, refused.value.hint) == ("recalled", "A table shows a village.")
    with pytest.raises(Conflict):
        release.recall(house.db, house.actor("cora"), sent.request, reason="Again.")


def test_the_database_refuses_to_forget_a_release(house: House) -> None:
    house.released()
    changes = ("DELETE FROM release", "UPDATE release SET digest = 'x'", "UPDATE release SET version = 2")
    for statement in changes:
        with pytest.raises(Exception, match="never changed or forgotten"), house.db.transaction() as session:
            session.execute(text(statement))


def test_who_left_the_project_downloads_nothing(house: House) -> None:
    sent = house.released()
    for who in ("old", "eve", "adam", "audrey", "bias"):
        with pytest.raises(TreError):
            release.download(house.db, house.store, house.actor(who), sent.request)


def test_a_secrets_server_that_is_down_only_delays(house: House) -> None:
    class Down:
        def sign(self, message: bytes) -> str:
            raise Unavailable("The secrets server does not answer.")

    sent = house.releasing()
    assert release.step(house.db, release.ReleaseDesk(house.store, Down()))
    assert house.state(sent) == "releasing"
    assert not release.step(house.db, house.release_desk()), "it rests a while"
    house.clock.forward(seconds=30)
    assert release.step(house.db, house.release_desk())
    assert house.state(sent) == "released"
