"""The data room's tables: what the models say is what the migration makes, and it goes up and down on data."""

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.data.conftest import ask, visits, visits_dataset, write_parquet
from tre.data import service
from tre.data.model import Dataset, Extract, Grant, Variable
from tre.errors import Conflict
from tre.store.migrate import migrate

TABLES = [model.__table__ for model in (Dataset, Variable, Grant, Extract)]


def test_models_and_tables_agree(migrated_db):
    engine = create_engine(migrated_db.owner)
    found = inspect(engine)
    for table in TABLES:
        columns = {column["name"]: column for column in found.get_columns(table.name)}
        assert set(columns) == {column.name for column in table.columns}
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, (table.name, column.name)
            made = columns[column.name]["type"].compile(engine.dialect)
            assert made == column.type.compile(engine.dialect), column.name
        assert {i["name"] for i in found.get_indexes(table.name) if not i.get("duplicates_constraint")} == {
            index.name for index in table.indexes
        }
    engine.dispose()


def test_up_and_down_on_data(state_db):
    migrate(state_db.owner, "0002")
    engine = create_engine(state_db.owner)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO organisation VALUES ('acme', 'Acme', now())"))
    migrate(state_db.owner, "0001", down=True)
    assert "dataset" not in inspect(engine).get_table_names()
    migrate(state_db.owner, "0002")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM organisation")).scalar() == 1
        assert connection.execute(text("SELECT count(*) FROM dataset")).scalar() == 0
    engine.dispose()


@pytest.mark.parametrize("table", ["data_grant", "extract"])
def test_the_database_itself_allows_one_standing_grant_and_one_live_extract(world, table):
    write_parquet(world.places, "acme", "visits", visits())
    service.register(world.db, world.places, world.actor("carol"), visits_dataset())
    world.project("heart", [ask()])
    world.grant("heart", "visits")
    model = Grant if table == "data_grant" else Extract
    with world.db.read() as session:
        found = session.query(model).one()
        values = {c.name: getattr(found, c.name) for c in model.__table__.columns if c.name != "id"}
    twin = model(**{**values, **({"name": "another"} if table == "extract" else {})})
    with pytest.raises(Conflict), world.db.transaction() as session:
        session.add(twin)
