"""A state server of its own for measurements, durable as in production, with the tests' people in it."""

import contextlib
import shutil
from collections.abc import Iterator

from tests.fixtures.folders import new_settings
from tests.fixtures.postgres import running
from tests.outputs.house import House
from tre.outputs.content.folder import in_folder
from tre.settings import Settings
from tre.stack import databases
from tre.store import Database
from tre.store.migrate import migrate
from tre.workspaces.sandbox.checking import run_checked


@contextlib.contextmanager
def furnished_house() -> Iterator[tuple[House, Settings]]:
    """A house and the settings of its server; both gone afterwards."""
    settings = new_settings("bench-")
    try:
        databases.initialise_state(settings)
        with running(settings, databases.state_server(settings)):
            migrate(settings.state_url("tre_owner"))
            db = Database(settings.state_url("tre_app"))
            house = House(db, in_folder(settings.content), run=run_checked)
            db.clock = house.clock
            house.furnish()
            yield house, settings
            db.close()
    finally:
        shutil.rmtree(settings.state.parent, ignore_errors=True)
