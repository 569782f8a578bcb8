"""Leases as a workspace's researcher attacks them: reading elsewhere, staying longer, hindering the revocation."""

import datetime
import threading
import time

import hvac
import psycopg
import pytest

from tests.credentials.conftest import login
from tre.credentials import Secrets, policies, projects
from tre.credentials.client import connect
from tre.errors import InvalidInput, NotFound
from tre.settings import Settings


def sessions_of(settings: Settings, username: str) -> int:
    with psycopg.connect(settings.data_conninfo("tre_admin")) as db:
        row = db.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [username]).fetchone()
        return row[0]


def has_role(settings: Settings, username: str) -> bool:
    with psycopg.connect(settings.data_conninfo("tre_admin")) as db:
        return db.execute("SELECT FROM pg_roles WHERE rolname = %s", [username]).fetchone() is not None


def test_a_lease_reads_its_project(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-1", ttl=600)
    with login(data_server, lease) as db:
        assert db.execute("SELECT sum(value) FROM people").fetchone() == (60,)
    left = lease.expires - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(seconds=500) < left <= datetime.timedelta(seconds=600)
    with psycopg.connect(data_server.data_conninfo("tre_admin")) as db:
        (until,) = db.execute("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", [lease.username]).fetchone()
    assert abs(until - lease.expires) < datetime.timedelta(seconds=10)
    secrets.revoke(lease.id)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO people VALUES (4, 40)",
        "UPDATE people SET value = 0",
        "DELETE FROM people",
        "TRUNCATE people",
        "DROP TABLE people",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE EXTENSION hstore",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "COPY people TO '/tmp/out'",
        "COPY people TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_xact_lock_shared(1, 2)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE tre_admin",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER SYSTEM SET listen_addresses = '*'",
        "SELECT pg_reload_conf()",
    ],
)
def test_a_lease_does_nothing_but_read(secrets: Secrets, project: str, data_server: Settings, statement: str):
    lease = secrets.lease(project, "w-refused")
    try:
        with login(data_server, lease) as db, pytest.raises(psycopg.Error) as refused:
            db.execute(statement)
        assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege)
    finally:
        secrets.revoke(lease.id)


def test_a_lease_cannot_become_group_manager_or_another(secrets: Secrets, project: str, data_server: Settings):
    names, lease = secrets.project_database(project), secrets.lease(project, "w-2")
    with login(data_server, lease) as db:
        for role in (names.group, names.manager, "postgres", "pg_read_all_data"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(f"SET ROLE {role}")
            with pytest.raises(psycopg.Error):
                db.execute(f"GRANT {role} TO {lease.username}")
        with pytest.raises(psycopg.Error):
            db.execute(f"ALTER ROLE {lease.username} VALID UNTIL 'infinity'")
    secrets.revoke(lease.id)


def test_another_projects_database_is_closed(secrets: Secrets, project: str, data_server: Settings):
    other = secrets.project_prepare("beta")
    lease = secrets.lease(project, "w-3")
    for database in (other.database, "datasets", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError):
            login(data_server, lease, database)
    secrets.revoke(lease.id)


def test_names_on_the_server_tell_nothing(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-of-alice")
    with login(data_server, lease) as db:
        seen = db.execute(
            "SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database UNION ALL SELECT application_name"
            " FROM pg_stat_activity UNION ALL SELECT setting FROM pg_db_role_setting, unnest(setconfig) AS setting"
        ).fetchall()
    text = " ".join(name for (name,) in seen if name)
    assert lease.username in text
    assert not any(word in text for word in ("alpha", "beta", "alice"))
    secrets.revoke(lease.id)


def test_revoking_ends_an_open_session_and_the_role(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-4")
    db = login(data_server, lease)
    began = time.monotonic()
    secrets.revoke(lease.id)
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")
    assert time.monotonic() - began < 5
    assert not has_role(data_server, lease.username)
    with pytest.raises(psycopg.OperationalError):
        login(data_server, lease)
    secrets.revoke(lease.id)  # twice is no error
    with pytest.raises(NotFound, match="has ended"):
        secrets.renew(lease.id)


def test_a_bare_accessor_is_enough_to_revoke(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-accessor")
    (held,) = [found for found in secrets.list_leases() if found.workspace == "w-accessor"]
    assert held.project == project
    assert lease.id.startswith(held.id)
    db = login(data_server, lease)
    secrets.revoke(held.id)
    until = time.monotonic() + 5
    while has_role(data_server, lease.username) and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")


def test_reconnecting_in_a_loop_does_not_outlive_the_revocation(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-loop")
    leave, opened = threading.Event(), []

    def reconnect() -> None:
        while not leave.is_set():
            try:
                opened.append(login(data_server, lease))
            except psycopg.OperationalError:
                time.sleep(0.001)

    threads = [threading.Thread(target=reconnect) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    secrets.revoke(lease.id)
    time.sleep(0.3)
    leave.set()
    for thread in threads:
        thread.join()
    assert opened
    for db in opened:
        with pytest.raises(psycopg.OperationalError):
            db.execute("SELECT 1")
    assert secrets.end_orphaned_sessions() == 0


def test_owning_something_does_not_hinder_the_revocation(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-owner")
    with login(data_server, lease) as db:
        db.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
        db.execute(f"ALTER ROLE {lease.username} SET work_mem = '1MB'")
        db.execute(f"ALTER ROLE {lease.username} PASSWORD 'my own'")
    secrets.revoke(lease.id)
    assert not has_role(data_server, lease.username)


def test_sleeping_in_a_transaction_does_not_hinder_the_revocation(
    secrets: Secrets, project: str, data_server: Settings
):
    lease = secrets.lease(project, "w-asleep")
    db = login(data_server, lease)

    def sleep() -> None:
        with pytest.raises(psycopg.Error):
            db.execute("SELECT pg_sleep(60)")

    asleep = threading.Thread(target=sleep)
    asleep.start()
    time.sleep(0.2)
    secrets.revoke(lease.id)
    asleep.join(5)
    assert not asleep.is_alive()
    assert sessions_of(data_server, lease.username) == 0


def test_two_leases_of_a_project_live_apart(secrets: Secrets, project: str, data_server: Settings):
    one, two = secrets.lease(project, "w-5"), secrets.lease(project, "w-6")
    db = login(data_server, two)
    secrets.revoke(one.id)
    assert db.execute("SELECT count(*) FROM people").fetchone() == (3,)
    assert secrets.renew(two.id, ttl=1200) > datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1000)
    secrets.revoke(two.id)


def test_a_lease_ends_by_itself(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-short", ttl=1, longest=1)
    db = login(data_server, lease)
    until = time.monotonic() + 8
    while has_role(data_server, lease.username) and time.monotonic() < until:
        time.sleep(0.1)
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")


def test_a_failed_lease_leaves_nothing(secrets: Secrets, project: str):
    before = {held.id for held in secrets.list_leases()}
    with pytest.raises(NotFound, match="has no database"):
        secrets.lease("unknown", "w-7")
    with pytest.raises(InvalidInput, match="not possible"):
        secrets.lease(project, "w-7", ttl=10, longest=5)
    ghost = {"database": "p_ghost", "group": "g_ghost", "manager": "m_ghost"}
    secrets.kv_put("databases/ghost", {**ghost, "server": projects.where(secrets.settings.data_server)})
    with pytest.raises(InvalidInput):
        secrets.lease("ghost", "w-7")
    assert {held.id for held in secrets.list_leases()} == before


def test_a_lease_does_not_print_its_password(secrets: Secrets, project: str):
    lease = secrets.lease(project, "w-8")
    assert lease.password not in repr(lease) + str(lease) + lease.id
    secrets.revoke(lease.id)


def test_preparing_again_keeps_names_and_leases(secrets: Secrets, project: str, data_server: Settings):
    lease = secrets.lease(project, "w-9")
    assert secrets.project_prepare(project) == secrets.project_database(project)
    with login(data_server, lease) as db:
        assert db.execute("SELECT count(*) FROM people").fetchone() == (3,)
    secrets.revoke(lease.id)
    assert not has_role(data_server, lease.username)


def test_a_project_prepared_half_is_finished_by_its_first_lease(secrets: Secrets, data_server: Settings):
    names = {"database": "p_half", "group": "g_half", "manager": "m_half"}
    secrets.kv_put("databases/half", names)
    lease = secrets.lease("half", "w-half")
    with login(data_server, lease) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
    secrets.project_remove("half")


def test_removing_a_project_leaves_no_role_and_no_database(secrets: Secrets, data_server: Settings):
    names = secrets.project_prepare("gamma")
    lease = secrets.lease("gamma", "w-10")
    db = login(data_server, lease)
    secrets.project_remove("gamma")
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")
    for role in (names.group, names.manager, lease.username):
        assert not has_role(data_server, role)
    with pytest.raises(NotFound):
        secrets.project_database("gamma")
    secrets.project_remove("gamma")


def test_the_token_of_one_projects_lease_fetches_no_other_ones_login(secrets: Secrets, project: str):
    """The one place where a login's token is in somebody's hands: ours, for a moment."""
    own, other = secrets.project_prepare(project), secrets.project_prepare("omega")
    body = {"policies": [policies.LEASE_POLICY], "ttl": "60s", "no_default_policy": True}
    create = f"auth/token/create/{policies.TOKEN_ROLE}"
    token = secrets.server.post("test", create, body | {"entity_alias": own.database})["auth"]["client_token"]
    client = connect(secrets.settings.openbao_socket, token)
    lease = client.secrets.database.generate_credentials(own.database)["lease_id"]
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.database.generate_credentials(other.database)
    secrets.server.post("test", "sys/leases/revoke", {"lease_id": lease, "sync": True})
    nameless = secrets.server.post("test", create, body)["auth"]["client_token"]
    with pytest.raises(hvac.exceptions.Forbidden):
        connect(secrets.settings.openbao_socket, nameless).secrets.database.generate_credentials(own.database)
    with pytest.raises(InvalidInput):
        secrets.server.post("test", create, body | {"entity_alias": "control-plane"})
