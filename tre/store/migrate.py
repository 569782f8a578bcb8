"""Brings the state database to a revision; all steps of one call are one transaction.

`python -m tre.store.migrate` is what the supervisor runs before the control plane starts, as the owner of the tables.
What a revision does stands in `migrations/versions`, one file per subject.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tre.errors import Unavailable
from tre.settings import Settings

_MIGRATION_LOCK = 0x7472656D6967
#: So that who works with the tables can say that they are old.
_SHOW_REVISION = "GRANT SELECT ON alembic_version TO tre_app"


def _script_location() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revisions() -> tuple[str, ...]:
    """Those that this release knows, the oldest first."""
    walked = ScriptDirectory.from_config(_script_location()).walk_revisions()
    return tuple(reversed([each.revision for each in walked]))


def migrate(url: str, revision: str = "head", *, down: bool = False) -> None:
    """Two callers at once wait for one another. Raises SQLAlchemy's errors: half a migration is rolled back."""
    config = _script_location()
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            (command.downgrade if down else command.upgrade)(config, revision)
            connection.execute(text(_SHOW_REVISION))
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
