"""The project's own database, on the real data server and with the real secrets server."""

import psycopg
import pytest
from sqlalchemy import select

from tests.data.conftest import ask, read_rows
from tre.data import extracts, grants, snapshots
from tre.data.model import Delivery, Extract, ExtractState
from tre.data.sources import Places
from tre.data.worker import step
from tre.projects.model import ProjectState


@pytest.fixture
def served(visits_world, data_server, secrets):
    """The world with both servers; its projects' databases are gone afterwards."""
    visits_world.places = Places(
        visits_world.places.incoming,
        visits_world.places.extracts,
        lambda database: data_server.data_conninfo("tre_admin", database),
    )
    yield visits_world
    for project in ("heart", "lungs"):
        secrets.project_remove(project)


def deliver(world, secrets, project="heart", delivery=Delivery.both, **terms):
    world.project(project, [ask()])
    number = world.grant(project, "visits", delivery=delivery, **terms)
    assert step(world.db, world.places, secrets)
    return number


def admin(world, secrets, project="heart"):
    return psycopg.connect(world.places.database(secrets.project_database(project).database), autocommit=True)


def login(settings, secrets, project="heart"):
    lease = secrets.lease(project, "w1")
    return psycopg.connect(
        host=str(settings.data_database), user=lease.username, password=lease.password, dbname=lease.database
    )


def test_the_table_holds_the_rows_of_the_files(served, secrets):
    deliver(served, secrets)
    with served.db.read() as session:
        today = served.clock.now.date()
        (row,) = [e.state for e in session.scalars(select(Extract))]
        assert row == ExtractState.ready
        files = read_rows(snapshots.snapshot_paths(session, served.places, "heart", "visits", today))
        assert snapshots.needs_database(session, "heart", today)
    with admin(served, secrets) as db:
        found = db.execute("SELECT nhs, person, age, sex, cost FROM visits").fetchall()
    assert sorted(map(repr, found)) == sorted(repr(tuple(row.values())) for row in files)


def test_a_workspace_s_login_reads_and_changes_nothing(served, secrets, data_server):
    deliver(served, secrets)
    with login(data_server, secrets) as db:
        assert db.execute("SELECT count(*) FROM visits").fetchone() == (300,)
        for statement in (
            "DELETE FROM visits",
            "UPDATE visits SET age = 1",
            "DROP TABLE visits",
            "ALTER TABLE visits ADD x int",
            "CREATE TABLE other AS SELECT 1",
            "TRUNCATE visits",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)
            db.rollback()


def test_what_every_login_can_see_names_no_project_and_nobody(served, secrets, data_server):
    deliver(served, secrets)
    with login(data_server, secrets) as db:
        seen = db.execute(
            "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
            " UNION ALL SELECT relname FROM pg_class UNION ALL SELECT attname FROM pg_attribute"
            " UNION ALL SELECT description FROM pg_description"
            " UNION ALL SELECT description FROM pg_shdescription UNION ALL SELECT definition FROM pg_views"
        ).fetchall()
    words = {str(name) for (name,) in seen}
    for secret in ("heart", "rita", "carol", secrets.pseudonym_key("heart").hex()):
        assert not [word for word in words if secret in word]


def test_two_projects_tables_share_no_pseudonym(served, secrets):
    deliver(served, secrets)
    deliver(served, secrets, "lungs")
    found = []
    for project in ("heart", "lungs"):
        with admin(served, secrets, project) as db:
            found.append({nhs for (nhs,) in db.execute("SELECT DISTINCT nhs FROM visits").fetchall()})
    assert [len(names) for names in found] == [100, 100]
    assert not found[0] & found[1]


def test_the_table_goes_with_the_grant_and_the_database_with_the_project(served, secrets):
    number = deliver(served, secrets, delivery=Delivery.database)
    grants.end(served.db, served.actor("carol"), number, reason="enough")
    assert step(served.db, served.places, secrets)
    with admin(served, secrets) as db:
        assert db.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    served.grant("heart", "visits", delivery=Delivery.database, columns=("age",))
    assert step(served.db, served.places, secrets)
    with admin(served, secrets) as db:
        assert db.execute("SELECT count(age) FROM visits").fetchone() == (300,)
        name = db.info.dbname
    served.set_state("heart", ProjectState.closed)
    assert step(served.db, served.places, secrets)
    with psycopg.connect(served.places.database("datasets")) as db:
        assert db.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [name]).fetchone() == (0,)
    detail = served.events("extract.remove")[0]["detail"]
    assert (detail["table"], detail["left"], detail["as_pinned"]) == (True, False, True)


def test_a_grant_without_a_database_yet_is_removed_too(served, secrets):
    served.project("heart", [ask()])
    number = served.grant("heart", "visits", delivery=Delivery.database)
    grants.end(served.db, served.actor("carol"), number, reason="mistake")
    assert step(served.db, served.places, secrets)
    assert served.events("extract.remove")[0]["detail"]["files"] == []


def test_a_data_server_that_does_not_take_the_table_is_tried_again(served, secrets, monkeypatch):
    served.project("heart", [ask()])
    served.grant("heart", "visits", delivery=Delivery.database)
    real = served.places.database
    served.places = Places(served.places.incoming, served.places.extracts, lambda database: "host=/nowhere")
    assert step(served.db, served.places, secrets)
    with served.db.read() as session:
        found = session.scalars(select(Extract)).one()
        assert (found.state, found.reason) == ("queued", "The data server does not take the extract's table.")
    served.places = Places(served.places.incoming, served.places.extracts, real)
    served.clock.forward(seconds=extracts.PAUSE.total_seconds() + 1)
    assert step(served.db, served.places, secrets)
    with admin(served, secrets) as db:
        assert db.execute("SELECT count(*) FROM visits").fetchone() == (300,)


def test_a_table_that_lacks_rows_is_no_delivery(served, secrets, monkeypatch):
    served.project("heart", [ask()])
    served.grant("heart", "visits", delivery=Delivery.database)
    monkeypatch.setattr(extracts.delivery, "deliver", lambda *_: 299)
    assert step(served.db, served.places, secrets)
    with served.db.read() as session:
        found = session.scalars(select(Extract)).one()
        assert (found.state, found.reason) == ("failed", "The table has 299 rows, the files 300.")
