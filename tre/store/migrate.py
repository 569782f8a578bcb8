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
    migrate(Settings.load().state_url("tre_owner"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
