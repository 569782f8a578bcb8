"""The servers of the small profile: what differs from those on one machine, as whole objects; and that one starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from tre.credentials.files import pgpass_line
from tre.credentials.policies import kubernetes_role
from tre.errors import InvalidInput
from tre.settings import Settings
from tre.stack import databases, postgres
from tre.stack.servers import Shown, hba_text, listener, postgres_settings, verifiers

SHOWN = Shown(Path("/tls"), Path("/secrets"))
SETTINGS = Settings(Path("/s"), Path("/r"))


def test_postgres_listens_on_a_port_and_differs_in_nothing_else():
    server = databases.state_server(SETTINGS)
    usual, here = postgres.configuration(server), postgres_settings(server)
    changed = {name: value for name, value in here.items() if usual.get(name) != value}
    assert changed == {"listen_addresses": "0.0.0.0"}
    assert usual.keys() == here.keys()


def test_who_may_log_in_is_as_on_one_machine():
    assert hba_text(databases.state_server(SETTINGS)) == (
        "host all postgres all reject\n"
        "host tre tre_owner all scram-sha-256\n"
        "host tre tre_app all scram-sha-256\n"
        "host tre_hub tre_hub all scram-sha-256\n"
        "host all all all reject\n"
        "local all all reject\n"
    )


def test_openbao_listens_with_a_certificate():
    assert listener(SHOWN) == (
        'listener "tcp" {\n  address = "0.0.0.0:8200"\n  tls_cert_file = "/tls/tls.crt"\n'
        '  tls_key_file = "/tls/tls.key"\n  tls_min_version = "tls13"\n}\n'
    )


def test_only_the_control_plane_of_this_namespace_signs_in():
    assert kubernetes_role("tre-system", "openbao") == {
        "bound_service_account_names": ["tre-api", "tre-worker", "tre-controller"],
        "bound_service_account_namespaces": ["tre-system"],
        "audience": "openbao",
        "token_policies": ["control-plane"],
        "token_no_default_policy": True,
        "token_period": "1h",
    }


@pytest.mark.parametrize("text", ["", "tre_app:x", "*:*:*:tre_owner:x\n", "*:*:*:tre_app:\n"])
def test_a_login_that_is_none_is_named(tmp_path: Path, text: str):
    (tmp_path / "state-tre_app.pgpass").write_text(text)
    with pytest.raises(InvalidInput) as refused:
        verifiers(Shown(tmp_path, tmp_path), "state", ("tre_app",))
    assert refused.value.field == "state-tre_app.pgpass"


def test_what_is_wrong_is_the_first_thing_said(tmp_path: Path):
    environment = {"TRE_STATE": str(tmp_path / "state"), "TRE_RUN": "/tmp/r"}
    command = [sys.executable, "-m", "tre.stack.servers", "mysql"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("SERVER: One of postgres-state, ")) == (2, True)


def test_a_password_of_the_secret_becomes_a_verifier(tmp_path: Path):
    (tmp_path / "state-tre_app.pgpass").write_text(pgpass_line("tre_app", "p" * 48))
    (found,) = verifiers(Shown(tmp_path, tmp_path), "state", ("tre_app",)).values()
    assert found.startswith("SCRAM-SHA-256$4096:")
