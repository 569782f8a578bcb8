"""What of a release is taken along to ask its servers, and that it ends with the asking."""

import base64
from pathlib import Path

import pytest

from tests.stack.examination.house import kubeconfig, web
from tests.stack.examination.values import installation
from tre.credentials.files import read_secret
from tre.errors import InvalidInput
from tre.settings import Bucket, OnCluster, PostgresServer, SecretsServer, Settings
from tre.stack.examination import servers, whole
from tre.stack.examination.seen import Cluster
from tre.stack.examination.whole import examine_from_here, examine_servers, settings_of
from tre.workspaces.kubernetes.api import Api

HUB = "postgresql+psycopg://tre_hub:p@pg.example:5432/tre_hub?sslmode=verify-full&sslrootcert=/etc/tre/ca/postgresql/ca.pem"
SEEN = Cluster(
    held={
        ("secrets", "tre-logins"): {
            "state-tre_app.pgpass": base64.b64encode(b"*:*:*:tre_app:p\n").decode(),
            "hub-database.url": base64.b64encode(HUB.encode()).decode(),
        },
        ("configmaps", "pg-ca"): {"ca.pem": "an authority"},
    }
)


def test_logins_and_authorities_are_those_of_the_release(tmp_path: Path):
    with web({}) as cluster:
        found = settings_of(Api.connect(kubeconfig(tmp_path, cluster.url)), installation(), SEEN, tmp_path)
    ca = tmp_path / "postgresql.ca.pem"
    assert ca.read_text() == "an authority"
    assert found.state_server == PostgresServer("pg.example", 5432, "verify-full", str(ca))
    assert read_secret(found.secret_file("state-tre_app.pgpass")) == "*:*:*:tre_app:p\n"
    app, hub = servers.logins(found)
    assert (app.role, hub.role) == ("tre_app", "tre_hub")
    # Where the pods have the authority is no place of this machine.
    assert f"sslrootcert={ca}" in hub.conninfo.replace("'", "")
    assert isinstance(found.openbao, SecretsServer)
    # Nothing gave a token, so signing in is not tried.
    assert not Path(found.openbao.token_file).exists()


def test_the_keys_of_the_bucket_are_those_of_its_secret(tmp_path: Path):
    keys = {"bucket-access-key-id": "an id", "bucket-secret-access-key": "a key"}
    held = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
    seen = Cluster(held={**SEEN.held, ("secrets", "mine"): held, ("configmaps", "s3-ca"): {"ca.pem": "another"}})
    bucket = {"name": "outputs", "endpoint": "https://s3.example", "credentials": "mine", "ca": "s3-ca"}
    wanted = installation(**{f"content__bucket__{key}": value for key, value in bucket.items()})
    with web({}) as cluster:
        api = Api.connect(kubeconfig(tmp_path, cluster.url))
        found = settings_of(api, wanted, seen, tmp_path)
        assert settings_of(api, installation(), seen, tmp_path).bucket is None
    assert found.bucket == Bucket("https://s3.example", "outputs", ca=str(tmp_path / "content.bucket.ca.pem"))
    assert (tmp_path / "content.bucket.ca.pem").read_text() == "another"
    assert {key: read_secret(found.secret_file(key)) for key in keys} == keys
    assert servers.asks_storage(found) == found.bucket


def test_nothing_of_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Path] = []

    def examine(settings: Settings, cidrs: object, *, coming: bool) -> list[object]:
        assert coming, "these are the values of an installation that is to be"
        asked.append(settings.state)
        assert (settings.state / "secrets").stat().st_mode & 0o777 == 0o700
        return []

    monkeypatch.setattr(whole.servers, "examine", examine)
    with web({}) as cluster:
        examine_servers(Api.connect(kubeconfig(tmp_path, cluster.url)), installation(), SEEN)
    assert len(asked) == 1
    assert not asked[0].exists()


def test_values_that_processes_would_not_take_are_said(tmp_path: Path):
    """Where helm was not asked yet: its schema would have refused them, too."""
    with web({}) as cluster:
        api = Api.connect(kubeconfig(tmp_path, cluster.url))
        (found,) = examine_servers(api, installation(oidc__amr=[]), SEEN)
    assert (found.level.value, found.value) == ("fail", "identity_provider.amr")


def test_in_a_pod_there_are_no_values(tmp_path: Path):
    here = OnCluster(PostgresServer("/x"), PostgresServer("/x"), SecretsServer("https://bao"))
    with pytest.raises(InvalidInput):
        examine_from_here(Settings(tmp_path, Path("/tmp/r"), cluster=here), "tre-system", (tmp_path,))
