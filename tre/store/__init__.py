"""The state database: engine, sessions, the mapped base class and the migrations. Knows no subject."""

from tre.store.database import Base, Database

__all__ = ["Base", "Database"]
