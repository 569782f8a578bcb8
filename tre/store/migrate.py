"""Brings the state database to a revision; all steps of one call are one transaction.

`python -m tre.store.migrate` is what the supervisor runs before the control plane starts, as the owner of the tables.
What a revision does stands in `migrations/versions`, one file per subject.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tre.errors import Unavailable
from tre.settings import Settings

_MIGRATION_LOCK = 0x7472656D6967


def migrate(url: str, revision: str = "head", *, down: bool = False) -> None:
    """Two callers at once wait for one another. Raises SQLAlchemy's errors: half a migration is rolled back."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            (command.downgrade if down else command.upgrade)(config, revision)
    finally:
        engine.dispose()


def main() -> int:
    """A database that is not there, or does not let us in, is said in one line: on a cluster it is all that is seen."""
    settings = Settings.load()
    try:
        migrate(settings.state_url("tre_owner"))
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        print(f"[state] {settings.state_server.host}: {reason}. Is it the right server and login?", file=sys.stderr)
        return Unavailable("").exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
