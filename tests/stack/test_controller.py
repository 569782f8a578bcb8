"""The controller's process says first what it lacks."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.test_cluster_settings import FILE
from tre.credentials import Secrets
from tre.settings import Settings
from tre.stack.controller import PodLogins, servers
from tre.stack.ports import free_ports
from tre.workspaces.kubernetes.aims import Surroundings

IDENTITY = """
[identity_provider]
issuer = "https://192.0.2.7/realms/uni"
client_id = "tre"
url = "https://tre.example"
amr = ["mfa"]
"""

PROJECTS = """
control_namespace = "tre-system"
hub_account = "tre-hub"
image = "registry.example/tre-workspace:1"
pod_security_version = "v1.34"
dns_address = "10.96.0.53"
guard = { namespace = "tre-system", labels = { app = "guard" }, port = 8002 }
intake = { namespace = "tre-system", labels = { app = "intake" }, port = 8007 }
dns = { namespace = "tre-system", labels = { app = "dns" }, port = 53 }
"""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"POD_NAME": "tre-controller-1"}, "TRE_CLUSTER: This is no cluster."),
        ({"TRE_CLUSTER": "FILE"}, "POD_NAME: It is not set."),
        ({"TRE_CLUSTER": "FILE", "POD_NAME": "tre-controller-1"}, "There is no way to the API server"),
    ],
)
def test_what_is_missing_is_the_first_thing_said(tmp_path: Path, environment: dict[str, str], said: str):
    file = tmp_path / "c.toml"
    file.write_text(FILE.replace('control_namespace = "tre-system"\n', PROJECTS.strip() + "\n"))
    given = {name: str(file) if value == "FILE" else value for name, value in environment.items()}
    whole = {"PATH": os.defpath, "TRE_STATE": str(tmp_path / "s"), "TRE_RUN": "/tmp/r", **given}
    command = [sys.executable, "-m", "tre.stack.controller"]
    done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert done.stderr.startswith(said), done.stderr


def test_the_platforms_own_servers_count_where_they_answer_this_process(tmp_path: Path):
    file = tmp_path / "c.toml"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, closed = listening.getsockname()[1], free_ports(1)
        text = FILE.replace('host = "pg.example"', f'host = "127.0.0.1"\nport = {port}')
        text = text.replace("https://bao.example:8200", f"https://127.0.0.1:{closed}")
        file.write_text(text + IDENTITY)
        settings = Settings.load({"TRE_CLUSTER": str(file), "TRE_STATE": str(tmp_path / "s"), "TRE_RUN": "/tmp/r"})
        state, bao = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{closed}"
        # Refused is an answer, too: somebody is there.
        assert servers(settings) == Surroundings(
            {"servers": [state, bao], "outside": ["tcp://192.0.2.7:443"]}, frozenset({state, bao})
        )
    file.write_text(FILE.replace("pg.example", "pg.invalid").replace("bao.example", "bao.invalid"))
    away = Settings.load({"TRE_CLUSTER": str(file), "TRE_STATE": str(tmp_path / "s"), "TRE_RUN": "/tmp/r"})
    assert servers(away) == Surroundings({"servers": [], "outside": []})


def test_who_tries_has_a_login_to_the_projects_database_as_long_as_they_try(secrets: Secrets, data_server: Settings):
    logins = PodLogins(secrets, data_server.data_server)
    with logins.to_be_tried("cost", "probe-1") as none:
        assert none is None, "a project without a database"
    assert [held.workspace for held in secrets.list_leases()] == []
    secrets.project_prepare("cost")
    with contextlib.suppress(RuntimeError), logins.to_be_tried("cost", "probe-1") as login:
        assert login is not None
        assert [held.workspace for held in secrets.list_leases()] == ["probe-1"]
        assert login.own_roles == (secrets.project_database("cost").group,)
        service = dict(line.split("=", 1) for line in login.files["pg_service.conf"].splitlines()[1:])
        known = {"user": service["user"], "password": service["password"], "dbname": service["dbname"]}
        psycopg.connect(host=str(data_server.data_database), **known).close()
        raise RuntimeError("however it ends")
    assert secrets.list_leases() == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=str(data_server.data_database), **known)
