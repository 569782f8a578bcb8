"""What is wrong with an installation is said by `helm install` on a real cluster, by its key, and nothing stays."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import objects
from tests.cluster.house import Space
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from .release import VALUES, Release
from .rendering import CHART, OUTSIDE, Object, Refused, changed

LOGINS = ("state-tre_app.pgpass", "state-tre_owner.pgpass", "data-tre_admin.pgpass", "hub-database.url")


@pytest.fixture
def nowhere(kubectl: Kubectl, our_place: Place, helm_program: Path) -> Iterator[Release]:
    """A namespace in which nothing is, for a release that does not come to be."""
    name = f"wrong-{secrets.token_hex(3)}"
    kubectl.apply([objects.namespace(name)])
    Space(kubectl, name)(
        "wait", "--for=create", "--timeout=30s", "serviceaccount/default", "configmap/kube-root-ca.crt"
    )
    found = Release(Space(kubectl, name), our_place, helm_program)
    yield found
    found.remove()


def refused(release: Release, values: Object, *files: Path) -> str:
    with pytest.raises(Refused) as found:
        release.helm("install", "tre", str(CHART), "--timeout=30s", values=values)
    return str(found.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("kubernetes.cidr", "everywhere", "/kubernetes/cidr"),
        ("projects.retentionDay", 3, "retentionDay"),
        ("intake.clusterIP", VALUES["dns"]["clusterIP"], "intake.clusterIP and dns.clusterIP"),
        ("openbao.ca", "mine", "openbao.ca"),
        ("doorSecrets", "mine", "doorSecrets names the Secret mine"),
        ("content.claim", "mine", "content.claim names mine"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key_and_nothing_stays(
    nowhere: Release, key: str, value: Any, said: str
) -> None:
    assert said in refused(nowhere, changed(VALUES, key, value)).replace(".", "/" if said[0] == "/" else ".")
    assert nowhere.left() == set()
    assert json.loads(nowhere.helm("list", "--all", "--output=json")) == []


def test_logins_that_are_not_there_are_named(nowhere: Release) -> None:
    values = {**OUTSIDE, "small": {"enabled": False}}
    assert "postgresql.logins names the Secret tre-logins, and there is none" in refused(nowhere, values)
    held = {name: base64.b64encode(b"x").decode() for name in LOGINS[:-1]}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tre-logins"}, "data": held}
    nowhere.space.apply(secret)
    assert "hub-database.url is not in it" in refused(nowhere, values)
    nowhere.space.apply({**secret, "data": {**held, LOGINS[-1]: base64.b64encode(b"x").decode()}})
    assert "oidc.clientSecret names the Secret tre-oidc, and there is none" in refused(nowhere, values)
    assert nowhere.left() == {"secret/tre-logins"}
