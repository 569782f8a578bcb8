"""Values that make no sense are refused before anything is made, with the key and what is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .rendering import BUCKET, CHART, OUTSIDE, SMALL, Refused, changed, render

MIRROR: dict[str, Any] = {
    "namespace": "mirrors",
    "labels": {"app": "mirror"},
    "port": 3128,
    "url": "http://mirror.example:3128/simple/",
    "projects": ["study"],
}
#: (key, value, what is said)
NONSENSE: list[tuple[str, Any, str]] = [
    ("url", "", "url"),
    ("url", "https://tre.example/path", "url"),
    ("url", "tre.example", "url"),
    ("urll", "https://tre.example", "urll"),
    ("postgresql.state.host", "", "postgresql.state.host"),
    ("postgresql.state.host", "postgres://pg", "postgresql.state.host"),
    ("postgresql.state.cidr", "10.0.0.0/8", "postgresql.state.cidr"),
    ("postgresql.data.port", 70000, "postgresql.data.port"),
    ("postgresql.data.sslmode", "maybe", "postgresql.data.sslmode"),
    ("postgresql.logins", "", "postgresql.logins"),
    ("postgresql.state.password", "secret", "password"),
    ("openbao.url", "http://bao.example:8200", "openbao.url"),
    ("openbao.cidr", "everywhere", "openbao.cidr"),
    ("oidc.issuer", "http://id.example", "oidc.issuer"),
    ("oidc.issuer", "https://id.example/?a=b", "oidc.issuer"),
    ("oidc.clientId", "", "oidc.clientId"),
    ("oidc.clientSecret", "", "oidc.clientSecret"),
    ("oidc.cidr", "", "oidc.cidr"),
    ("oidc.amr", [], "oidc"),
    ("oidc.algorithms", ["HS256"], "oidc.algorithms"),
    ("oidc.algorithms", ["none"], "oidc.algorithms"),
    ("oidc.scopes", ["profile"], "oidc.scopes"),
    ("oidc.refreshSeconds", 1, "oidc.refreshSeconds"),
    ("oidc.secret", "secret", "secret"),
    ("kubernetes.cidr", "", "kubernetes.cidr"),
    ("intake.clusterIP", "None", "intake.clusterIP"),
    ("dns.clusterIP", "", "dns.clusterIP"),
    ("dns.image", "coredns", "dns.image"),
    ("dns.hosts", {"data.example": "data"}, "dns.hosts"),
    ("dns.hosts", {}, "dns.hosts has no address of postgresql.data.host"),
    ("guard.replicas", 0, "guard.replicas"),
    ("guard.resources.limits.memory", "lots", "guard.resources.limits.memory"),
    ("hub.replicas", 2, "replicas"),
    ("images.pullPolicy", "Sometimes", "images.pullPolicy"),
    ("content.bucket.name", "Outputs", "content.bucket.name"),
    ("content.bucket.endpoint", "http://s3.example", "content.bucket.endpoint"),
    ("content.bucket.endpoint", "https://s3.example/outputs", "content.bucket.endpoint"),
    ("content.bucket.prefix", "tre", "content.bucket.prefix"),
    ("content.bucket.prefix", "../", "content.bucket.prefix"),
    ("content.bucket.region", "eu west", "content.bucket.region"),
    ("content.bucket.pathStyle", "no", "content.bucket.pathStyle"),
    ("content.bucket.cidr", "0.0.0.0/0", "content.bucket.cidr"),
    ("content.bucket.secretKey", "secret", "secretKey"),
    ("content.accessMode", "ReadOnlyMany", "content.accessMode"),
    ("proxy.service.type", "ExternalName", "proxy.service.type"),
    ("projects.podSecurityVersion", "latest", "projects.podSecurityVersion"),
    ("projects.priorityClass", "system-node-critical", "projects.priorityClass"),
    ("projects.image", "workspace", "projects.image"),
    ("projects.images", {"cost": "workspace-r"}, "projects.images.cost"),
    ("dns.hosts", {"Data_Server": "10.0.5.8"}, "dns.hosts"),
    ("projects.images", {"No Slug": "workspace-r:1"}, "projects.images"),
    ("projects.mirror", MIRROR | {"labels": {}}, "projects.mirror"),
    ("projects.mirror", MIRROR | {"projects": []}, "projects.mirror"),
    ("projects.mirror", MIRROR | {"url": "http://me:password@mirror.example/"}, "projects.mirror"),
    ("projects.mirror", MIRROR, "mirror.example"),
    ("projects.gpu", {"resource": "gpu", "count": 1, "nodeLabels": {"a": "b"}, "projects": ["x"]}, "projects.gpu"),
    ("projects.gpu", {"resource": "a.b/gpu", "count": 1, "nodeLabels": {"a": "b"}, "projects": []}, "projects.gpu"),
    ("projects.retentionDays", -1, "projects.retentionDays"),
    ("admissionPolicies", "yes", "admissionPolicies"),
]


def spelled(key: str) -> tuple[str, str]:
    """A key as helm's messages may spell it."""
    return key, "/" + key.replace(".", "/")


@pytest.mark.parametrize(("key", "value", "said"), NONSENSE, ids=lambda each: str(each)[:40])
def test_nonsense_is_refused_by_its_key(helm_program: Path, key: str, value: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(helm_program, changed(OUTSIDE, key, value))
    assert any(form in str(refused.value) for form in spelled(said)), str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("endpoint", "", "content.bucket.endpoint"),
        ("credentials", "", "content.bucket.credentials"),
        ("cidr", "", "content.bucket.cidr"),
        ("port", 443, "content.bucket.port is 443, and content.bucket.endpoint says 9000"),
    ],
)
def test_a_bucket_is_said_whole(helm_program: Path, key: str, value: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(helm_program, changed(BUCKET, f"content.bucket.{key}", value))
    assert any(form in str(refused.value) for form in spelled(said)), str(refused.value)


def test_without_values_every_missing_one_is_named_at_once(helm_program: Path) -> None:
    with pytest.raises(Refused) as refused:
        render(helm_program, {})
    for key in ("url", "postgresql.state.host", "openbao.url", "kubernetes.cidr", "intake.clusterIP", "dns.clusterIP"):
        assert any(form in str(refused.value) for form in spelled(key)), key


def test_the_small_profile_takes_no_server_from_outside(helm_program: Path) -> None:
    with pytest.raises(Refused, match=r"small\.enabled"):
        render(helm_program, changed(SMALL, "openbao.url", "https://bao.example:8200"), (CHART / "values-small.yaml",))


@pytest.mark.parametrize("address", ["", SMALL["dns"]["clusterIP"]])
def test_the_small_profiles_data_server_has_an_address_of_its_own(helm_program: Path, address: str) -> None:
    with pytest.raises(Refused) as refused:
        render(helm_program, changed(SMALL, "small.dataClusterIP", address), (CHART / "values-small.yaml",))
    assert any(form in str(refused.value) for form in spelled("small.dataClusterIP")), str(refused.value)


def test_two_parts_cannot_have_one_address(helm_program: Path) -> None:
    with pytest.raises(Refused, match=r"intake\.clusterIP and dns\.clusterIP"):
        render(helm_program, changed(OUTSIDE, "dns.clusterIP", OUTSIDE["intake"]["clusterIP"]))


def test_a_namespace_that_others_use_is_refused(helm_program: Path) -> None:
    with pytest.raises(Refused, match="a namespace of its own"):
        render(helm_program, OUTSIDE, (), "--namespace=default")
