"""Values as helm would merge them, and a release as helm noted it."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stack.examination.values import OUTSIDE, installation
from tre.errors import InvalidInput, NotFound
from tre.settings import PostgresServer, SecretsServer
from tre.stack.examination.installation import CHART, merged, of_files, of_release


def noted(version: int, values: dict[str, Any]) -> dict[str, Any]:
    """Helm's Secret of a release."""
    chart = {"metadata": {"appVersion": "0.1.0"}, "values": yaml.safe_load((CHART / "values.yaml").read_text())}
    whole = gzip.compress(json.dumps({"chart": chart, "config": values}).encode())
    data = base64.b64encode(base64.b64encode(whole)).decode()
    return {"metadata": {"labels": {"version": str(version)}}, "data": {"release": data}}


def test_tables_are_merged_key_by_key_and_all_else_as_a_whole():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": 2}
    assert merged(below, {"a": {"c": [3]}, "d": None, "f": {"g": 1}}) == {"a": {"b": 1, "c": [3]}, "f": {"g": 1}}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": 2}


def test_files_come_over_the_charts_own_values(tmp_path: Path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(yaml.safe_dump(OUTSIDE))
    second.write_text("api: {replicas: 3}\n")
    found = of_files("tre-system", (first, second))
    assert (found.at("api.replicas"), found.at("worker.replicas"), found.at("url")) == (3, 1, "https://tre.example")
    assert found.version == "0.1.0"
    assert not found.installed


@pytest.mark.parametrize("text", ["- a\n", "a: [", "\x00"])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str):
    file = tmp_path / "v.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"v\.yaml") as refused:
        of_files("tre-system", (file,))
    assert refused.value.field == "--values"


def test_the_newest_release_is_the_one_that_counts():
    found = of_release("tre-system", [noted(9, {"url": "https://nine"}), noted(10, {"url": "https://ten"})])
    assert (found.at("url"), found.installed) == ("https://ten", True)


def test_a_release_of_an_older_chart_has_the_values_of_this_one():
    old = noted(1, {})
    whole = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(old["data"]["release"]))))
    del whole["chart"]["values"]["projects"]["images"]
    coded = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(whole).encode()))).decode()
    assert of_release("tre-system", [{**old, "data": {"release": coded}}]).at("projects.images") == {}


def test_no_release_is_said():
    with pytest.raises(NotFound, match="no release") as refused:
        of_release("tre-system", [])
    assert "--values" in refused.value.hint


def test_a_value_that_is_missing_is_named():
    with pytest.raises(InvalidInput) as refused:
        installation().at("postgresql.state.hosts")
    assert refused.value.field == "postgresql.state.hosts"


def test_what_processes_would_be_told():
    found = installation()
    assert found.server("state", "/ca") == PostgresServer("pg.example", 5432, "verify-full", "/ca")
    assert found.secrets_server("", Path("/t")) == SecretsServer(
        "https://bao.example:8200", "", "kubernetes", "control-plane", "/t", "/etc/ssl/uni.pem"
    )
    provider = found.provider("/ca")
    assert provider
    assert (provider.issuer, provider.amr, provider.refresh_seconds) == ("https://id.example/realms/uni", ("mfa",), 300)
    assert installation(oidc__issuer="").provider("") is None


def test_the_small_profile_has_servers_of_its_own():
    found = installation(small__enabled=True)
    assert found.server("data", "") == PostgresServer("tre-postgres-data", 5432, "disable")
    assert "images (servers)" in found.images()


def test_what_must_be_there_before_is_listed_as_the_chart_checks_it():
    """templates/checks.yaml says the same, in its own language."""
    checks = (CHART / "templates" / "checks.yaml").read_text()
    for one in installation(doorSecrets="d", openbao__ca="b", proxy__ingress__tlsSecret="t", oidc__ca="i").held():
        assert f'(dict "value" "{one.value}"' in checks, one.value
        for key in one.keys:
            assert f'"{key}"' in checks, key
