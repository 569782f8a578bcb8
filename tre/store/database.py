"""Engine, session and clock of the state database.

Decides how a transaction begins and ends and which driver errors mean "try again" (`Unavailable`), which "somebody was
faster" (`Conflict`) and which "no such value can be stored" (`InvalidInput`). Leaves to `tre.audit.work` what a use
case is, and to each subject its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import MetaData, create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from tre.errors import Conflict, InvalidInput, TreError, Unavailable

# Names chosen by rule, so that a migration can drop what another made.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_LOST_RACE = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class Database:
    """One PostgreSQL database. `clock` is the only source of the present moment for services."""

    def __init__(self, url: str, *, clock: Clock = utc_now, pool_size: int = 5) -> None:
        # An error's text reaches logs: it never quotes what a statement carried.
        self.engine: Engine = create_engine(
            url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, hide_parameters=True
        )
        self.clock = clock
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commits at the end of the block, rolls back on any exception.

        Raises `Unavailable` when the database does not answer, `Conflict` when another transaction was faster,
        `InvalidInput` for a value that no table can hold.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except (OperationalError, PoolExhausted, DataError, UnicodeEncodeError) as error:
            raise _translated(error) from error
        except IntegrityError as error:
            constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "unknown"
            raise Conflict(
                f"This would break the rule {constraint}.",
                hint="Somebody may have made it already; look again.",
            ) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking only: whatever it changed is rolled back. What was loaded can be read afterwards."""
        try:
            with self._sessions() as session:
                yield session
                session.expunge_all()
                session.rollback()
        except (OperationalError, PoolExhausted, DataError, UnicodeEncodeError) as error:
            raise _translated(error) from error

    def close(self) -> None:
        self.engine.dispose()


def _translated(error: Exception) -> TreError:
    if isinstance(error, (DataError, UnicodeEncodeError)):
        return InvalidInput("A value cannot be stored.", hint="Look for null characters and numbers out of range.")
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) in _LOST_RACE:
        return Conflict("Somebody else changed this at the same moment.", hint="Look again, then retry.")
    return Unavailable("The state database does not answer.")
