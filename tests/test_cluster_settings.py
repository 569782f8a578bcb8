"""The file of a cluster: what it decides, and that no mistake in it is without effect."""

from pathlib import Path

import pytest

from tre.door.places import Places
from tre.errors import InvalidInput
from tre.settings import Bucket, Settings
from tre.settings.cluster import Hosts, OnCluster, PostgresServer, SecretsServer, load

FILE = """
[state]
host = "pg.example"
sslrootcert = "/etc/tre/ca/pg.pem"
[data]
host = "data.example"
port = 5433
[openbao]
url = "https://bao.example:8200"
[hosts]
intake = "tre-intake.tre-system.svc.cluster.local"
[projects]
control_namespace = "tre-system"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.toml"
    file.write_text(FILE)
    return file


def test_the_whole_file(file: Path):
    assert load(file) == OnCluster(
        state=PostgresServer("pg.example", 5432, "verify-full", "/etc/tre/ca/pg.pem"),
        data=PostgresServer("data.example", 5433),
        openbao=SecretsServer("https://bao.example:8200"),
        hosts=Hosts(intake="tre-intake.tre-system.svc.cluster.local"),
        projects={"control_namespace": "tre-system"},
    )


def test_a_bucket_is_a_table_of_its_own(file: Path, tmp_path: Path):
    file.write_text(FILE + '[bucket]\nendpoint = "https://s3.example"\nname = "outputs"\npath_style = false\n')
    found = Settings.load({"TRE_STATE": str(tmp_path), "TRE_RUN": "/tmp/r", "TRE_CLUSTER": str(file)})
    assert found.bucket == Bucket("https://s3.example", "outputs", path_style=False)
    for line, key in (('path_style = "no"', "path_style"), ("region = true", "region"), ('secret = "x"', "secret")):
        file.write_text(FILE + f'[bucket]\nendpoint = "https://s3.example"\nname = "outputs"\n{line}\n')
        with pytest.raises(InvalidInput) as refused:
            load(file)
        assert refused.value.field == f"bucket.{key}"


def test_with_it_everything_is_reached_over_the_network(file: Path, tmp_path: Path):
    found = Settings.load({"TRE_STATE": str(tmp_path), "TRE_RUN": "/tmp/r", "TRE_CLUSTER": str(file)})
    assert Settings.load(found.environment()) == found
    assert found.state_url("tre_app") == (
        f"postgresql+psycopg://tre_app@/tre?host=pg.example&passfile={tmp_path}/secrets/state-tre_app.pgpass"
        "&port=5432&sslmode=verify-full&sslrootcert=/etc/tre/ca/pg.pem"
    )
    assert found.data_conninfo("tre_admin") == (
        f"host='data.example' user='tre_admin' dbname='datasets' passfile='{tmp_path}/secrets/data-tre_admin.pgpass'"
        " port='5433' sslmode='verify-full'"
    )
    assert found.openbao == SecretsServer("https://bao.example:8200")
    places = Places(found)
    assert (places.listen, places.internal, places.guard_admin, places.guard_url, found.intake_url) == (
        "0.0.0.0",
        "http://tre-api:8005",
        "http://tre-guard:8006",
        "http://tre-guard:8002",
        "http://tre-intake.tre-system.svc.cluster.local:8007",
    )


def test_without_it_nothing_leaves_the_machine(tmp_path: Path):
    found = Settings.load({"TRE_STATE": str(tmp_path), "TRE_RUN": "/tmp/r"})
    places = Places(found)
    assert (found.cluster, found.openbao) == (None, Path("/tmp/r/openbao.sock"))
    assert (places.listen, places.internal, places.guard_admin, found.intake_url) == (
        "127.0.0.1",
        Path("/tmp/r/internal.sock"),
        Path("/tmp/r/guard.sock"),
        "",
    )


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("[hosts]", "[hsots]", "hsots"),
        ('host = "pg.example"', "", "state.host"),
        ('host = "pg.example"', 'host = "pg example"', "state.host"),
        ("port = 5433", 'port = "5433"', "data.port"),
        ("port = 5433", "port = true", "data.port"),
        ("port = 5433", "port = 0", "data.port"),
        ("port = 5433", 'sslmode = "prefer"', "data.sslmode"),
        ("https://", "", "openbao.url"),
        ("[hosts]", 'database_ca = "/a b"\n[hosts]', "openbao.database_ca"),
        ("intake =", "intaek =", "hosts.intaek"),
        ("[projects]", "projects = 1\n[other]", "other"),
        ("[state]", "state = 1\n[other]", "other"),
        ("[state]", "[state", "TRE_CLUSTER"),
    ],
)
def test_a_mistake_is_named_by_its_key(file: Path, old: str, new: str, field: str):
    file.write_text(FILE.replace(old, new, 1))
    with pytest.raises(InvalidInput) as refusal:
        load(file)
    assert refusal.value.field == field


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput) as refusal:
        Settings.load({"TRE_STATE": str(tmp_path), "TRE_CLUSTER": str(tmp_path / "none.toml")})
    assert refusal.value.field == "TRE_CLUSTER"
