"""Each object of a project as one whole, in the API's own schema; and that a project consists of exactly these."""

from dataclasses import replace
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import CONTROL, EVERYTHING, LIMITS, WISH, check_schema, cluster
from tre.workspaces.kubernetes import desired, namespace, network
from tre.workspaces.kubernetes.content import PARTS, digest, stamp

LABELS = {
    "app.kubernetes.io/name": "tre",
    "app.kubernetes.io/managed-by": "tre-controller",
    "app.kubernetes.io/component": "project",
    "tre.example/installation": CONTROL,
    "tre.example/project": "cost",
}
RBAC = "rbac.authorization.k8s.io"


def meta(name: str, **labels: str) -> dict[str, Any]:
    changed = {
        "app.kubernetes.io/component" if key == "component" else f"tre.example/{key}": labels[key] for key in labels
    }
    return {"name": name, "namespace": "tre-cost", "labels": LABELS | changed}


def of_ours(component: str) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": CONTROL}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": component}},
    }


def tcp(port: int, **more: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port, **more}


WORKSPACES = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "workspace"}}}


def test_the_namespace_enforces_restricted_pods_in_a_pinned_version():
    assert namespace.namespace(cluster(), "cost") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "tre-cost",
            "labels": LABELS
            | {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/enforce-version": "v1.34",
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/audit-version": "v1.34",
                "pod-security.kubernetes.io/warn": "restricted",
                "pod-security.kubernetes.io/warn-version": "v1.34",
            },
        },
    }


def test_every_pod_is_denied_both_ways():
    assert network.default_deny(EVERYTHING, "cost") == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta("default-deny"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


def test_a_workspace_hears_the_guard_and_reaches_three_things():
    assert network.openings(cluster(), "cost") == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta("workspace"),
        "spec": {
            **WORKSPACES,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [of_ours("guard")], "ports": [tcp(8888)]}],
            "egress": [
                {"to": [of_ours("dns")], "ports": [{"protocol": "UDP", "port": 53}, tcp(53)]},
                {"to": [of_ours("intake")], "ports": [tcp(8080)]},
                {"to": [{"ipBlock": {"cidr": "10.0.5.7/32"}}], "ports": [tcp(5432)]},
            ],
        },
    }


def test_mirror_database_and_neighbours_are_opened_where_the_installation_says_so():
    spec = network.openings(EVERYTHING, "cost")["spec"]
    among = {"ports": [tcp(10000, endPort=65535)]}
    assert spec["ingress"][1:] == [{"from": [WORKSPACES], **among}]
    assert spec["egress"][2:] == [
        {"to": [of_ours("postgresql")], "ports": [tcp(5432)]},
        {"to": [of_ours("mirror")], "ports": [tcp(3128)]},
        {"to": [WORKSPACES], **among},
    ]
    assert of_ours("mirror") not in [rule["to"][0] for rule in network.openings(EVERYTHING, "other")["spec"]["egress"]]
    closed = network.openings(cluster(database=None), "cost")["spec"]
    assert [rule["to"] for rule in closed["egress"]] == [[of_ours("dns")], [of_ours("intake")]]


def test_neighbours_never_reach_one_anothers_jupyter():
    low, high = network.AMONG
    assert not low <= network.JUPYTER_PORT <= high


QUOTA = {
    "pods": "2",
    "requests.cpu": "3",
    "limits.cpu": "3",
    "requests.memory": "3000Mi",
    "limits.memory": "3000Mi",
    "requests.ephemeral-storage": "512Mi",
    "limits.ephemeral-storage": "512Mi",
    "count/secrets": "3",
    "persistentvolumeclaims": "5",
    "requests.storage": "140Gi",
    "services": "0",
    "services.nodeports": "0",
    "services.loadbalancers": "0",
}


def test_the_quota_follows_the_people_and_the_numbers():
    assert namespace.quota(cluster(), "cost", LIMITS, people=1, homes=2, closed=False) == {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": meta("project"),
        "spec": {"hard": QUOTA},
    }


@pytest.mark.parametrize(("people", "closed"), [(0, False), (5, True)])
def test_nobody_or_a_closed_project_has_no_pods_at_all(people: int, closed: bool):
    hard = namespace.quota(EVERYTHING, "cost", LIMITS, people=people, homes=2, closed=closed)["spec"]["hard"]
    nothing = {name for name, value in hard.items() if value == "0"}
    amounts = {f"{kind}.{what}" for kind in ("requests", "limits") for what in ("cpu", "memory", "ephemeral-storage")}
    assert {"pods", "requests.nvidia.com/gpu", *amounts} <= nothing


def test_accelerators_are_for_the_projects_that_the_installation_names():
    def gpus(slug: str) -> str:
        quota = namespace.quota(EVERYTHING, slug, LIMITS, people=3, homes=3, closed=False)
        return quota["spec"]["hard"]["requests.nvidia.com/gpu"]

    assert (gpus("cost"), gpus("benefit")) == ("12", "0")


def test_no_container_is_without_limits():
    most = {"cpu": "1500m", "memory": "1500Mi", "ephemeral-storage": "256Mi"}
    assert namespace.limit_range(cluster(), "cost", LIMITS) == {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": meta("project"),
        "spec": {
            "limits": [
                {"type": "Container", "max": most, "default": most, "defaultRequest": most},
                {"type": "Pod", "max": most},
                {"type": "PersistentVolumeClaim", "max": {"storage": "100Gi"}},
            ]
        },
    }


def test_the_service_account_gives_no_token():
    assert namespace.service_account(cluster(), "cost") == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta("default"),
        "automountServiceAccountToken": False,
    }


def test_volumes():
    assert namespace.home_claim(EVERYTHING, "cost", "Old_Member", LIMITS) == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta("home-old-member--d85e2a04d2954b27", component="home", person="old-member--d85e2a04d2954b27"),
        "spec": {
            "accessModes": ["ReadWriteOncePod"],
            "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "fast",
        },
    }
    assert namespace.data_claim(cluster(), "cost") == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta("data", component="data"),
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Gi"}}},
    }


def test_the_hub_and_nobody_else_makes_pods_and_secrets_and_reads_no_secret():
    assert namespace.role(cluster(), "cost") == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": meta("hub"),
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete", "get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]},
            {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list", "watch"]},
        ],
    }
    assert namespace.role_binding(cluster(), "cost") == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta("hub"),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "hub"},
        "subjects": [{"kind": "ServiceAccount", "name": "hub", "namespace": CONTROL}],
    }


@pytest.mark.parametrize("installation", [cluster(), EVERYTHING], ids=["least", "everything"])
def test_a_project_is_made_of_these_in_this_order_each_stamped_and_in_the_schema(installation: Any):
    made = list(desired.objects(installation, WISH))
    assert [(kind.name, each["metadata"]["name"]) for kind, each in made] == [
        ("Namespace", "tre-cost"),
        ("NetworkPolicy", "default-deny"),
        ("NetworkPolicy", "workspace"),
        ("PersistentVolumeClaim", "data"),
        ("PersistentVolumeClaim", "home-bob"),
        ("PersistentVolumeClaim", "home-old-member--d85e2a04d2954b27"),
        ("ResourceQuota", "project"),
        ("LimitRange", "project"),
        ("ServiceAccount", "default"),
        ("Role", "hub"),
        ("RoleBinding", "hub"),
    ]
    # The hub's right to make pods comes when every wall stands.
    assert [PARTS.index(kind) for kind, _ in made] == sorted(PARTS.index(kind) for kind, _ in made)
    for kind, each in made:
        check_schema(each)
        assert stamp(each) == digest(kind, each) != ""


def test_closing_changes_the_quota_only():
    before, after = (desired.wanted(cluster(), wish) for wish in (WISH, replace(WISH, open=False)))
    assert [key[0].name for key in before if before[key] != after[key]] == ["ResourceQuota"]
