"""An extract's way to a project's volume: offered in the project's own database, fetched by a login of the project,
whole or not at all, and gone again with its grant.
"""

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.data.conftest import read_rows
from tests.data.test_delivery import admin, deliver, login, served
from tre.data import carrying, grants, manifest
from tre.data.carrying import Load, step
from tre.data.model import Carriage, Delivery
from tre.data.worker import step as data_step
from tre.projects.model import ProjectState
from tre.workspaces.kubernetes.carrier_program import carry

__all__ = ["served"]


def due(world) -> list[Load]:
    with world.db.read() as session:
        return carrying.due(session, world.clock.now)


def on_the_way(world) -> list[str]:
    with world.db.read() as session:
        return carrying.on_the_way(session, "heart", world.clock.now.date())


def given(load: Load) -> dict:
    """As the program gets it: through JSON."""
    return json.loads(json.dumps({"name": load.name, "away": load.away, "files": load.files}))


def pieces(world, secrets) -> int:
    with admin(world, secrets) as db:
        return db.execute("SELECT count(*) FROM carried.piece").fetchone()[0]


@pytest.fixture
def offered(served, secrets):
    deliver(served, secrets)
    assert step(served.db, served.places, secrets)
    return served


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


def test_what_is_ready_is_offered_once_and_placed_byte_for_byte(offered, secrets, data_server, volume):
    assert not step(offered.db, offered.places, secrets)
    assert on_the_way(offered) == ["visits"]
    (load,) = due(offered)
    said = carry(volume, given(load), lambda: login(data_server, secrets))
    assert said == "placed"
    placed, own = volume / load.name, offered.places.extracts / load.name
    assert {file.name: file.read_bytes() for file in placed.iterdir()} == {
        file.name: file.read_bytes() for file in own.iterdir()
    }
    manifest.check(placed, manifest.read(own))
    assert read_rows([placed / name for name in load.files if name.endswith(".parquet")])
    carrying.carried(offered.db, load)
    assert on_the_way(offered) == []
    assert due(offered) == []
    # Then nothing of it stays in the database.
    assert step(offered.db, offered.places, secrets)
    assert pieces(offered, secrets) == 0
    assert not step(offered.db, offered.places, secrets)
    actions = [event["action"] for event in offered.events("extract.")]
    assert sorted(actions)[-2:] == ["extract.place", "extract.ready"]
    assert {"extract.offer", "extract.clear"} <= set(actions)


def test_done_twice_is_done_once_and_half_a_try_is_no_harm(offered, secrets, data_server, volume):
    (load,) = due(offered)
    (volume / f".{load.name}").mkdir()
    (volume / f".{load.name}" / "part-1.parquet").write_text("half")
    (volume / load.name).mkdir()
    (volume / load.name / "other").write_text("something else")
    assert carry(volume, given(load), lambda: login(data_server, secrets)) == "placed"
    assert carry(volume, given(load), lambda: pytest.fail("asked again")) == "placed before"
    assert sorted(path.name for path in volume.iterdir()) == [load.name]


def test_what_is_not_as_it_was_offered_is_not_placed(offered, secrets, data_server, volume):
    (load,) = due(offered)
    with admin(offered, secrets) as db:
        db.execute("UPDATE carried.piece SET bytes = bytes || 'x' WHERE file LIKE '%parquet'")
    with pytest.raises(SystemExit, match="is not what was offered"):
        carry(volume, given(load), lambda: login(data_server, secrets))
    assert not (volume / load.name).exists()


def test_only_the_projects_own_logins_read_it_and_none_changes_it(offered, secrets, data_server):
    deliver(offered, secrets, project="lungs")
    with login(data_server, secrets) as db:
        assert db.execute("SELECT count(*) FROM carried.piece").fetchone()[0] >= 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("DELETE FROM carried.piece")
    with login(data_server, secrets, "lungs") as db, pytest.raises(psycopg.errors.UndefinedTable):
        db.execute("SELECT * FROM carried.piece")


def test_what_is_delivered_as_a_database_alone_is_carried_nowhere(served, secrets):
    deliver(served, secrets, delivery=Delivery.database)
    assert not step(served.db, served.places, secrets)
    assert on_the_way(served) == []


def test_an_extract_that_was_altered_is_not_offered_and_holds_up_no_other(served, secrets):
    deliver(served, secrets)
    with served.db.read() as session:
        name = session.query(carrying.Extract).one().name
    folder = served.places.extracts / name
    folder.chmod(0o700)
    file = next(folder.glob("*.parquet"))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    deliver(served, secrets, project="lungs")
    assert step(served.db, served.places, secrets)
    assert [load.project for load in due(served)] == ["lungs"]


@pytest.mark.parametrize("placed", [True, False])
def test_with_its_grant_it_leaves_the_volume_and_the_database(offered, secrets, data_server, volume, placed: bool):
    (load,) = due(offered)
    carry(volume, given(load), lambda: login(data_server, secrets))
    if placed:
        carrying.carried(offered.db, load)
    grant = offered.events("grant.give")[0]["detail"]["grant"]
    grants.end(offered.db, offered.actor("carol"), grant, reason="No longer.")
    assert data_step(offered.db, offered.places, secrets)
    (away,) = due(offered)
    assert (away.away, away.carrier, away.other) == (True, load.other, load.carrier)
    assert carry(volume, given(away), lambda: pytest.fail("nothing is asked")) == "gone"
    assert list(volume.iterdir()) == []
    carrying.carried(offered.db, away)
    assert due(offered) == []
    assert step(offered.db, offered.places, secrets)
    assert pieces(offered, secrets) == 0
    assert offered.events("extract.withdraw")


def test_what_failed_is_tried_again_after_a_pause_that_grows(offered):
    (load,) = due(offered)
    carrying.failed(offered.db, load, "The volume is full." * 100)
    assert due(offered) == []
    offered.clock.forward(seconds=11)
    assert due(offered) == [load]
    carrying.failed(offered.db, load, "Again.")
    offered.clock.forward(seconds=11)
    assert due(offered) == []
    with offered.db.read() as session:
        row = session.get_one(Carriage, load.extract)
        assert (row.attempts, row.reason, row.state) == (2, "Again.", "offered")
    assert len(offered.events("extract.carry_failed")[0]["detail"]["reason"]) <= 300


def test_a_suspended_project_waits(offered):
    offered.set_state("heart", ProjectState.suspended)
    assert due(offered) == []
    with offered.db.read() as session:
        assert carrying.live_carriers(session) == []
    offered.set_state("heart", ProjectState.approved)
    (load,) = due(offered)
    with offered.db.read() as session:
        assert carrying.live_carriers(session) == [("heart", load.carrier)]


def test_a_login_is_known_before_it_is_used(offered):
    (load,) = due(offered)
    carrying.holds(offered.db, load.extract, "accessor:lease")
    assert [each.lease_id for each in due(offered)] == ["accessor:lease"]
    carrying.failed(offered.db, load, "Lost.")
    offered.clock.now += timedelta(minutes=1)
    assert [each.lease_id for each in due(offered)] == [None]
