"""Real servers, asked: what is wrong is named by its value, with what mends it."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.postgres import StateDatabase, StateDatabases
from tests.stack.examination.house import Authority, tls_before
from tre.credentials.files import pgpass_line, write_secret
from tre.errors import Conflict, InvalidInput, Unavailable
from tre.settings import OnCluster, PostgresServer, SecretsServer, Settings, conninfo
from tre.stack.examination import databases
from tre.stack.examination.certificates import Shown
from tre.stack.examination.databases import Proof, Seen, judge, judge_nodes, look
from tre.stack.examination.finding import Finding, Level, exit_code
from tre.stack.examination.logins import Login
from tre.stack.examination.servers import examine_databases
from tre.stack.ports import free_ports
from tre.store.migrate import migrate, revisions

APP, OWNER, ADMIN = "state-tre_app.pgpass", "state-tre_owner.pgpass", "data-tre_admin.pgpass"
HERE = PostgresServer("/socket")
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def as_app(database: StateDatabase) -> Login:
    return Login("postgresql.state", "tre_app", database.name, APP, HERE, database.app_conninfo)


def told(login: Login, *, revision: bool = True) -> list[tuple[str, str, str]]:
    """(level, value, what was found) of all that is not right."""
    found = judge(login, look(login, revision=revision), revisions())
    return [(one.level.value, one.value, one.found) for one in found if one.level is not Level.ok]


def test_a_migrated_database_is_right(migrated_db: StateDatabase):
    login = as_app(migrated_db)
    assert told(login) == []
    (schema,) = judge(login, look(login, revision=True), revisions())
    assert schema.found == f"The schema is at {revisions()[-1]}, that of this release."


def test_looking_writes_nothing(migrated_db: StateDatabase, data_server: Settings):
    """A session that may only read sees the same."""
    state, data = as_app(migrated_db), admin(data_server)
    for login in (state, data):
        bound = replace(login, conninfo=f"{login.conninfo} options='-c default_transaction_read_only=on'")
        usual, seen = (look(one, revision=login is state, nodes=login is state) for one in (login, bound))
        assert not seen.refused
        assert replace(seen, clock=None) == replace(usual, clock=None)


def test_an_empty_database_has_no_schema(state_db: StateDatabase):
    assert [one for one in told(as_app(state_db)) if "schema in" in one[2]] == [
        ("fail", "postgresql.state.host", f"There is no schema in the database {state_db.name} yet.")
    ]


@pytest.mark.parametrize("there", ["", revisions()[0], revisions()[-1]])
def test_an_installation_that_is_to_be_brings_the_schema(there: str):
    login = Login("postgresql.state", "tre_app", "tre", APP, HERE, "")
    (found,) = judge(login, Seen(version=18, revision=there), revisions(), coming=True)
    assert (found.level, revisions()[-1] in found.found) == (Level.ok, True)
    (newer,) = judge(login, Seen(version=18, revision="9999_later"), revisions(), coming=True)
    assert newer.level is Level.warning


@pytest.mark.parametrize("old", [revisions()[0], revisions()[-2]])
def test_an_old_schema_is_named(state_db: StateDatabase, old: str):
    migrate(state_db.owner, old)
    (found,) = told(as_app(state_db))
    assert found == ("fail", "postgresql.state.host", f"The schema is at {old}, this release wants {revisions()[-1]}.")
    (finding,) = judge(as_app(state_db), look(as_app(state_db), revision=True), revisions())
    assert finding.kind is Conflict
    assert "helm upgrade" in finding.remedy


def test_a_schema_that_shows_no_revision_is_old(migrated_db: StateDatabase):
    """As every release before this one left it."""
    with psycopg.connect(migrated_db.owner_conninfo) as owner:
        owner.execute("REVOKE SELECT ON alembic_version FROM tre_app")
    (found,) = told(as_app(migrated_db))
    assert found[0] == "fail"
    assert "older than" in found[2]


def test_a_newer_schema_is_one_of_a_rollback(migrated_db: StateDatabase):
    with psycopg.connect(migrated_db.owner_conninfo) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '9999'")
    assert [one[0] for one in told(as_app(migrated_db))] == ["warning"]


def test_a_table_that_may_not_be_read_is_a_failure(migrated_db: StateDatabase):
    with psycopg.connect(migrated_db.owner_conninfo) as owner:
        owner.execute("REVOKE SELECT ON person FROM tre_app")
    assert ("fail", "postgresql.logins", "tre_app may not read some of the tables.") in told(as_app(migrated_db))


def test_an_owner_that_may_make_no_tables_is_named(migrated_db: StateDatabase):
    """tre_app in the owner's place."""
    login = replace(as_app(migrated_db), secret=OWNER)
    assert told(login, revision=False) == [("fail", "postgresql.logins", "tre_app may make no tables.")]


def admin(settings: Settings) -> Login:
    text = settings.data_conninfo("tre_admin")
    return Login("postgresql.data", "tre_admin", "datasets", ADMIN, HERE, text)


def test_the_data_server_as_the_platform_makes_it_is_right(data_server: Settings):
    assert told(admin(data_server), revision=False) == []


@pytest.fixture
def lesser(data_server: Settings) -> Iterator[Login]:
    """A role that may log in to `datasets` and nothing else."""
    with psycopg.connect(data_server.data_conninfo("tre_admin"), autocommit=True) as db:
        db.execute("CREATE ROLE m_lesser LOGIN PASSWORD 'lesser'")
        db.execute("CREATE DATABASE p_lesser")
        db.execute("GRANT CONNECT ON DATABASE p_lesser TO m_lesser")
    passfile = data_server.secret_file("data-m_lesser.pgpass")
    write_secret(passfile, pgpass_line("m_lesser", "lesser"))
    text = data_server.data_conninfo("m_lesser", "p_lesser")
    yield Login("postgresql.data", "m_lesser", "p_lesser", ADMIN, HERE, text)
    with psycopg.connect(data_server.data_conninfo("tre_admin"), autocommit=True) as db:
        db.execute("DROP DATABASE p_lesser WITH (FORCE)")
        db.execute("DROP ROLE m_lesser")


def test_every_right_that_is_lacking_is_named_with_the_statement_that_gives_it(lesser: Login):
    found = judge(lesser, look(lesser))
    assert [one.remedy for one in found if one.level is Level.fail] == [
        "ALTER ROLE m_lesser CREATEDB",
        "ALTER ROLE m_lesser CREATEROLE",
        "GRANT pg_signal_backend TO m_lesser",
        "GRANT pg_read_all_stats TO m_lesser",
        "GRANT pg_use_reserved_connections TO m_lesser WITH ADMIN OPTION",
    ]
    # A new database lets everybody connect.
    assert [one.found for one in found if one.level is Level.warning] == [
        "Everybody who may log in may connect to some database there."
    ]


def refused(login: Login) -> Finding:
    (found,) = judge(login, look(login))
    assert found.level is Level.fail
    return found


def test_a_wrong_password_is_named_and_never_shown(migrated_db: StateDatabase, tmp_path: Path):
    passfile = tmp_path / "p"
    write_secret(passfile, pgpass_line("tre_app", "a-wrong-password"))
    text = conninfo(PostgresServer(dict_of(migrated_db)["host"]), passfile, "tre_app", migrated_db.name)
    found = refused(replace(as_app(migrated_db), conninfo=text))
    assert (found.value, found.kind) == ("postgresql.logins", InvalidInput)
    assert APP in found.remedy
    assert "a-wrong-password" not in repr(found)
    assert "a-wrong-password" not in found.line


def dict_of(database: StateDatabase) -> dict[str, str]:
    return {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(database.app_conninfo).items()}


def test_a_database_that_is_not_there_is_named(state_databases: StateDatabases):
    text = state_databases.settings.state_conninfo("tre_app", "nowhere")
    found = refused(Login("postgresql.state", "tre_app", "nowhere", APP, HERE, text))
    assert "does not exist" in found.found
    assert found.value == "postgresql.state.host"


def test_nobody_there_is_unavailable(tmp_path: Path):
    server = PostgresServer("127.0.0.1", free_ports(1), "disable")
    login = Login("postgresql.state", "tre_app", "tre", APP, server, conninfo(server, tmp_path / "p", "tre_app", "tre"))
    found = refused(login)
    assert (found.value, found.kind, exit_code([found])) == ("postgresql.state.host", Unavailable, 75)
    assert "cidr" in found.remedy


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def behind_tls(database: StateDatabase, port: int, ca: Path | str, settings: Settings) -> Login:
    server = PostgresServer("localhost", port, "verify-full", str(ca))
    text = conninfo(server, settings.secret_file(APP), "tre_app", database.name)
    return Login("postgresql.state", "tre_app", database.name, APP, server, text)


def socket_of(database: StateDatabase) -> Path:
    return Path(dict_of(database)["host"]) / ".s.PGSQL.5432"


@pytest.mark.parametrize(
    ("since", "until", "level", "words"),
    [
        (-10, 90.5, "ok", "for 90 more days"),
        (-10, 12.5, "warning", "for 12 more days"),
        (-400, -3.5, "fail", "expired 3 days ago"),
        (2, 90, "fail", "holds only from"),
    ],
)
def test_how_long_a_certificate_holds(
    migrated_db: StateDatabase,
    settings: Settings,
    authority: Authority,
    since: float,
    until: float,
    level: str,
    words: str,
):
    """Real certificates, shown before the real server: libpq judges them as well."""
    with tls_before(socket_of(migrated_db), authority.pair("localhost", since=since, until=until)) as port:
        login = behind_tls(migrated_db, port, authority.ca, settings)
        shown = databases.look_at_certificate(login.server)
        (found,) = databases.judge_certificate(login.value, login.server, shown, datetime.datetime.now(datetime.UTC))
        seen = look(login)
    assert (found.level.value, found.value) == (level, "postgresql.state.host")
    assert words in found.found
    assert bool(seen.refused) == (level == "fail")


def test_what_an_expired_certificate_explains_is_not_said_again(
    migrated_db: StateDatabase, settings: Settings, authority: Authority
):
    with tls_before(socket_of(migrated_db), authority.pair("localhost", until=-3.5)) as port:
        login = behind_tls(migrated_db, port, authority.ca, settings)
        here = Settings(settings.state, settings.run, cluster=OnCluster(login.server, login.server, SecretsServer("x")))
        found = examine_databases(here, [login], datetime.datetime.now(datetime.UTC), canary=False)
    assert [(one.level, one.value) for one in found] == [(Level.fail, "postgresql.state.host")]
    assert "expired" in found[0].found


@pytest.mark.parametrize(
    ("name", "own", "value", "words"),
    [
        ("db.example", True, "postgresql.state.host", "of another name: db.example"),
        ("localhost", False, "postgresql.ca", "not believed"),
    ],
)
def test_a_certificate_that_is_not_believed(
    migrated_db: StateDatabase, settings: Settings, tmp_path: Path, name: str, own: bool, value: str, words: str
):
    (tmp_path / "other").mkdir()
    ours, theirs = Authority(tmp_path), Authority(tmp_path / "other")
    with tls_before(socket_of(migrated_db), theirs.pair(name)) as port:
        login = behind_tls(migrated_db, port, theirs.ca if own else ours.ca, settings)
        shown = databases.look_at_certificate(login.server)
        (found,) = databases.judge_certificate(login.value, login.server, shown, datetime.datetime.now(datetime.UTC))
        assert look(login).refused
    assert (found.level, found.value) == (Level.fail, value)
    assert words in found.found


def test_an_authority_that_is_no_file_is_named(migrated_db: StateDatabase, settings: Settings, tmp_path: Path):
    with tls_before(socket_of(migrated_db), Authority(tmp_path).pair("localhost")) as port:
        login = behind_tls(migrated_db, port, tmp_path / "none.pem", settings)
        shown = databases.look_at_certificate(login.server)
        (found,) = databases.judge_certificate(login.value, login.server, shown, NOW)
        assert refused(login).value == "postgresql.ca"
    assert (found.value, found.level) == ("postgresql.ca", Level.fail)
    assert "cannot be read" in found.found


def test_a_server_without_tls_is_named(migrated_db: StateDatabase):
    server = PostgresServer("db.example", 5432, "verify-full")
    seen = Seen(refused="connection failed: server does not support SSL, but SSL was required")
    (found,) = judge(Login("postgresql.data", "tre_admin", "datasets", ADMIN, server, ""), seen)
    assert (found.value, found.remedy) == ("postgresql.data.sslmode", "Switch TLS on at the server.")


def test_an_old_server_is_asked_nothing_that_it_does_not_know(
    migrated_db: StateDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(databases, "LEAST_VERSION", 99)
    seen = look(as_app(migrated_db), revision=True, nodes=True)
    assert (seen.version, seen.revision, seen.unlike, seen.nodes) == (18, None, (), None)


def test_an_old_server_and_a_foreign_encoding_are_refused():
    login = Login("postgresql.state", "tre_app", "tre", APP, PostgresServer("db.example"), "")
    found = judge(login, Seen(version=15, encoding="SQL_ASCII"))
    assert [one.found for one in found] == ["db.example is PostgreSQL 15.", "The database tre holds SQL_ASCII."]


@pytest.mark.parametrize(("mode", "doubts"), [("verify-full", 0), ("verify-ca", 0), ("require", 1), ("disable", 1)])
def test_a_wire_that_is_not_verified_is_doubtful(mode: str, doubts: int):
    found = databases.judge_mode("postgresql.state", PostgresServer("db.example", sslmode=mode))
    assert [one.value for one in found] == ["postgresql.state.sslmode"] * doubts


def test_a_mode_that_believes_everybody_only_minds_the_days():
    server = PostgresServer("db.example", sslmode="require")
    assert databases.judge_certificate("postgresql.state", server, Shown(refused="x"), NOW)[0].level is Level.warning


def test_the_canarys_word():
    def proof(node: str, proven: bool, minutes: float, reason: str = "") -> Proof:
        return Proof(node, proven, reason, NOW - datetime.timedelta(minutes=minutes))

    def word(*proofs: Proof) -> tuple[str, str]:
        found = judge_nodes(proofs, 25 * 60, NOW)
        return found.level.value, found.found

    assert word() == ("warning", "Nothing was shown yet of any node; until then no workspace starts.")
    assert word(proof("a", True, 1), proof("b", True, 2)) == ("ok", "Shown by the canary on 2 nodes.")
    assert word(proof("a", True, 30)) == ("warning", "Not shown lately: a.")
    assert word(proof("a", True, 1), proof("b", False, 1, "it reached the kubelet.")) == (
        "fail",
        "Node b: it reached the kubelet.",
    )
