"""A request from submission to download with its content in a bucket, whose server is killed in between."""

import hashlib
import io
import zipfile
from collections.abc import Iterator

import pytest

from tests.fixtures.object_storage import ObjectStorage, Wire, needs_storage
from tests.fixtures.postgres import StateDatabase
from tests.outputs.house import CLEAN, House, png
from tre.errors import Broken, Unavailable
from tre.outputs import access, release, steps
from tre.outputs.service import Submitted
from tre.settings import Settings
from tre.store import Database

pytestmark = needs_storage


@pytest.fixture
def house(migrated_db: StateDatabase, object_storage: ObjectStorage, bucket_settings: Settings) -> Iterator[House]:
    db = Database(migrated_db.app)
    house = House(db, object_storage.store(bucket_settings))
    db.clock = house.clock
    house.furnish()
    yield house
    db.close()


def reason(house: House, sent: Submitted) -> str:
    with house.db.read() as session:
        return access.get(session, sent.request).reason


def out(house: House, sent: Submitted, file: int | None = None) -> bytes:
    return release.download(house.db, house.store, house.actor("ada"), sent.request, file=file).content


def test_what_was_reviewed_comes_out_byte_for_byte(house: House, object_storage: ObjectStorage) -> None:
    picture = png()
    sent = house.released(house.file(), house.file("plot.png", picture, "figure"))
    crate = zipfile.ZipFile(io.BytesIO(out(house, sent)))
    assert (out(house, sent, 1), out(house, sent, 2)) == (CLEAN, picture)
    inside = {hashlib.sha256(crate.read(name)).digest() for name in crate.namelist()}
    assert {hashlib.sha256(content).digest() for content in (CLEAN, picture)} <= inside
    assert all(object_storage.file(digest).exists() for digest in house.store.digests())


def test_a_server_that_dies_in_every_long_step_delays_it(house: House, object_storage: ObjectStorage) -> None:
    """Longer than a step may fail by itself: for its absence no request is given up."""
    sent = house.submit()
    object_storage.kill()
    for _ in range(steps.MAX_ATTEMPTS + 2):
        house.check()
        assert (house.state(sent), reason(house, sent)) == ("checking", "Waiting: The object storage does not answer.")
        house.clock.forward(seconds=30)
    object_storage.start()
    house.check()
    assert house.state(sent) == "in_review"
    for who in ("cora", "carl"):
        house.vote(who, sent)
    house.decide("carl", sent)
    release.release(house.db, house.actor("cora"), sent.request, version=sent.version)
    object_storage.kill()
    for _ in range(steps.MAX_ATTEMPTS + 2):
        assert release.step(house.db, house.release_desk())
        assert house.state(sent) == "releasing"
        house.clock.forward(seconds=30)
    object_storage.start()
    assert release.step(house.db, house.release_desk())
    assert (house.state(sent), out(house, sent, 1)) == ("released", CLEAN)
    assert house.events("content.alarm") == []


def test_a_server_killed_while_the_crate_goes_up(
    house: House, object_storage: ObjectStorage, wire: Wire, bucket_settings: Settings
) -> None:
    sent = house.releasing(house.file("plot.png", png(400, 400, compress_level=0), "figure"))
    house.store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}")
    wire.up, wire.happens = 100_000, object_storage.kill
    assert release.step(house.db, house.release_desk())
    assert (house.state(sent), wire.cuts) == ("releasing", 1)
    wire.up = None
    object_storage.start()
    house.clock.forward(seconds=30)
    assert release.step(house.db, house.release_desk())
    assert house.state(sent) == "released"
    assert len(zipfile.ZipFile(io.BytesIO(out(house, sent))).namelist()) > 1
    assert len(house.events("request.released")) == 1


@pytest.mark.parametrize("how", ["altered", "cut off", "deleted"])
def test_what_somebody_did_in_the_bucket_is_not_released(house: House, object_storage: ObjectStorage, how: str) -> None:
    file = house.file()
    sent = house.releasing(file)
    path = object_storage.file(file.digest)
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(CLEAN.replace(b"30", b"31") if how == "altered" else CLEAN[:-3])
    assert release.step(house.db, house.release_desk())
    assert house.state(sent) == "failed"
    assert house.events("content.alarm")[0]["subject"] == f"request:{sent.request}"


def test_what_was_altered_after_its_release_is_not_handed_out(house: House, object_storage: ObjectStorage) -> None:
    sent = house.released()
    (crate,) = (d for d in house.store.digests() if house.store.read(d).startswith(b"PK"))
    object_storage.file(crate).write_bytes(b"PK another")
    with pytest.raises(Broken):
        out(house, sent)
    assert len(house.events("content.alarm")) == 1
    object_storage.kill()
    with pytest.raises(Unavailable):
        out(house, sent, 1)
    assert len(house.events("content.alarm")) == 1, "a server that is away is no alarm"
