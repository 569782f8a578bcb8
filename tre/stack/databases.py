"""The two database servers' roles, databases and who may log in where.

Decides: the platform's own server has a role that owns the schema (migrations), one that the platform works with and
one for JupyterHub, each with its own database or right; the data server has one administrative role, and project
databases are made later (`tre.credentials.projects`). Leaves the tables' grants to the migrations.
"""

from __future__ import annotations

from itertools import product

from tre.credentials.files import new_password, pgpass_line, scram_verifier, write_secret
from tre.settings import Settings
from tre.stack.postgres import Server, initialise

STATE_ROLES = ("tre_owner", "tre_app", "tre_hub")
DATA_ROLES = ("tre_admin",)
#: Who may log in where: (database, role) as in pg_hba.conf.
STATE_HBA = (("tre", "tre_owner"), ("tre", "tre_app"), ("tre_hub", "tre_hub"))
#: A login of a workspace (`w_…`) and a project's manager (`m_…`) may ask for project databases (`p_…`) only.
DATA_HBA = (("all", "tre_admin"), ('"/^p_[0-9a-z]+$"', '"/^[mw]_[0-9a-z]+$"'))


def state_server(settings: Settings) -> Server:
    return Server("postgres-state", settings.servers / "postgres-state", settings.state_database, STATE_HBA)


def data_server(settings: Settings) -> Server:
    data, sockets = settings.servers / "postgres-data", settings.data_database
    return Server("postgres-data", data, sockets, DATA_HBA, max_connections=300, strangers=True)


def state_statements(verifiers: dict[str, str]) -> list[str]:
    """What the superuser does once on the platform's server; `verifiers` are scram verifiers by role."""
    roles = [f"CREATE ROLE {role} LOGIN PASSWORD '{verifiers[role]}'" for role in STATE_ROLES]
    return [
        *roles,
        "CREATE DATABASE tre OWNER tre_owner",
        "CREATE DATABASE tre_hub OWNER tre_hub",
        *closed_to_public("tre", "tre_hub", "postgres", "template1"),
        "GRANT CONNECT ON DATABASE tre TO tre_app",
        "GRANT pg_use_reserved_connections TO tre_app",
    ]


def data_statements(verifiers: dict[str, str]) -> list[str]:
    """What the superuser does once on the data server. `tre_admin` makes databases and roles, and may end sessions."""
    return [
        f"CREATE ROLE tre_admin LOGIN CREATEDB CREATEROLE PASSWORD '{verifiers['tre_admin']}'",
        "GRANT pg_signal_backend, pg_read_all_stats TO tre_admin",
        "GRANT pg_use_reserved_connections TO tre_admin WITH ADMIN OPTION",
        "CREATE DATABASE datasets OWNER tre_admin",
        *closed_to_public("datasets", "postgres", "template1"),
    ]


def data_template() -> list[str]:
    """What PostgreSQL lets everyone do without any right: make large objects, with which a reader could fill the disk,
    and take advisory locks, whose table is one for all databases: where it is full, nobody can log in any more.
    """
    functions = ("lo_creat(int)", "lo_create(oid)", "lo_from_bytea(oid, bytea)", *advisory_locks())
    return [f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC" for function in functions]


def advisory_locks() -> list[str]:
    """Every function that takes one."""
    names = product(
        ("pg_", "pg_try_"), ("advisory_lock", "advisory_xact_lock"), ("", "_shared"), ("bigint", "int, int")
    )
    return [f"{way}{lock}{how}({keys})" for way, lock, how, keys in names]


def closed_to_public(*databases: str) -> list[str]:
    """PostgreSQL lets everyone connect to and make temporary tables in a new database."""
    return [f"REVOKE ALL ON DATABASE {database} FROM PUBLIC" for database in databases]


def initialise_state(settings: Settings) -> None:
    """First run of the platform's server. Changes nothing where it is made already."""
    server = state_server(settings)
    if not server.data.exists():
        initialise(server, state_statements(new_passwords(settings, "state", STATE_ROLES)))


def initialise_data(settings: Settings) -> None:
    """First run of the data server. Changes nothing where it is made already."""
    server = data_server(settings)
    if not server.data.exists():
        initialise(server, data_statements(new_passwords(settings, "data", DATA_ROLES)), data_template())


def new_passwords(settings: Settings, server: str, roles: tuple[str, ...]) -> dict[str, str]:
    """Write a new password file per role and return {role: scram verifier}."""
    verifiers = {}
    for role in roles:
        password = new_password()
        write_secret(settings.secret_file(f"{server}-{role}.pgpass"), pgpass_line(role, password))
        verifiers[role] = scram_verifier(password)
    return verifiers
