"""A real OpenBao that knows nothing of tre, prepared; and every value that can be wrong about it, by its name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hvac
import pytest

from tests.stack.examination.house import Web, kubeconfig, token
from tests.stack.examination.values import installation
from tests.stack.preparation.house import ROOT, Database, Secrets, cluster, database, secrets_server
from tre.credentials.client import connect
from tre.errors import Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.settings import SecretsServer
from tre.stack.examination import secrets_server as examination
from tre.stack.preparation import postgresql
from tre.stack.preparation import secrets_server as preparation
from tre.stack.preparation.secrets_server import Reviewer, prepare
from tre.workspaces.kubernetes.api import Api


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    with secrets_server(tmp_path_factory.mktemp("bao")) as found:
        yield found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with database(tmp_path_factory.mktemp("pg")) as found:
        yield found


@pytest.fixture(scope="module")
def logins(data: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the data server, which was prepared with them."""
    folder = tmp_path_factory.mktemp("files") / "prepared"
    postgresql.write(installation(**at(data)), folder)
    assert data.psql("--quiet", f"--file={folder / 'data.sql'}").returncode == 0
    data.let_in((folder / "data.hba").read_text())
    return {file.name: file.read_text() for file in (folder / "logins").iterdir()}


def at(data: Database) -> dict[str, Any]:
    return {"postgresql__data": {"host": "127.0.0.1", "port": data.port, "cidr": "127.0.0.1/32", "sslmode": "disable"}}


class Desk:
    """An administrator's, with an API server that holds what it is to hold."""

    def __init__(self, api: Api, web: Web, values: dict[str, Any]) -> None:
        self.api, self.web, self.values = api, web, values

    def prepare(self, **changes: Any) -> list[str]:
        wanted = installation(**{**self.values, **changes})
        return prepare(self.api, wanted, token=ROOT, reviewer="tre-reviewer", cluster=self.web.url)


@contextlib.contextmanager
def desk(
    openbao: Secrets, data: Database, logins: Mapping[str, str], folder: Path, reviewer: Mapping[str, str] | None = None
) -> Iterator[Desk]:
    asks = {"token": "t", "ca.crt": openbao.ca.read_text()} if reviewer is None else reviewer
    values = {**at(data), "openbao__url": openbao.url, "openbao__ca": "bao-ca", "openbao__databaseCa": ""}
    with cluster(ca=openbao.ca.read_text(), logins=logins, reviewer=asks) as web:
        yield Desk(Api.connect(kubeconfig(folder, web.url)), web, values)


def client(openbao: Secrets) -> hvac.Client:
    return connect(SecretsServer(openbao.url, str(openbao.ca)), ROOT)


def test_what_was_prepared_lets_our_accounts_in(
    openbao: Secrets, data: Database, logins: dict[str, str], tmp_path: Path
):
    with desk(openbao, data, logins, tmp_path) as here:
        said = here.prepare()
        assert said == here.prepare(), "it may run again"
        assert said[-1] == "127.0.0.1 lets it in"
        (tmp_path / "token").write_text(token("openbao"))
        server = SecretsServer(openbao.url, str(openbao.ca), token_file=str(tmp_path / "token"))
        found = examination.judge(server, examination.look(server, sign_in=True))
    assert [one.found for one in found] == [
        found[0].found,
        "The role control-plane lets us do what we must.",
    ]
    asked = client(openbao)
    assert "approle/" not in asked.sys.list_auth_methods()["data"], "how one machine signs in has no place here"
    with pytest.raises(hvac.exceptions.InvalidPath):
        asked.adapter.get(f"/v1/database/config/{preparation.TRIED}")


@pytest.mark.parametrize(
    ("changes", "field", "kind"),
    [
        ({"postgresql__data__port": 1}, "postgresql.data.host", Unavailable),
        ({"postgresql__data__sslmode": "require"}, "postgresql.data.host", Unavailable),
        ({"openbao__databaseCa": "/no/such.pem"}, "openbao.databaseCa", InvalidInput),
        ({"postgresql__logins": ""}, "postgresql.logins", InvalidInput),
        ({"postgresql__logins": "no-such"}, "postgresql.logins", NotFound),
        ({"openbao__ca": "no-such"}, "openbao.ca", NotFound),
        ({"small__enabled": True}, "small.enabled", InvalidInput),
    ],
)
def test_what_is_wrong_is_named(
    openbao: Secrets,
    data: Database,
    logins: dict[str, str],
    tmp_path: Path,
    changes: dict[str, Any],
    field: str,
    kind: type[TreError],
):
    with desk(openbao, data, logins, tmp_path) as here, pytest.raises(kind) as refused:
        here.prepare(**changes)
    assert refused.value.field == field


def test_a_password_that_the_data_server_does_not_know_is_named(
    openbao: Secrets, data: Database, logins: dict[str, str], tmp_path: Path
):
    wrong = {**logins, preparation.ADMIN: f"*:*:*:tre_admin:{'0' * 64}\n"}
    with desk(openbao, data, wrong, tmp_path) as here, pytest.raises(InvalidInput) as refused:
        here.prepare()
    assert refused.value.field == "postgresql.logins"
    assert "data.sql" in refused.value.hint
    assert "0" * 64 not in refused.value.message


@pytest.mark.parametrize("reviewer", [{}, {"token": "t"}])
def test_a_secret_that_nobody_fills_is_named(
    openbao: Secrets, data: Database, tmp_path: Path, reviewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preparation, "FILLED_SECONDS", 0.0)
    with desk(openbao, data, {}, tmp_path, reviewer) as here, pytest.raises(InvalidInput) as refused:
        here.prepare()
    assert refused.value.field == "--reviewer"


def test_an_engine_of_somebody_else_is_left_alone(
    data: Database, logins: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    with secrets_server(tmp_path_factory.mktemp("bao")) as other:
        client(other).sys.enable_secrets_engine("kv", path="kv", options={"version": "1"})
        with desk(other, data, logins, tmp_path) as here, pytest.raises(Conflict, match="kv/"):
            here.prepare()
        assert client(other).sys.list_mounted_secrets_engines()["data"]["kv/"]["options"] == {"version": "1"}


def test_how_it_asks_the_cluster_as_a_whole():
    assert Reviewer("t", "an authority").config("https://10.0.0.1:6443") == {
        "kubernetes_host": "https://10.0.0.1:6443",
        "kubernetes_ca_cert": "an authority",
        "token_reviewer_jwt": "t",
        "disable_local_ca_jwt": True,
    }


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("tls: failed to verify certificate: x509: unknown authority", "openbao.databaseCa"),
        ("FATAL: no pg_hba.conf entry (SQLSTATE 28000)", "postgresql.logins"),
        ("dial error: connection refused", "postgresql.data.host"),
    ],
)
def test_words_of_the_driver_and_the_value_that_they_mean(said: str, field: str):
    assert preparation.why(said, installation()).field == field
