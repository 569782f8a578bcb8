"""The two PostgreSQL servers as an attacker meets them, and their configuration as whole objects."""

import contextlib
import dataclasses
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.postgres import StateDatabase
from tre.credentials.files import scram_verifier
from tre.errors import Broken
from tre.settings import Settings
from tre.stack import databases, postgres
from tre.stack.postgres import Server

SERVER = Server("pg", Path("/s/pg"), Path("/r/pg"), (("tre", "tre_app"),))


def test_hba_refuses_the_superuser_first_and_everyone_else_last():
    assert postgres.hba_text(SERVER) == (
        "local all postgres reject\nlocal tre tre_app scram-sha-256\nlocal all all reject\n"
    )


def test_configuration_listens_on_the_socket_only_and_keeps_statements_out_of_the_log():
    assert postgres.configuration(SERVER) == {
        "listen_addresses": "",
        "unix_socket_directories": "/r/pg",
        "unix_socket_permissions": "0700",
        "port": "5432",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "reserved_connections": "8",
        "superuser_reserved_connections": "1",
        "shared_buffers": "64MB",
        "io_method": "sync",
        "max_worker_processes": "4",
        "temp_file_limit": "2GB",
        "max_notify_queue_pages": "64",
        "max_logical_replication_workers": "0",
        "max_wal_senders": "0",
        "wal_level": "minimal",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "autovacuum": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_min_messages": "warning",
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_min_duration_statement": "-1",
        "log_parameter_max_length": "0",
        "log_error_verbosity": "terse",
        "shared_preload_libraries": "",
        "local_preload_libraries": "",
    }


def test_initdb_asks_for_scram_and_takes_the_password_from_a_file():
    argv = postgres.initdb_argv(Path("/s/pg"), Path("/s/pw"))
    assert argv[1:] == [
        "-D",
        "/s/pg",
        "--no-instructions",
        "--no-sync",
        "--username=postgres",
        "--auth=scram-sha-256",
        "--pwfile=/s/pw",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]


@pytest.mark.parametrize("password", ["", "password=guess"])
@pytest.mark.parametrize("role", ["postgres", "tre", "tre_app", "tre_admin", "tre_owner"])
def test_nobody_logs_in_without_the_password(state_db: StateDatabase, data_db: str, role: str, password: str):
    for conninfo in (state_db.app_conninfo, data_db):
        sockets = conninfo.split()[0]
        for database in ("postgres", "template1", "tre", "datasets", state_db.name):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(f"{sockets} user={role} dbname={database} passfile=/dev/null {password}")


def test_superuser_cannot_log_in_even_with_a_password_set(data_db: str):
    with psycopg.connect(data_db) as db:
        found = db.execute("SELECT rolcanlogin FROM pg_roles WHERE rolsuper").fetchall()
    assert found == [(False,)]


def test_servers_have_no_network_socket(data_server: Settings):
    pid = int((data_server.servers / "postgres-data" / "postmaster.pid").read_text().splitlines()[0])
    inodes = {
        link.readlink().name.removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        assert not inodes & {row.split()[9] for row in rows}


def test_roles_keep_to_their_own_database(data_server: Settings, state_db: StateDatabase):
    settings = data_server
    for conninfo in (
        settings.state_conninfo("tre_hub", state_db.name),
        settings.state_conninfo("tre_app", "tre_hub"),
        settings.data_conninfo("tre_admin", "template1"),
    ):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(conninfo)


def test_app_makes_no_tables_and_no_temporary_ones(state_db: StateDatabase):
    with psycopg.connect(state_db.app_conninfo, autocommit=True) as db:
        for statement in ("CREATE TABLE t (x int)", "CREATE TEMP TABLE t (x int)", "CREATE SCHEMA s"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)


def test_a_failing_statement_does_not_reach_the_log(data_server: Settings, data_db: str):
    with psycopg.connect(data_db, autocommit=True) as db, pytest.raises(psycopg.Error):
        db.execute("CREATE ROLE tre_admin PASSWORD 'do-not-log-me'")
    assert "do-not-log-me" not in (data_server.logs / "postgres-data.log").read_text()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'person-4711'::int",
        "DO $$ BEGIN RAISE LOG 'person-4711'; END $$",
        "DO $$ BEGIN RAISE WARNING 'person-4711'; END $$",
        'SET debug_print_parse = on; SELECT 1 AS "person-4711"',
    ],
)
def test_what_strangers_make_the_data_server_say_does_not_reach_the_log(
    data_server: Settings, data_db: str, statement: str
):
    with psycopg.connect(data_db, autocommit=True) as db, contextlib.suppress(psycopg.errors.DataError):
        db.execute(statement)
    assert "person-4711" not in (data_server.logs / "postgres-data.log").read_text()


def test_password_files_are_private_and_connection_strings_hold_no_password(data_server: Settings):
    for role in databases.DATA_ROLES:
        path = data_server.secret_file(f"data-{role}.pgpass")
        password = path.read_text().strip().rsplit(":", 1)[1]
        assert path.stat().st_mode & 0o777 == 0o600
        assert password not in data_server.data_conninfo(role) + data_server.data_url(role)


def test_first_run_broken_off_is_done_again_whole(fresh_settings: Settings):
    server = databases.data_server(fresh_settings)
    with pytest.raises(Broken, match="could not be prepared"):
        postgres.initialise(server, ["CREATE ROLE a", "CREATE ROLE a"])
    assert not server.data.exists()
    databases.initialise_data(fresh_settings)
    assert (server.data / "PG_VERSION").exists()
    before = fresh_settings.secret_file("data-tre_admin.pgpass").read_text()
    databases.initialise_data(fresh_settings)
    assert fresh_settings.secret_file("data-tre_admin.pgpass").read_text() == before


def test_a_changed_configuration_does_not_survive_a_start(fresh_settings: Settings):
    server = dataclasses.replace(databases.data_server(fresh_settings), durable=False)
    databases.initialise_data(fresh_settings)
    (server.data / "pg_hba.conf").write_text("local all all trust\n")
    (server.data / "postgresql.auto.conf").write_text("listen_addresses = '*'\n")
    postgres.write_configuration(server)
    assert (server.data / "pg_hba.conf").read_text() == postgres.hba_text(server)
    assert (server.data / "postgresql.auto.conf").read_text() == ""


def test_scram_verifier_is_the_one_of_the_standard():
    # The salt of RFC 7677's example; the stored form is PostgreSQL's.
    import base64

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram_verifier("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
