"""A cluster as it was seen, judged: no cluster needed."""

import base64
import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stack.examination.house import Authority
from tests.stack.examination.values import installation
from tre.stack.examination import accelerators, kubernetes, storage
from tre.stack.examination.finding import Finding, Level, exit_code
from tre.stack.examination.installation import DOOR, LOGINS, Installation
from tre.stack.examination.seen import Claim, Cluster, Node, Part, StorageClass

NOW = datetime.datetime.now(datetime.UTC)


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PASSWORDS = {key: coded(f"*:*:*:{key.partition('-')[2].removesuffix('.pgpass')}:secret\n") for key in LOGINS}
HELD: dict[tuple[str, str], dict[str, str] | None] = {
    ("secrets", "tre-logins"): PASSWORDS,
    ("secrets", "tre-oidc"): {"oidc-client.secret": coded("x")},
    ("configmaps", "pg-ca"): {"ca.pem": "x"},
}
#: Everything as the chart wants it.
GOOD = Cluster(
    version="v1.34.2",
    admission_policies=True,
    labels={"pod-security.kubernetes.io/enforce": "restricted"},
    privileged='pods is forbidden: violates PodSecurity "restricted:latest": privileged',
    classes={"files": StorageClass("cephfs.csi.ceph.com", True), "disk": StorageClass("ebs.csi.aws.com", False)},
    claims={},
    quotas={},
    services={"10.96.0.1": "default/kubernetes"},
    endpoints=(("10.0.0.1", 6443), ("10.0.0.2", 6443)),
    nodes=(Node("n1", {"kind": "plain"}), Node("n2", {"kind": "a100"}, {"example.org/gpu": "2", "cpu": "8"})),
    images=frozenset(installation().images().values()),
    ingress_classes={"nginx": True},
    priority_classes=frozenset({"high"}),
    held=HELD,
    pull_secrets={},
    parts=(),
)


def judged(wanted: Installation, seen: Cluster) -> list[Finding]:
    return [*kubernetes.judge(wanted, seen, NOW), *storage.judge(wanted, seen), *accelerators.judge(wanted, seen)]


def wrong(wanted: Installation, seen: Cluster) -> list[tuple[str, str, str]]:
    """(level, value, what was found) of what is not right, but for the missing way in, which OUTSIDE leaves away."""
    found = [one for one in judged(wanted, seen) if one.level is not Level.ok]
    assert all(one.remedy for one in found)
    return [(one.level.value, one.value, one.found) for one in found if one.value != "proxy.ingress.enabled"]


def test_a_cluster_as_it_should_be_has_one_doubt():
    (doubt,) = [one for one in judged(installation(), GOOD) if one.level is not Level.ok]
    assert (doubt.level, doubt.value) == (Level.warning, "proxy.ingress.enabled")
    assert exit_code(judged(installation(), GOOD)) == 0


#: (what was seen otherwise, level, value, some words)
SEEN: list[tuple[dict[str, Any], str, str, str]] = [
    ({"version": "v1.29.4"}, "fail", "kubernetes", "v1.29.4"),
    ({"version": "v1.31.0+k3s1"}, "warning", "projects.podSecurityVersion", "v1.34 is later"),
    ({"admission_policies": False}, "fail", "admissionPolicies", "ValidatingAdmissionPolicy"),
    ({"labels": {}}, "fail", "namespace tre-system", "no such namespace"),
    ({"labels": {"x": "y"}}, "fail", "namespace tre-system", "no level"),
    ({"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}, "fail", "namespace tre-system", "baseline"),
    ({"privileged": ""}, "fail", "namespace tre-system", "would be let in"),
    ({"privileged": "quota exceeded"}, "warning", "namespace tre-system", "not by Pod Security"),
    ({"endpoints": (("10.0.0.9", 6443),)}, "fail", "kubernetes.cidr", "10.0.0.9"),
    ({"endpoints": (("10.0.0.1", 443),)}, "fail", "kubernetes.port", "443"),
    ({"services": {"10.96.0.77": "web/shop"}}, "fail", "intake.clusterIP", "web/shop"),
    ({"services": {"10.96.0.78": "kube-system/kube-dns"}}, "fail", "dns.clusterIP", "kube-dns"),
    ({"addresses": {"10.96.0.77": "not in the valid range"}}, "fail", "intake.clusterIP", "valid range"),
    ({"held": {**HELD, ("secrets", "tre-logins"): None}}, "fail", "postgresql.logins", "There is none"),
    ({"held": {**HELD, ("configmaps", "pg-ca"): {}}}, "fail", "postgresql.ca", "ca.pem"),
    (
        {"held": {**HELD, ("secrets", "tre-logins"): {**PASSWORDS, "data-tre_admin.pgpass": coded("secret")}}},
        "fail",
        "postgresql.logins",
        "data-tre_admin.pgpass is no login",
    ),
    ({"pull_secrets": {"mine": False}}, "fail", "images.pullSecrets", "mine"),
    ({"classes": {}}, "warning", "content.storageClass", "no default class"),
    ({"classes": {"x": StorageClass("ebs.csi.aws.com", True)}}, "fail", "content.storageClass", "on one node"),
    ({"classes": {"x": StorageClass("acme.example", True)}}, "warning", "content.storageClass", "not known here"),
    ({"classes": {"x": StorageClass("ebs.csi.aws.com", True)}}, "fail", "projects.storage.dataClass", "on one node"),
    (
        {"classes": {"x": StorageClass("nfs.csi.k8s.io", True)}},
        "warning",
        "projects.storage.homeClass",
        "can fill the disk of all",
    ),
    ({"quotas": {"q": {"pods": ("8", "10")}}}, "fail", "resources", "8 of 10 pods"),
    ({"quotas": {"q": {"requests.memory": ("0", "1Gi")}}}, "fail", "resources", "0 of 1Gi requests.memory"),
    ({"quotas": {"q": {"limits.cpu": ("0", "500m")}}}, "fail", "resources", "limits.cpu"),
]


@pytest.mark.parametrize(("changes", "level", "value", "words"), SEEN, ids=lambda each: str(each)[:50])
def test_what_is_wrong_with_a_cluster_is_named_by_its_value(
    changes: dict[str, Any], level: str, value: str, words: str
):
    found = wrong(installation(), replace(GOOD, **changes))
    assert [one for one in found if one[:2] == (level, value) and words in one[2]], found


#: (what is wanted otherwise, level, value, some words)
WANTED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"content__storageClass": "none"}, "fail", "content.storageClass", "there is disk, files"),
    ({"content__storageClass": "disk"}, "fail", "content.storageClass", "on one node"),
    ({"content__claim": "mine"}, "fail", "content.claim", "no claim mine"),
    ({"content__accessMode": "ReadWriteOnce"}, "warning", "content.accessMode", "on one node"),
    ({"intake__clusterIP": ""}, "fail", "intake.clusterIP", "None is given"),
    ({"dns__hosts": {"data.example": "10.0.9.9"}}, "fail", "dns.hosts", "10.0.9.9, and policies open 10.0.5.8/32"),
    ({"priorityClass": "low"}, "fail", "priorityClass", "no such class"),
    ({"url": "http://tre.example"}, "warning", "url", "in the clear"),
    ({"images__tag": "2.0", "images__pullPolicy": "Never"}, "fail", "images (hub)", "No node has it"),
    ({"images__registry": "localhost"}, "fail", "images.registry", "no registry"),
    ({"images__tag": "2.0"}, "warning", "images (hub)", "not seen"),
    (
        {"proxy__ingress__enabled": True, "proxy__ingress__className": "traefik"},
        "fail",
        "proxy.ingress.className",
        "nginx",
    ),
]


GPU = {"resource": "example.org/gpu", "count": 2, "nodeLabels": {"kind": "a100"}, "projects": ["study"]}
WANTED += [
    ({"projects__gpu": {**GPU, "count": 3}}, "fail", "projects.gpu.resource", "Of n2 none offers 3 example.org/gpu"),
    ({"projects__gpu": {**GPU, "nodeLabels": {"kind": "plain"}}}, "fail", "projects.gpu.resource", "Of n1 none offers"),
    ({"projects__gpu": {**GPU, "nodeLabels": {"kind": "h100"}}}, "fail", "projects.gpu.nodeLabels", "kind=h100"),
]


def test_accelerators_that_nodes_have_are_named():
    (found,) = accelerators.judge(installation(projects__gpu=GPU), GOOD)
    assert (found.level, found.found) == (Level.ok, "2 example.org/gpu each, on n2.")
    (unseen,) = accelerators.judge(installation(projects__gpu=GPU), replace(GOOD, nodes=None))
    assert unseen.level is Level.warning


@pytest.mark.parametrize(("changes", "level", "value", "words"), WANTED, ids=lambda each: str(each)[:50])
def test_what_is_wrong_with_values_is_named(changes: dict[str, Any], level: str, value: str, words: str):
    found = wrong(installation(**changes), GOOD)
    assert [one for one in found if one[:2] == (level, value) and words in one[2]], found


def test_a_claim_that_is_bound_says_what_it_is():
    seen = replace(GOOD, classes={}, claims={"tre-content": Claim("Bound", ("ReadWriteMany",))})
    assert "content.storageClass" not in {one[1] for one in wrong(installation(), seen)}
    lost = replace(GOOD, claims={"tre-content": Claim("Lost", ("ReadWriteMany",))})
    assert ("fail", "content.claim", "Its volume is lost.") in wrong(installation(), lost)
    other = replace(GOOD, claims={"mine": Claim("Bound", ("ReadWriteOnce",))})
    assert "content.accessMode says" in wrong(installation(content__claim="mine"), other)[0][2]


def test_our_own_addresses_are_ours():
    ours = {"10.96.0.77": "tre-system/tre-intake", "10.96.0.78": "tre-system/tre-dns"}
    assert wrong(installation(installed=True), replace(GOOD, services=ours)) == []
    assert {one[1] for one in wrong(installation(installed=True), GOOD)} == {"intake.clusterIP", "dns.clusterIP"}


def test_what_was_not_shown_is_never_right():
    """Somebody without any right sees nothing, and is told of nothing that it is right."""
    asked = ("namespace", "admission", "storage classes", "claims", "quotas", "services", "endpoints", "nodes")
    unseen = dict.fromkeys((*asked, "ingress classes", "priority classes", "pods"), "The API server refuses us")
    unseen |= {f"{kind}/{name}": "refused" for kind, name in HELD}
    wanted = installation(installed=True, priorityClass="high", proxy__ingress__enabled=True)
    found = judged(wanted, Cluster(unseen=unseen, version="v1.34.0", admission_policies=True))
    right = {one.value for one in found if one.level is Level.ok}
    assert right == {"kubernetes"}
    assert exit_code(found) == 0


def test_without_an_api_server_there_is_one_failure():
    (first, *_) = judged(installation(), Cluster(unseen={"version": "The API server does not answer."}))
    assert (first.level, exit_code([first])) == (Level.fail, 75)


def test_a_pod_that_is_not_ready_is_told_with_its_first_line():
    part = Part("tre-api-1", "CrashLoopBackOff", "registry.example/tre/tre-control:1.0", "postgresql.state.host: …")
    found = wrong(installation(installed=True), replace(GOOD, parts=(part,)))
    assert ("fail", "pods", "It is not ready (CrashLoopBackOff). postgresql.state.host: …") in found


def test_an_image_that_does_not_come_is_named():
    image = "registry.example/tre/tre-hub:1.0"
    part = Part("tre-hub-1", "ImagePullBackOff", image, "manifest unknown")
    found = wrong(installation(installed=True), replace(GOOD, parts=(part,)))
    assert ("fail", "images (hub)", "tre-hub-1: ImagePullBackOff. manifest unknown") in found


@pytest.mark.parametrize(
    ("names", "until", "level", "words"),
    [
        (("tre.example",), 90.5, "ok", "90 more days"),
        (("*.example",), 90.5, "ok", "90 more days"),
        (("other.example",), 90.5, "fail", "for other.example"),
        (("tre.example",), 5.5, "warning", "5 more days"),
        (("tre.example",), -5.5, "fail", "expired 5 days ago"),
        (("*.tre.example",), 90.5, "fail", "for *.tre.example"),
    ],
)
def test_the_certificate_that_people_see(tmp_path: Path, names: tuple[str, ...], until: float, level: str, words: str):
    pair = Authority(tmp_path).pair(*names, since=-30, until=until)
    held = {**HELD, ("secrets", "tls"): {"tls.crt": coded(pair.chain.read_text()), "tls.key": "x"}}
    wanted = installation(proxy__ingress__enabled=True, proxy__ingress__tlsSecret="tls")
    (found,) = [one for one in judged(wanted, replace(GOOD, held=held)) if one.name == "certificate for people"]
    assert (found.level.value, found.value) == (level, "proxy.ingress.tlsSecret")
    assert words in found.found


def test_every_secret_of_the_door_is_looked_for():
    held = {**HELD, ("secrets", "mine"): dict.fromkeys(DOOR[1:], "x")}
    found = wrong(installation(doorSecrets="mine"), replace(GOOD, held=held))
    assert ("fail", "doorSecrets", f"Not in it: {DOOR[0]}.") in found


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("2", "2"), ("1Gi", "1073741824"), ("1k", "1000"), ("1M", "1000000"), ("x", None)],
)
def test_quantities(text: str, number: str | None):
    found = storage.quantity(text)
    assert found == (None if number is None else type(found)(number))
