"""The two PostgreSQL servers: files for their superusers, and the logins as the release's Secret wants them.

Decides the files' forms. Statements hold verifiers (SCRAM) and never a password, so that whoever runs them, or reads
the server's log, learns none. Leaves roles, rights and who may log in where to `tre.stack.databases`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tre.credentials.files import new_password, pgpass_line, scram_verifier, write_secret
from tre.errors import Conflict, InvalidInput
from tre.settings import PostgresServer
from tre.stack import databases
from tre.stack.examination.installation import Installation

LOGINS = "logins"
#: Where the pods have the authority of `postgresql.ca`; without one, those of their image (templates/_common.tpl).
CA, PUBLIC_CA = "/etc/tre/ca/postgresql/ca.pem", "/etc/ssl/certs/ca-certificates.crt"


def write(wanted: Installation, folder: Path) -> list[Path]:
    """Every file, readable by its owner alone. Raises `Conflict` where the folder holds something: a second set of
    passwords beside those that the servers know would only mislead.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty.", field="FOLDER", hint="Name a folder that is new.")
    made = {folder / name: text for name, text in files(wanted).items()}
    for path, text in made.items():
        write_secret(path, text)
    return list(made)


def files(wanted: Installation) -> dict[str, str]:
    """{file below the folder: text}, with passwords that were made for it."""
    if wanted.small:
        raise InvalidInput("The small profile makes its own servers.", field="small.enabled", hint="Leave it out.")
    state, data = (wanted.server(name, CA if wanted.at("postgresql.ca") else "") for name in ("state", "data"))
    passwords = {role: new_password() for role in (*databases.STATE_ROLES, *databases.DATA_ROLES)}
    verifiers = {role: scram_verifier(password) for role, password in passwords.items()}
    pgpass = {"state-tre_app": "tre_app", "state-tre_owner": "tre_owner", "data-tre_admin": "tre_admin"}
    return {
        **{f"{LOGINS}/{name}.pgpass": pgpass_line(role, passwords[role]) for name, role in pgpass.items()},
        f"{LOGINS}/hub-database.url": hub_url(state, passwords["tre_hub"]),
        "state.sql": script(databases.state_statements(verifiers)),
        "data.sql": script(databases.data_statements(verifiers), databases.data_template()),
        "state.hba": hba(state, databases.STATE_HBA),
        "data.hba": hba(data, databases.DATA_HBA),
    }


def hub_url(server: PostgresServer, password: str) -> str:
    """SQLAlchemy's, as the hub's pod reads it."""
    authority = server.sslrootcert or (PUBLIC_CA if server.sslmode.startswith("verify") else "")
    query = f"sslmode={server.sslmode}" + (f"&sslrootcert={authority}" if authority else "")
    return f"postgresql+psycopg://tre_hub:{password}@{server.host}:{server.port}/tre_hub?{query}"


def script(statements: Sequence[str], template: Sequence[str] = ()) -> str:
    """For psql, whole or not at all as far as PostgreSQL can: a database is made outside of any transaction.

    `template` is done in template1 first, so that every later database has it.
    """
    first = ["\\connect template1", *(f"{one};" for one in template), "\\connect postgres"] if template else []
    return "\n".join(["\\set ON_ERROR_STOP on", *first, *(f"{one};" for one in statements), ""])


def hba(server: PostgresServer, pairs: Sequence[tuple[str, str]]) -> str:
    """Lines of pg_hba.conf; who looks after the server may put the cluster's addresses in place of `all`."""
    kind = "host" if server.sslmode == "disable" else "hostssl"
    return "".join(f"{kind} {database} {role} all scram-sha-256\n" for database, role in pairs)
