"""A process in its pod, with real servers: what is wrong with one is its first line; it waits for its database."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.postgres import StateDatabase
from tests.stack.examination.house import Authority, tls_before, web
from tests.stack.examination.test_databases import dict_of, socket_of
from tre.credentials.files import pgpass_line, read_secret, write_secret
from tre.errors import Conflict, InvalidInput, TreError, Unavailable
from tre.settings import Bucket, IdentityProvider, OnCluster, PostgresServer, SecretsServer, Settings
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE
from tre.stack.examination import servers, start
from tre.stack.examination.whole import examine_pod
from tre.stack.ports import free_ports
from tre.store.migrate import migrate, revisions


@dataclass
class Pod:
    """A pod's files. `state` and `data` are where its servers are."""

    folder: Path
    run: Path
    state: PostgresServer
    data: PostgresServer
    bao: str

    def holds(self, **secrets: str) -> None:
        (self.folder / "secrets").mkdir(exist_ok=True)
        for name, text in secrets.items():
            (self.folder / "secrets" / name.replace("__", "-").replace("_pgpass", ".pgpass")).write_text(text)

    def start(self, process: str) -> subprocess.Popen[str]:
        file = self.folder / "cluster.toml"
        file.write_text(f'[openbao]\nurl = "{self.bao}"\n' + server("state", self.state) + server("data", self.data))
        environment = {
            "TRE_CLUSTER": str(file),
            "TRE_SECRETS": str(self.folder / "secrets"),
            "TRE_STATE": str(self.folder / "state"),
            "TRE_RUN": str(self.run),
        }
        command = [sys.executable, "-m", "tre.stack.cluster", process]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def server(name: str, found: PostgresServer) -> str:
    return (
        f'[{name}]\nhost = "{found.host}"\nport = {found.port}\nsslmode = "{found.sslmode}"\n'
        f'sslrootcert = "{found.sslrootcert}"\n'
    )


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    nowhere = PostgresServer("127.0.0.1", free_ports(1), "disable")
    with tempfile.TemporaryDirectory(prefix="tre-", dir="/tmp") as run:
        yield Pod(tmp_path, Path(run), nowhere, nowhere, f"https://127.0.0.1:{free_ports(1)}")


def first_line(pod: Pod, process: str) -> tuple[str, int]:
    """Of its log, and what it ends with when it is told to."""
    child = pod.start(process)
    assert child.stderr
    line = child.stderr.readline().strip()
    child.terminate()
    code = child.wait(30)
    child.stderr.close()
    assert child.stdout
    child.stdout.close()
    return line, code


def test_a_database_that_is_away_is_the_first_line_and_waiting_ends_at_once_when_told(pod: Pod):
    pod.holds(state__tre_app_pgpass=pgpass_line("tre_app", "x"))
    line, code = first_line(pod, "controller")
    assert line.startswith("postgresql.state.host: No session as tre_app at 127.0.0.1:")
    assert "cidr" in line
    assert code == 0


def test_the_job_of_migrations_does_not_wait(pod: Pod):
    pod.holds(state__tre_owner_pgpass=pgpass_line("tre_owner", "x"))
    child = pod.start("migrate")
    _, said = child.communicate(timeout=60)
    assert child.returncode == 75
    assert said.startswith("postgresql.state.host: No session as tre_owner"), said


def test_an_expired_certificate_is_the_first_line(pod: Pod, migrated_db: StateDatabase, tmp_path: Path):
    authority = Authority(tmp_path)
    pod.holds(state__tre_app_pgpass=pgpass_line("tre_app", "x"))
    with tls_before(socket_of(migrated_db), authority.pair("localhost", until=-3.5)) as port:
        pod.state = PostgresServer("localhost", port, "verify-full", str(authority.ca))
        line, _ = first_line(pod, "controller")
    assert line.startswith("postgresql.state.host: Its certificate expired 3 days ago"), line
    assert line.endswith("Renew it at the server.")


def test_a_wrong_password_is_the_first_line_and_is_not_in_it(pod: Pod, migrated_db: StateDatabase, tmp_path: Path):
    authority = Authority(tmp_path)
    pod.holds(state__tre_app_pgpass=pgpass_line("tre_app", "a-wrong-password"))
    with tls_before(socket_of(migrated_db), authority.pair("localhost")) as port:
        pod.state = PostgresServer("localhost", port, "verify-full", str(authority.ca))
        line, _ = first_line(pod, "controller")
    assert line.startswith("postgresql.logins: No session as tre_app"), line
    assert "password authentication failed" in line
    assert "a-wrong-password" not in line


def test_a_guard_asks_no_server(pod: Pod):
    pod.holds(x="y")
    line, _ = first_line(pod, "guard")
    assert "postgresql" not in line


@dataclass
class Here:
    """The same without a process: settings of a pod whose state database is this test's own."""

    settings: Settings
    database: StateDatabase
    said: list[str]

    def begin(self, process: str = "controller", patience: float = 0.0) -> None:
        start.await_servers(process, self.settings, self.said.append, patience)


@pytest.fixture
def here(state_db: StateDatabase, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Its database is not called `tre`."""
    host = PostgresServer(dict_of(state_db)["host"])
    nowhere = SecretsServer(f"https://127.0.0.1:{free_ports(1)}")
    own = Settings(tmp_path, Path("/tmp/r"), cluster=OnCluster(host, host, nowhere))
    passfile = own.secret_file("state-tre_app.pgpass")
    passfile.parent.mkdir()
    passfile.touch(mode=0o600)
    passfile.write_text(read_secret(settings.secret_file("state-tre_app.pgpass")))
    monkeypatch.setattr(Settings, "state_conninfo", lambda self, role: state_db.app_conninfo)
    monkeypatch.setattr(start, "PAUSE", 0.1)
    monkeypatch.setattr(start, "_leave_at_once", lambda: None)
    return Here(own, state_db, [])


def test_an_old_schema_is_said_first_and_waited_for(here: Here):
    migrate(here.database.owner, revisions()[0])
    with pytest.raises(Conflict) as refused:
        here.begin()
    assert here.said[0].startswith(f"postgresql.state.host: The schema is at {revisions()[0]}, this release wants")
    assert "helm upgrade" in here.said[0]
    assert refused.value.exit_code == 4


def test_it_begins_when_the_migrations_are_through(here: Here):
    """As in the small profile, where they come after."""
    import threading

    later = threading.Timer(0.5, lambda: migrate(here.database.owner))
    later.start()
    began = time.monotonic()
    here.begin(patience=60)
    assert time.monotonic() - began > 0.4
    later.join()
    # The secrets server is nowhere: that is said, and waited for by nobody. Each is said once.
    assert any(line.startswith("postgresql.state.host: There is no schema") for line in here.said)
    assert [line.startswith("openbao.url") for line in here.said].count(True) == 1
    assert len(here.said) == len(set(here.said))


def test_a_secrets_server_that_is_away_holds_nobody_up(here: Here):
    migrate(here.database.owner)
    here.begin()
    assert [line.split(":")[0] for line in here.said] == ["openbao.url"]


@pytest.mark.parametrize(("process", "asks"), [("hub", True), ("api", False)])
def test_the_hub_alone_says_what_is_wrong_with_the_identity_provider(
    here: Here, tmp_path: Path, process: str, asks: bool
):
    migrate(here.database.owner)
    authority = Authority(tmp_path)
    with web({}, authority.pair("localhost", until=-1.5)) as there:
        provider = IdentityProvider(there.url, "tre", "https://tre.example", amr=("mfa",), ca=str(authority.ca))
        here.settings = replace(here.settings, identity_provider=provider)
        here.begin(process)
    said = [line for line in here.said if line.startswith("oidc.issuer: Its certificate expired 1 days ago")]
    assert bool(said) is asks
    assert any(line.startswith("openbao.url") for line in here.said) is not asks


@pytest.mark.parametrize("process", ["api", "worker"])
def test_a_bucket_that_is_away_is_said_and_holds_nobody_up(here: Here, process: str):
    migrate(here.database.owner)
    bucket = Bucket(f"http://127.0.0.1:{free_ports(1)}", "outputs")
    here.settings = replace(here.settings, cluster=replace(here.settings.cluster, bucket=bucket))
    here.begin(process)
    assert not [line for line in here.said if "bucket" in line], "whose keys it does not hold it does not ask"
    for key in (KEY_ID_FILE, KEY_FILE):
        write_secret(here.settings.secret_file(key), "k")
    here.begin(process)
    assert any(line.startswith("content.bucket.endpoint: The object storage does not answer") for line in here.said)


def test_rights_that_are_lacking_are_said(here: Here):
    migrate(here.database.owner)
    with psycopg.connect(here.database.owner_conninfo) as owner:
        owner.execute("REVOKE SELECT ON person FROM tre_app")
    with pytest.raises(InvalidInput):
        here.begin()
    assert here.said[0].startswith("postgresql.logins: tre_app may not read some of the tables.")


def test_a_pod_goes_through_its_servers_with_its_own_logins(here: Here):
    """`tre doctor --cluster` inside one: of no cluster, and of no server whose login it has not."""
    migrate(here.database.owner)
    found = examine_pod(here.settings)
    told = [(one.level.value, one.value, one.found.partition(":")[0]) for one in found]
    assert told[0] == ("warning", "kubernetes", "Not looked at")
    assert ("ok", "postgresql.state.host", f"The schema is at {revisions()[-1]}, that of this release.") in told
    assert ("warning", "kubernetes.cidr", "Nothing was shown yet of any node; until then no workspace starts.") in told
    assert [one.value for one in found if one.level == "fail"] == ["openbao.url"]
    assert "tre_admin" not in " ".join(one.name for one in found)


HUB = "postgresql+psycopg://tre_hub:pass@{}/tre_hub"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (
            HUB.format("pg.example:5433") + "?sslmode=verify-full&sslrootcert=/etc/tre/ca/postgresql/ca.pem",
            "pg.example",
        ),
        (HUB.format("tre-postgres-state:5432") + "?sslmode=disable", "tre-postgres-state"),
    ],
)
def test_the_hubs_url_is_understood(url: str, host: str):
    login = servers.hub_login(url, PostgresServer("pg.example", sslrootcert="/here/ca.pem"))
    assert (login.server.host, login.role, login.database) == (host, "tre_hub", "tre_hub")
    assert "/etc/tre/ca" not in login.conninfo
    assert "pass" not in repr(login).replace("password", "")


@pytest.mark.parametrize(
    "url", ["", "sqlite:///x", "postgresql://secret@", "mysql://u:secret@h/d", "postgresql://u:se cret@h:x/d"]
)
def test_a_url_that_is_none_is_named_and_not_shown(url: str):
    with pytest.raises(TreError) as refused:
        servers.hub_login(url, PostgresServer("pg.example"))
    assert refused.value.field == "postgresql.logins"
    assert "cret" not in refused.value.message.replace("Secret", "")


def test_who_waits_too_long_ends_with_its_reason(here: Here, monkeypatch: pytest.MonkeyPatch):
    nowhere = f"host=127.0.0.1 port={free_ports(1)} user=x dbname=y"
    monkeypatch.setattr(Settings, "state_conninfo", lambda self, role: nowhere)
    with pytest.raises(Unavailable) as refused:
        here.begin(patience=0.3)
    assert refused.value.field == "postgresql.state.host"
    assert len(here.said) == 2
