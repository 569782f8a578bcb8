"""From servers that know nothing of tre to a release that its own examination finds right, by the document."""

from __future__ import annotations

import base64
import json
import os
import re

import pytest

from tests.cluster.machine.place import VAULT
from tre.errors import Unavailable

from .beside import SPACE, Beside
from .town import DATA, STATE

pytestmark = pytest.mark.timeout(900)
DOCTOR = "tre doctor --cluster --values values.yaml --json"
AUDIT = "SELECT count(*) FROM audit_event"


def levels(text: str, level: str) -> set[str]:
    """Which values `tre doctor --json` gave that level."""
    return {one["value"] for one in json.loads(text) if one["level"] == level}


def test_before_anything_is_prepared_each_value_is_named(beside: Beside) -> None:
    said = beside.run(f"{DOCTOR} || true")
    assert levels(said, "fail") >= {"postgresql.logins", "postgresql.ca", "openbao.ca", "oidc.clientSecret"}


def test_the_secrets_server_is_the_one_that_is_meant(beside: Beside) -> None:
    """Vault's versions begin with 1, OpenBao's with 2."""
    version = str((beside.town.secrets_answer() or {})["version"])
    assert version.startswith("1." if os.environ.get(VAULT) else "2."), version


def test_the_databases_are_prepared_without_a_password_for_who_does_it(databases: Beside) -> None:
    logins = json.loads(databases.release.space("get", "secret/tre-logins", "--output=json"))["data"]
    held = [base64.b64decode(value).decode() for value in logins.values()]
    assert databases.town.superuser not in "".join(held)
    statements = "".join((databases.desk / "prepared" / f"{name}.sql").read_text() for name in ("state", "data"))
    assert not [line for line in held if line.strip().rpartition(":")[2] in statements]
    with pytest.raises(Unavailable, match="FOLDER"):
        databases.run("tre prepare postgresql prepared --values values.yaml")


def test_a_secrets_server_that_does_not_believe_the_data_server_is_named(prepared: Beside) -> None:
    (prepared.desk / "other.pem").write_bytes((prepared.town.folder / "authority" / f"{STATE}.crt").read_bytes())
    prepared.write_values({"openbao": {"databaseCa": str(prepared.desk / "other.pem")}})
    try:
        with pytest.raises(Unavailable, match=r"openbao\.databaseCa"):
            prepared.run("tre prepare openbao --values values.yaml --token-file openbao.token")
    finally:
        prepared.write_values({})


def test_what_is_prepared_is_right_before_the_installation(prepared: Beside) -> None:
    said = prepared.run(DOCTOR)
    assert levels(said, "fail") == set()
    right = {"postgresql.state.host", "postgresql.data.host", "openbao.url", "oidc.issuer", "kubernetes.cidr"}
    assert levels(said, "ok") >= right


def test_the_release_comes_up_and_its_own_test_succeeds(installed: Beside) -> None:
    assert "0 to mend" in installed.said
    assert re.search(r"^Phase:\s+Succeeded$", installed.said, re.MULTILINE)
    for name, pod in installed.release.pods().items():
        statuses = pod["status"]["containerStatuses"]
        assert {each["restartCount"] for each in statuses} == {0}, (name, statuses)
    # None of its own: the institution's are used.
    assert installed.release.space("get", "statefulsets", "--output=name") == ""


def test_its_pods_find_nothing_to_mend(installed: Beside) -> None:
    said = installed.release.space("exec", "deploy/tre-api", "--", "tre", "doctor", "--cluster", "--json")
    assert levels(said, "fail") == set()
    assert levels(said, "ok") >= {"postgresql.state.host", "postgresql.data.host", "openbao.url", "openbao.role"}
    # The hub looks at the identity provider when it begins.
    log = installed.release.space("logs", "deploy/tre-hub").splitlines()
    assert not [line for line in log if line.startswith("oidc.")]


def test_every_session_at_the_databases_is_encrypted(installed: Beside) -> None:
    question = (
        "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE usename LIKE 'tre_%'"
    )
    counts = installed.town.psql(STATE, question).split("|")
    assert counts[0] == counts[1] != "0", counts
    assert installed.town.psql(DATA, "SELECT datname FROM pg_database WHERE datname = 'datasets'") == "datasets"
    assert installed.release.space.name == SPACE
