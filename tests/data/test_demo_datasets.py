"""The demonstration's data are the real ones, and go through the register as a custodian's would."""

import pytest

from tests.data.conftest import visits_dataset
from tre.data import service
from tre.data.model import Sensitivity, SourceKind
from tre.data.sources import Places
from tre.demo import datasets
from tre.people.model import Role


@pytest.fixture
def controllers(world, data_db):
    world.places = Places(world.places.incoming, world.places.extracts, lambda database: data_db)
    world.add("cora", Role.custodian, "rand", "rand")
    world.add("davin", Role.custodian, "justice-lab", "justice-lab")
    return world


def registered(world, by, **changes):
    new = visits_dataset(described={}, sensitivity=Sensitivity.de_personalised, **changes)
    service.register(world.db, world.places, world.actor(by), new)
    with world.db.read() as session:
        dataset = service.get(session, new.slug)
        found = dataset.row_count, {v.name: (v.kind, v.lowest, v.highest) for v in dataset.variables}
        session.expunge_all()
    return found


def test_rand(controllers, data_db):
    for _ in range(2):  # again without harm
        assert datasets.load_rand(data_db, "rand") == 20190
    source = {"source_kind": SourceKind.postgres, "source": {"table": "randhie"}}
    rows, variables = registered(controllers, "cora", slug="rand-hie", organisation="rand", units=("record",), **source)
    assert rows == 20000
    assert variables["record"] == ("int", None, None)
    assert variables["hlthp"] == ("int", "0", "1")
    # The most visits of one record are 77; the catalogue says nothing of it.
    kind, lowest, highest = variables["mdvis"]
    assert (kind, lowest) == ("int", "0")
    assert int(highest) < 77


def test_rossi(controllers):
    datasets.write_rossi(controllers.places.incoming, "justice-lab")
    source = {"source": {"folder": "rossi"}}
    rows, variables = registered(
        controllers, "davin", slug="rossi", organisation="justice-lab", units=("participant",), **source
    )
    assert rows == 430
    assert variables["arrest"] == ("int", "0", "1")
    # The oldest participant was 44.
    assert int(variables["age"][2]) < 44
