"""A login's files: of a sandbox, which is shown a socket, and of a pod, which goes over the network."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tre.credentials import Lease
from tre.errors import Unavailable
from tre.settings import PostgresServer
from tre.workspaces import login

LEASE = Lease("id", "p_1", "w_1", "pw", datetime(2026, 1, 1, tzinfo=UTC))


def test_over_a_socket():
    server = PostgresServer("/run/pg")
    assert login.files(server, LEASE) == {
        "pg_service.conf": "[project]\nhost=/run/tre/postgresql\ndbname=p_1\nuser=w_1\npassword=pw\n"
    }
    assert login.socket_folder(server) == "/run/pg"


def test_over_the_network_the_server_proves_itself(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("the CA")
    server = PostgresServer("data.example", 5433, sslrootcert=str(tmp_path / "ca.pem"))
    assert login.files(server, LEASE) == {
        "pg_service.conf": "[project]\nhost=data.example\nport=5433\nsslmode=verify-full\n"
        "sslrootcert=/run/tre/postgresql-ca.pem\ndbname=p_1\nuser=w_1\npassword=pw\n",
        "postgresql-ca.pem": "the CA",
    }
    assert login.socket_folder(server) is None


def test_without_its_ca_there_is_no_workspace(tmp_path: Path):
    with pytest.raises(Unavailable, match="CA"):
        login.files(PostgresServer("data.example", sslrootcert=str(tmp_path / "none")), LEASE)
