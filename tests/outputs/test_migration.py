"""The tables go down and up again on data."""

from tests.fixtures.postgres import StateDatabase
from tests.outputs.house import House
from tre.store.migrate import migrate


def test_down_and_up_on_data(house: House, migrated_db: StateDatabase) -> None:
    house.released()
    house.db.close()
    migrate(migrated_db.owner, "0003", down=True)
    migrate(migrated_db.owner)
    sent = house.in_review()
    assert house.state(sent) == "in_review"


def test_the_models_are_what_the_migration_makes(migrated_db: StateDatabase) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    import tre.outputs.model  # noqa: F401
    from tre.store import Base

    mine = {name for name, mapper in ((t.name, t) for t in Base.metadata.sorted_tables) if _of_outputs(mapper)}
    engine = create_engine(migrated_db.owner)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [d for d in compare_metadata(context, Base.metadata) if _table(d) in mine]
    engine.dispose()
    assert differences == []


def _of_outputs(table: object) -> bool:
    import tre.outputs.model as model

    return any(getattr(item, "__table__", None) is table for item in vars(model).values())


def _table(difference: object) -> str:
    """The name of the table that a difference is about."""
    found = difference[0] if isinstance(difference, list) else difference
    for part in found[1:]:
        name = getattr(getattr(part, "table", None), "name", None) or getattr(part, "name", None)
        if name or isinstance(part, str):
            return str(name or part)
    return ""
