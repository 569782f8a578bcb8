"""The probes of tokens and logins: refused by the real rules, red as soon as one of them is loosened.

The intake here is a few lines around the door's own token rules; the database is the platform's own data server.
"""

import http.server
import secrets
import shutil
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fixtures.folders import new_settings
from tests.fixtures.postgres import running
from tests.workspaces.conftest import (
    ENVIRONMENT,
    QUICK_SERVER,
    make_plan,
    new_folder,
    processes_with,
    stop_all,
)
from tre.door import tokens
from tre.errors import Unauthenticated, Unavailable
from tre.settings import Settings
from tre.stack import databases, postgres
from tre.workspaces.probes import targets
from tre.workspaces.probes.report import Result, Subject, Surroundings
from tre.workspaces.probes.verify import ATTEMPTS, one_way
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime

TOKENS = [one.name for one in ATTEMPTS.values() if one.wall == "intake tokens"]
DATABASE = [one.name for one in ATTEMPTS.values() if one.wall == "database roles"]
Judge = Callable[[str, str], bool]


class Intake(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers GET /requests with 200 where `judge(workspace, token)` says so, else with 401."""

    daemon_threads = True

    def __init__(self, path: Path, workspace: str, judge: Judge) -> None:
        outer = self
        self.judge = judge

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self.send_response(200 if outer.judge(workspace, token) else 401)
                self.end_headers()

            def address_string(self) -> str:
                return "workspace"

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@dataclass
class Neighbours:
    runtime: SandboxRuntime
    one: Subject
    two: Subject
    intakes: list[Intake]
    surroundings: Surroundings
    admin: psycopg.Connection[Any]
    login: str
    other: str

    def results(self, names: list[str]) -> dict[str, Result]:
        with targets.opened() as aimed:
            found = one_way(self.runtime, self.one, self.two, self.surroundings, aimed, names=names)
        return {result.name: result for result in found}


def strict(key: Ed25519PrivateKey) -> Judge:
    def judge(workspace: str, token: str) -> bool:
        try:
            tokens.verify(token, (key.public_key(),), workspace_id=workspace, now=datetime.now(UTC))
        except Unauthenticated:
            return False
        return True

    return judge


def lax(workspace: str, token: str) -> bool:
    return True


def database(admin: psycopg.Connection[Any], name: str) -> tuple[str, str]:
    """A project's database with a login, as the platform makes them; (login, service file)."""
    password = secrets.token_hex(16)
    admin.execute(f"CREATE DATABASE p_{name}")
    admin.execute(f"REVOKE ALL ON DATABASE p_{name} FROM PUBLIC")
    admin.execute(f"CREATE ROLE w_{name} LOGIN PASSWORD '{password}'")
    admin.execute(f"GRANT CONNECT ON DATABASE p_{name} TO w_{name}")
    lines = {"host": "/run/tre/postgresql", "dbname": f"p_{name}", "user": f"w_{name}", "password": password}
    return f"w_{name}", "[project]\n" + "".join(f"{key}={value}\n" for key, value in lines.items())


@pytest.fixture(scope="module")
def loosenable() -> Iterator[Settings]:
    """The platform's own data server, but its administrator is a superuser here, who can take each rule back."""
    settings = new_settings()
    verifiers = databases.new_passwords(settings, "data", databases.DATA_ROLES)
    server = replace(databases.data_server(settings), durable=False)
    statements = [*databases.data_statements(verifiers), "ALTER ROLE tre_admin SUPERUSER"]
    postgres.initialise(server, statements, databases.data_template())
    with running(settings, server):
        yield settings
    shutil.rmtree(settings.state.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def neighbours(loosenable: Settings) -> Iterator[Neighbours]:
    folder, key = new_folder(), Ed25519PrivateKey.generate()
    shutil.copytree(REPOSITORY / "images" / "workspace", folder / "image")
    (folder / "image" / "start" / "serve.py").write_text(QUICK_SERVER)
    runtime = SandboxRuntime(folder / "run", ENVIRONMENT, image=folder / "image")
    admin = psycopg.connect(loosenable.data_conninfo("tre_admin"), autocommit=True)
    now, subjects, intakes, logins = datetime.now(UTC), [], [], []
    for name in ("one", "two"):
        login, service = database(admin, f"{name}{secrets.token_hex(4)}")
        token = tokens.make(key.sign, workspace_id=name, now=now, life=timedelta(hours=1))
        held = {"intake.token": token, "pg_service.conf": service}
        plan = replace(make_plan(folder, name), secrets=held, postgres_socket_dir=str(loosenable.data_database))
        intakes.append(Intake(Path(plan.intake_socket), name, strict(key)))
        expired = tokens.make(key.sign, workspace_id=name, now=now - timedelta(days=2), life=timedelta(hours=1))
        subject = Subject.of(runtime.start(plan), plan)
        subjects.append(replace(subject, intake=True, database=True, expired_token=expired))
        logins.append(login)
    surroundings = Surroundings(
        public_key=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )
    yield Neighbours(runtime, *subjects, intakes, surroundings, admin, logins[0], logins[1].replace("w_", "p_"))
    stop_all(runtime)
    for intake in intakes:
        intake.shutdown()
        intake.server_close()
    admin.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_tokens_are_refused(neighbours: Neighbours) -> None:
    found = neighbours.results(TOKENS)
    assert set(found) == set(TOKENS)
    assert len(found) == 6
    assert {result.verdict for result in found.values()} == {"refused"}, found


def test_an_intake_that_does_not_look_is_seen(neighbours: Neighbours) -> None:
    whole = neighbours.intakes[0].judge
    neighbours.intakes[0].judge = lax
    try:
        found = neighbours.results(TOKENS)
    finally:
        neighbours.intakes[0].judge = whole
    assert {result.verdict for result in found.values()} == {"reached"}, found


def test_an_intake_that_is_away_proves_nothing(neighbours: Neighbours) -> None:
    whole = neighbours.intakes[0].judge
    neighbours.intakes[0].judge = lambda workspace, token: False
    try:
        found = neighbours.results(TOKENS)
    finally:
        neighbours.intakes[0].judge = whole
    assert {result.verdict for result in found.values()} == {"could_not_run"}, found


def test_an_intake_that_is_silent_proves_nothing(neighbours: Neighbours) -> None:
    whole = neighbours.intakes[0].judge
    neighbours.intakes[0].judge = lambda workspace, token: time.sleep(8) is None
    try:
        found = neighbours.results(["unsigned-token", "no-token"])
    finally:
        neighbours.intakes[0].judge = whole
    assert {result.verdict for result in found.values()} == {"could_not_run"}, found


def test_the_database_is_reached_and_gives_nothing_more(neighbours: Neighbours) -> None:
    done = neighbours.runtime.exec_in(
        neighbours.one.state,
        [
            "python",
            "-c",
            "import psycopg; print(psycopg.connect('service=project').execute('select 42').fetchone()[0])",
        ],
    )
    assert done.stdout.strip() == b"42", done.stderr
    found = neighbours.results(DATABASE)
    assert set(found) == set(DATABASE)
    assert {result.verdict for result in found.values()} == {"refused"}, found


CONNECT = "GRANT CONNECT ON DATABASE {other} TO PUBLIC", "REVOKE ALL ON DATABASE {other} FROM PUBLIC"
CREATE = "ALTER ROLE {login} CREATEROLE", "ALTER ROLE {login} NOCREATEROLE"
ADMIN = "GRANT tre_admin TO {login}", "REVOKE tre_admin FROM {login}"
PROGRAMS = "GRANT pg_execute_server_program TO {login}", "REVOKE pg_execute_server_program FROM {login}"
SUPER = "ALTER ROLE {login} SUPERUSER", "ALTER ROLE {login} NOSUPERUSER"
WEAK = "CREATE ROLE m_probe SUPERUSER LOGIN PASSWORD 'm_probe'", "DROP ROLE m_probe"


@pytest.mark.parametrize(
    ("change", "probe"),
    [
        (CONNECT, "other-databases"),
        (CREATE, "database-rights"),
        (ADMIN, "database-rights"),
        (SUPER, "database-files"),
        (PROGRAMS, "database-programs"),
        (SUPER, "database-network"),
        (WEAK, "database-superuser"),
        (SUPER, "database-locks"),
        (SUPER, "database-disk"),
    ],
)
def test_a_loosened_database_is_seen(neighbours: Neighbours, change: tuple[str, str], probe: str) -> None:
    extensions = "SELECT 1 FROM pg_available_extensions WHERE name IN ('dblink', 'postgres_fdw')"
    if probe == "database-network" and not neighbours.admin.execute(extensions).fetchone():
        pytest.skip("this build of PostgreSQL has no extension that opens connections")
    words = {"login": neighbours.login, "other": neighbours.other}
    neighbours.admin.execute(change[0].format(**words))
    try:
        results = neighbours.results([probe])
    finally:
        neighbours.admin.execute(change[1].format(**words))
    assert {result.verdict for result in results.values()} == {"reached"}, results


def test_after_the_stop_nothing_opens(neighbours: Neighbours) -> None:
    """A token that was read while it ran: its socket leads to one workspace, which is gone."""
    token = neighbours.runtime.exec_in(neighbours.two.state, ["/bin/cat", "/run/tre/intake.token"]).stdout.decode()
    neighbours.runtime.stop(neighbours.two.state)
    with pytest.raises(Unavailable):
        neighbours.runtime.exec_in(neighbours.two.state, ["/bin/cat", "/run/tre/intake.token"])
    assert not neighbours.intakes[0].judge("one", token), "at another workspace's socket it counts for nothing"
    assert processes_with(neighbours.two.home) == []
