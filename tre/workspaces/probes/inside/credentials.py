"""Attempts with tokens and logins: the intake and the project's database."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import socket
from typing import Any
from urllib.parse import urlsplit

from tre.workspaces.probes.inside.attempt import Given, attempt

INTAKE, DATABASE = "intake tokens", "database roles"
REFUSED = (401, 403)
#: On a cluster the intake is at an address, and whoever tries is of no workspace: a sound token finds nothing there.
ADDRESS = os.environ.get("TRE_INTAKE", "")
SOUND = 404 if ADDRESS else 200


def _connection() -> http.client.HTTPConnection:
    if ADDRESS:
        url = urlsplit(ADDRESS)
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    connection = http.client.HTTPConnection("intake")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(5)
    connection.sock.connect("/run/tre/intake.sock")
    return connection


def _status(token: str | None) -> int:
    """The intake's answer to the cheapest request with this token. Its silence is no refusal."""
    try:
        with contextlib.closing(_connection()) as connection:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", "/requests", headers=headers)
            return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(f"the intake does not answer ({type(error).__name__})") from error


def _own_token() -> str:
    """The token in this place, which must be good: else no refusal of another would prove anything."""
    with open("/run/tre/intake.token") as stream:
        token = stream.read().strip()
    if (status := _status(token)) != SOUND:
        raise RuntimeError(f"its own token is answered with {status}")
    return token


def _with_token(token: str | None) -> str | None:
    _own_token()
    status = _status(token)
    if status in REFUSED:
        return None
    if status in (200, SOUND):
        return "the intake answered"
    raise RuntimeError(f"the intake answered with {status}")


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _forged(header: dict[str, Any], sign: Any) -> str:
    """This workspace's own claims under another header and signature."""
    _, claims, _ = _own_token().split(".")
    text = f"{_encoded(json.dumps(header).encode())}.{claims}"
    return f"{text}.{_encoded(sign(text.encode()))}"


@attempt(INTAKE, "use the intake without a token", "intake")
def no_token(given: Given) -> str | None:
    return _with_token(None)


@attempt(INTAKE, "use another workspace's token", "other_token")
def token_of_another_workspace(given: Given) -> str | None:
    return _with_token(given["other_token"])


@attempt(INTAKE, "use an expired token", "expired_token")
def expired_token(given: Given) -> str | None:
    return _with_token(given["expired_token"])


@attempt(INTAKE, "use a token that says it needs no signature (alg: none)", "intake")
def unsigned_token(given: Given) -> str | None:
    for name in ("none", "None", "NONE"):
        if reached := _with_token(_forged({"alg": name, "typ": "JWT"}, lambda text: b"")):
            return reached
    return None


@attempt(INTAKE, "use a token signed with the public key as if it were a shared secret", "public_key")
def public_key_as_secret(given: Given) -> str | None:
    for key in (given["public_key"].encode(), given["public_key"].strip().encode()):
        header = {"alg": "HS256", "typ": "JWT"}
        token = _forged(header, lambda text, key=key: hmac.new(key, text, hashlib.sha256).digest())
        if reached := _with_token(token):
            return reached
    return None


@attempt(INTAKE, "use a token whose claims were changed after signing", "intake")
def changed_claims(given: Given) -> str | None:
    head, claims, signature = _own_token().split(".")
    body = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    body["sub"] = body["jti"] = "another"
    return _with_token(f"{head}.{_encoded(json.dumps(body).encode())}.{signature}")


def _connect(**options: Any) -> Any:
    import psycopg

    return psycopg.connect("service=project", connect_timeout=5, autocommit=True, **options)


def _refused(statement: str) -> str | None:
    """A statement that must fail for lack of a right or of the extension; any other failure proves nothing."""
    import psycopg

    errors = psycopg.errors
    with _connect() as connection:
        try:
            connection.execute(statement)
        except (errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported):
            return None
        except psycopg.Error as error:
            raise RuntimeError(f"{statement}: {error}") from error
    return statement


@attempt(DATABASE, "connect to any other database of the server: other projects, templates, maintenance", "database")
def other_databases(given: Given) -> str | None:
    import psycopg

    with _connect() as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname <> current_database()").fetchall()
    reached = []
    for (name,) in rows:
        with contextlib.suppress(psycopg.Error):
            _connect(dbname=name).close()
            reached.append(name)
    return f"{reached}" if reached else None


@attempt(DATABASE, "sign in as the database's own superuser", "database")
def database_superuser(given: Given) -> str | None:
    import psycopg

    with _connect() as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
    for name in {"postgres", *(row[0] for row in rows)}:
        for password in ("", "postgres", name):
            with contextlib.suppress(psycopg.Error):
                _connect(user=name, password=password).close()
                return f"signed in as {name}"
    return None


@attempt(DATABASE, "hold rights of an administrator, or take another role", "database")
def database_rights(given: Given) -> str | None:
    import psycopg

    rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    with _connect() as connection:
        if connection.execute(f"SELECT 1 FROM pg_roles WHERE rolname = current_user AND ({rights})").fetchone():  # noqa: S608
            return "the login has rights of an administrator"
        for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname <> current_user").fetchall():
            with contextlib.suppress(psycopg.Error):
                if connection.execute(f"SELECT rolsuper OR rolcanlogin FROM pg_roles WHERE rolname = '{name}'"):  # noqa: S608
                    connection.execute(f'SET ROLE "{name}"')
                    connection.execute("RESET ROLE")
                    if name not in given["own_roles"]:
                        return f"took the role {name}"
    return None


@attempt(DATABASE, "read files of the database's server", "database")
def database_files(given: Given) -> str | None:
    return _refused("SELECT pg_read_file('/etc/passwd')") or _refused("SELECT pg_ls_dir('.')")


@attempt(DATABASE, "run programs on the database's server", "database")
def database_programs(given: Given) -> str | None:
    return _refused("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'") or _refused("CREATE EXTENSION plpython3u")


@attempt(DATABASE, "fill the table of locks, which is one for all projects: nobody else could log in", "database")
def database_locks(given: Given) -> str | None:
    return _refused("SELECT pg_advisory_lock(1)") or _refused("SELECT pg_try_advisory_xact_lock_shared(1, 1)")


@attempt(DATABASE, "fill the server's disk with large objects or a table of its own", "database")
def database_disk(given: Given) -> str | None:
    return _refused("SELECT lo_from_bytea(0, 'x')") or _refused("CREATE TEMPORARY TABLE probe (x int)")


@attempt(DATABASE, "reach from the database's server into the network", "database")
def database_network(given: Given) -> str | None:
    return _refused("CREATE EXTENSION dblink") or _refused("CREATE EXTENSION postgres_fdw")
