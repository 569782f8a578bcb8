"""A project of this package's tests, with its database."""

import psycopg
import pytest

from tre.credentials import Lease, Secrets
from tre.settings import Settings


@pytest.fixture(scope="session")
def project(secrets: Secrets, data_server: Settings) -> str:
    """A project with one table of three rows."""
    names = secrets.project_prepare("alpha")
    with psycopg.connect(data_server.data_conninfo("tre_admin", names.database)) as db:
        db.execute("CREATE TABLE people (id int, value int)")
        db.execute("INSERT INTO people VALUES (1, 10), (2, 20), (3, 30)")
    return "alpha"


def login(settings: Settings, lease: Lease, database: str = "") -> psycopg.Connection:
    """A session with the lease, as a workspace opens it."""
    return psycopg.connect(
        host=str(settings.data_database),
        user=lease.username,
        password=lease.password,
        dbname=database or lease.database,
        autocommit=True,
    )
