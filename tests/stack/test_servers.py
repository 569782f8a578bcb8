"""The real servers under the supervisor: each killed, the supervisor killed, nothing lost, nothing shown."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.folders import new_settings
from tests.stack.toys import is_ready, part_of, supervising, wait_until
from tre.credentials import Secrets
from tre.errors import TreError, Unavailable
from tre.settings import Settings
from tre.stack import cgroups, openbao, process, shares, status

SERVERS = "tests.stack.server_parts"
#: What appears in the state folder as the first run goes on.
MOMENTS = ("servers/postgres-state", "secrets/openbao-recovery.json", "secrets/openbao-login.json")
NAMES = ("postgres-state", "postgres-data", "openbao", "migrations")


@pytest.fixture(scope="module")
def platform() -> Iterator[Settings]:
    """The servers running under a supervisor of their own."""
    settings = new_settings()
    with supervising(settings, SERVERS):
        wait_until(lambda: is_ready(settings, *NAMES), 120)
        yield settings
    subprocess.run(["rm", "-rf", str(settings.state.parent)], check=True)


def write_facts(settings: Settings) -> bytes:
    """Something in each server; returns the project's key."""
    secrets = Secrets.from_settings(settings)
    secrets.project_prepare("kept")
    for conninfo in (settings.state_conninfo("tre_owner"), settings.data_conninfo("tre_admin")):
        with psycopg.connect(conninfo) as db:
            db.execute("CREATE TABLE IF NOT EXISTS fact (x int)")
            db.execute("INSERT INTO fact VALUES (1)")
    return secrets.pseudonym_key("kept")


def facts_are_there(settings: Settings) -> bool:
    """Can everything be read?"""
    try:
        for conninfo in (settings.state_conninfo("tre_owner"), settings.data_conninfo("tre_admin")):
            with psycopg.connect(conninfo) as db:
                assert db.execute("SELECT count(*) > 0 FROM fact").fetchone() == (True,)
        Secrets.from_settings(settings).project_database("kept")
    except (psycopg.OperationalError, TreError):
        return False
    return True


@pytest.mark.parametrize("name", ["postgres-state", "postgres-data", "openbao"])
def test_a_killed_server_comes_back_with_everything(platform: Settings, name: str):
    key = write_facts(platform)
    before = part_of(platform, name)
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: is_ready(platform, name) and part_of(platform, name).pid != before.pid, 120)
    after = part_of(platform, name)
    assert "SIGKILL" in after.reason or after.restarts == before.restarts + 1
    wait_until(lambda: facts_are_there(platform))
    assert Secrets.from_settings(platform).pseudonym_key("kept") == key


def test_a_lease_revoked_while_the_data_server_is_down_is_gone_when_it_is_back(platform: Settings):
    write_facts(platform)
    secrets = Secrets.from_settings(platform)
    lease = secrets.lease("kept", "w-down")
    os.kill(part_of(platform, "postgres-data").pid, signal.SIGKILL)

    def revoked() -> bool:
        try:
            secrets.revoke(lease.id)
        except Unavailable:
            return False
        return True

    wait_until(revoked, 120)
    with psycopg.connect(platform.data_conninfo("tre_admin")) as db:
        assert db.execute("SELECT FROM pg_roles WHERE rolname = %s", [lease.username]).fetchone() is None


def test_the_servers_processes_show_no_secret(platform: Settings):
    secrets = [path.read_bytes() for path in (platform.state / "secrets").iterdir()]
    words = [word for text in secrets for word in text.replace(b'"', b":").strip().split(b":") if len(word) > 20]
    assert len(words) > 5
    for part in status.read(platform):
        if part.pid:
            for name in ("cmdline", "environ"):
                shown = Path(f"/proc/{part.pid}/{name}").read_bytes()
                assert not any(word in shown for word in words), part.name
    for log in platform.logs.iterdir():
        assert not any(word in log.read_bytes() for word in words), log


def test_the_data_server_is_confined(platform: Settings):
    groups = cgroups.from_environment(os.environ)
    if "memory" not in groups:
        pytest.skip("no control groups were handed over")
    group = Path(groups["memory"]) / "part-postgres-data"
    assert part_of(platform, "postgres-data").pid in map(int, (group / "cgroup.procs").read_text().split())
    assert len((group / "cgroup.procs").read_text().split()) > 3


def test_a_session_that_asks_for_too_much_memory_fails_alone(platform: Settings):
    """Also where no control group is at hand; in one, the kernel's own way would end every session of the server."""
    greedy = "SELECT array_agg(repeat('x', 1000000) || n) FROM generate_series(1, 100000) n"
    with psycopg.connect(platform.data_conninfo("tre_admin"), autocommit=True) as neighbour:
        before = neighbour.execute("SELECT pg_backend_pid()").fetchone()
        with psycopg.connect(platform.data_conninfo("tre_admin"), autocommit=True) as db:
            with pytest.raises(psycopg.errors.OutOfMemory):
                db.execute(greedy)
            assert db.execute("SELECT 1").fetchone() == (1,)
        assert neighbour.execute("SELECT pg_backend_pid()").fetchone() == before
    assert os.getpriority(os.PRIO_PROCESS, part_of(platform, "postgres-data").pid) >= shares.NICENESS


def test_notifications_nobody_reads_do_not_fill_the_disk(platform: Settings):
    """Their queue is one for all databases, and to send needs no right."""
    conninfo = platform.data_conninfo("tre_admin")
    with psycopg.connect(conninfo) as listening, psycopg.connect(conninfo, autocommit=True) as db:
        listening.execute("LISTEN x")
        listening.commit()
        listening.execute("SELECT 1")  # in a transaction: what comes is kept for it
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            db.execute("SELECT count(pg_notify('x', repeat('y', 7900) || n)) FROM generate_series(1, 200) n")


def test_every_file_of_the_state_folder_is_ours_alone(platform: Settings):
    for folder in (platform.state, platform.run):
        assert folder.stat().st_mode & 0o077 == 0
    for path in (platform.state / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_killed_supervisor_and_all_its_servers_come_back(fresh_settings: Settings):
    with supervising(fresh_settings, SERVERS) as child:
        wait_until(lambda: is_ready(fresh_settings, *NAMES), 120)
        key = write_facts(fresh_settings)
        parts = [part for part in status.read(fresh_settings) if part.pid]
        child.kill()
        for part in parts:
            process.Identity(part.pid, part.started).send(signal.SIGKILL)
        child.wait()
    with supervising(fresh_settings, SERVERS):
        wait_until(lambda: is_ready(fresh_settings, *NAMES), 120)
        assert facts_are_there(fresh_settings)
        assert Secrets.from_settings(fresh_settings).pseudonym_key("kept") == key


@pytest.mark.parametrize("moment", MOMENTS if os.environ.get("TRE_TEST_LONG") else MOMENTS[1:2])
def test_a_first_run_killed_at_any_moment_is_finished_by_the_next(fresh_settings: Settings, moment: str):
    with supervising(fresh_settings, SERVERS) as child:
        wait_until(lambda: (fresh_settings.state / moment).exists(), 120)
        child.kill()
        child.wait()
    with supervising(fresh_settings, SERVERS):
        wait_until(lambda: is_ready(fresh_settings, *NAMES), 120)
        write_facts(fresh_settings)
    assert set(json.loads(fresh_settings.secret_file(openbao.RECOVERY_FILE).read_text())) == {"recovery_keys"}


def test_the_platforms_parts_are_in_order():
    code = "from tre.stack.platform import parts; from tre.stack.part import check_parts; check_parts(parts())"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_secrets_servers_configuration_as_a_whole():
    assert openbao.configuration(Settings(Path("/s"), Path("/r"))) == (
        "ui = false\n"
        'log_level = "warn"\n'
        'api_addr = "https://127.0.0.1:1"\n'
        'cluster_addr = "https://127.0.0.1:2"\n'
        'default_lease_ttl = "1h"\n'
        'max_lease_ttl = "604800s"\n'
        'storage "raft" {\n  path = "/s/servers/openbao/raft"\n  node_id = "tre"\n  performance_multiplier = 1\n}\n'
        'listener "unix" {\n  address = "/r/openbao.sock"\n  socket_mode = "0600"\n}\n'
        'listener "tcp" {\n  address = "127.0.0.1:0"\n  cluster_address = "127.0.0.1:0"\n'
        '  tls_cert_file = "/s/servers/openbao/closed.pem"\n  tls_key_file = "/s/servers/openbao/closed.key"\n'
        '  tls_client_ca_file = "/s/servers/openbao/nobody.pem"\n'
        '  tls_require_and_verify_client_cert = true\n  tls_min_version = "tls13"\n}\n'
        'seal "static" {\n  current_key_id = "1"\n  current_key = "file:///s/secrets/openbao-seal.key"\n}\n'
        'audit "file" "file" {\n  options {\n    file_path = "servers/openbao/audit.log"\n    mode = "0600"\n  }\n}\n'
    )
