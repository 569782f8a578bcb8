"""One database per project on the data server.

Decides its names (opaque: every login of a server sees the names of all roles and databases), who may what in it, and
that only the project's own manager, whose password nobody but the secrets server knows, makes and ends logins. Leaves
the tables to `tre.data` (as role `tre_admin`: what that makes in schema `public` the project may read).
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import asdict, dataclass
from functools import partial

import hvac
import psycopg
from psycopg import errors, sql

from tre.credentials import leases, policies
from tre.credentials.files import new_password, scram_verifier
from tre.credentials.server import Server
from tre.errors import Broken, Conflict, NotFound, Unavailable
from tre.settings import PostgresServer, SecretsServer, Settings

ADMIN = "tre_admin"
LEASE_SECONDS = 3600


@dataclass(frozen=True)
class ProjectDatabase:
    """The names of a project's database: itself, the group that may read, the manager of logins."""

    database: str
    group: str
    manager: str


def names(server: Server, project: str) -> ProjectDatabase:
    """The names kept for a project. Raises NotFound where it has no database."""
    record = server.get_value(f"databases/{project}")
    if record is None:
        raise NotFound(f"project {project} has no database", hint="Grant it a dataset with database delivery first.")
    return ProjectDatabase(record["database"], record["group"], record["manager"])


def prepare(settings: Settings, server: Server, project: str) -> ProjectDatabase:
    """Make a project's database, roles and connection of the secrets server. Runs again to the same end."""
    found = keep_names(server, project)
    password = new_password()
    with connected(settings, "datasets") as db:
        make_roles(db, found, password)
        make_database(db, found)
    with connected(settings, found.database) as db:
        run(db, database_grants(found))
    connect_secrets_server(settings, server, found, password)
    server.put_value(f"databases/{project}", {**asdict(found), "server": where(settings.data_server)})
    return found


def prepared(settings: Settings, server: Server, project: str) -> ProjectDatabase:
    """The names, with the secrets server's connection made again where the data server is elsewhere by now.

    So it is after a restore to another folder, and after a `prepare` that was broken off.
    """
    found = names(server, project)
    record = server.get_value(f"databases/{project}") or {}
    return found if record.get("server") == where(settings.data_server) else prepare(settings, server, project)


def where(server: PostgresServer) -> str:
    return f"{server.host}:{server.port}"


def keep_names(server: Server, project: str) -> ProjectDatabase:
    """New names, or those of an earlier or simultaneous call."""
    suffix = secrets.token_hex(6)
    made = ProjectDatabase(f"p_{suffix}", f"g_{suffix}", f"m_{suffix}")
    try:
        server.put_value(f"databases/{project}", asdict(made), create_only=True)
    except Conflict:
        return names(server, project)
    return made


def connect_secrets_server(settings: Settings, server: Server, found: ProjectDatabase, password: str) -> None:
    """Hand the manager over: after the rotation nobody but the secrets server knows its password."""
    what = "connect the secrets server to a project's database"
    authority = settings.openbao.database_ca if isinstance(settings.openbao, SecretsServer) else ""
    connection = policies.database_connection(found.database, found.manager, password, settings.data_server, authority)
    server.post(what, f"database/config/{found.database}", connection)
    server.post(what, f"database/rotate-root/{found.database}", {})
    role = policies.database_role(
        found.database, found.group, default_ttl=LEASE_SECONDS, max_ttl=policies.LONGEST_LEASE
    )
    server.post(what, f"database/roles/{found.database}", role)


def make_roles(db: psycopg.Connection, found: ProjectDatabase, password: str) -> None:
    existing = {name for (name,) in db.execute("SELECT rolname FROM pg_roles").fetchall()}
    if found.group not in existing:
        run(db, [f"CREATE ROLE {found.group} NOLOGIN"])
    if found.manager not in existing:
        run(db, [f"CREATE ROLE {found.manager} LOGIN CREATEROLE"])
    run(db, role_grants(found))
    change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(found.manager), sql.Literal(scram_verifier(password))
    )
    db.execute(change)


def role_grants(found: ProjectDatabase) -> list[str]:
    """The manager may put logins into the group without having its rights, and end what its own logins do."""
    return [
        f"GRANT {found.group} TO {found.manager} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        f"GRANT pg_use_reserved_connections TO {found.manager}",
        f"ALTER ROLE {found.manager} SET createrole_self_grant = 'inherit'",
    ]


def make_database(db: psycopg.Connection, found: ProjectDatabase) -> None:
    with contextlib.suppress(errors.DuplicateDatabase):
        run(db, [f"CREATE DATABASE {found.database}"])
    run(
        db,
        [
            f"REVOKE ALL ON DATABASE {found.database} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {found.database} TO {found.group}, {found.manager}",
        ],
    )


def database_grants(found: ProjectDatabase) -> list[str]:
    """Inside the database: the group reads what the administrator makes, now and later."""
    return [
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {found.group}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {found.group}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {found.group}",
    ]


def remove(settings: Settings, server: Server, project: str) -> None:
    """Drop a project's database with every login to it. A project without one is no error."""
    try:
        found = names(server, project)
    except NotFound:
        return
    for held in leases.held(server):
        if held.project == project:
            leases.revoke(server, held.id)
    with connected(settings, "datasets") as db:
        wait_for_no_logins(db, found)
        run(db, [f"DROP DATABASE IF EXISTS {found.database} WITH (FORCE)"])
        run(db, [f"DROP ROLE IF EXISTS {role}" for role in (found.manager, found.group)])
    for kind in ("roles", "config"):
        path = f"/v1/database/{kind}/{found.database}"
        server.call("forget a project's database", partial(delete, path))
    server.delete_value(f"databases/{project}")


def wait_for_no_logins(db: psycopg.Connection, found: ProjectDatabase, seconds: float = 10.0) -> None:
    """Wait until the secrets server has dropped the group's logins; raises Unavailable where it does not."""
    logins = (
        "SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles w ON w.oid = m.member"
        " WHERE g.rolname = %s AND w.rolname LIKE 'w\\_%%' LIMIT 1"
    )
    until = time.monotonic() + seconds
    while db.execute(logins, [found.group]).fetchone() is not None:
        if time.monotonic() > until:
            raise Unavailable("logins to the project's database are not revoked yet")
        time.sleep(0.05)


def delete(path: str, client: hvac.Client) -> None:
    client.adapter.delete(path)


def end_orphaned_sessions(settings: Settings) -> int:
    """End sessions whose login is gone; returns how many. None is expected: this is the second net."""
    found = (
        "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid"
        " WHERE a.usesysid IS NOT NULL AND r.oid IS NULL"
    )
    with connected(settings, "datasets") as db:
        row = db.execute(found).fetchone()
    return int(row[0]) if row else 0


def connected(settings: Settings, database: str) -> psycopg.Connection:
    """The administrator's connection, each statement by itself. Raises Unavailable where the server does not answer."""
    try:
        return psycopg.connect(settings.data_conninfo(ADMIN, database), autocommit=True)
    except psycopg.OperationalError as error:
        raise Unavailable("the data server does not answer") from error


def run(db: psycopg.Connection, statements: list[str]) -> None:
    """Run statements made of our own names (letters, digits, underscores) only."""
    for statement in statements:
        try:
            db.execute(statement)
        except errors.InsufficientPrivilege as error:
            raise Broken(f"the data server's administrator lacks a right: {error.diag.message_primary}") from error
