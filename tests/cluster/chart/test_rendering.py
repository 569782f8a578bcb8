"""Both profiles, rendered: objects that the API server knows, pods without rights, rights without a star."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workspaces.kubernetes.house import check_schema
from tre.door.places import Places
from tre.door.proxy import HEADERS, traefik_static
from tre.settings import IdentityProvider, Settings
from tre.settings.cluster import load
from tre.stack.cluster import PROCESSES

from .rendering import CHART, OUTSIDE, PROFILES, Object, helm, named, of_kind, pods, render

PROVIDER = IdentityProvider(
    issuer="https://id.example/realms/uni",
    client_id="tre",
    url="https://tre.example",
    amr=("mfa",),
    ca="/etc/tre/ca/oidc/ca.pem",
)
REFERENCE = re.compile(r"[a-z0-9][a-z0-9./-]*:[0-9a-z.]+")


def test_helm_finds_nothing_to_say(helm_program: Path, profile: str, tmp_path: Path) -> None:
    values, files = PROFILES[profile]
    given = tmp_path / "values.yaml"
    given.write_text(yaml.safe_dump(values))
    said = helm(helm_program, "lint", "--strict", str(CHART), *(f"--values={file}" for file in (*files, given)))
    assert "0 chart(s) failed" in said
    assert "WARNING" not in said


def test_every_object_is_one_of_the_api(rendered: list[Object]) -> None:
    """Unknown fields and wrong types are errors in the API's own models."""
    for each in rendered:
        if each["kind"] not in ("ConfigMap", "Secret"):
            check_schema(json.loads(json.dumps(each)))


def test_every_object_is_in_our_namespace_and_says_whose_it_is(rendered: list[Object]) -> None:
    wide = {"ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for each in rendered:
        assert each["metadata"].get("namespace") == (None if each["kind"] in wide else "tre-system"), each["metadata"]
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == "tre"


def test_no_pod_may_do_more_than_restricted_allows(rendered: list[Object]) -> None:
    for name, spec in pods(rendered).items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["enableServiceLinks"] is False, name
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            }, name
            assert container["resources"].keys() == {"requests", "limits"}, name
        assert not [volume for volume in spec.get("volumes", ()) if "hostPath" in volume], name


def test_only_who_asks_the_api_server_has_a_token_for_it(rendered: list[Object]) -> None:
    holders = {name for name, spec in pods(rendered).items() if spec["automountServiceAccountToken"]}
    assert holders - {"tre-openbao"} == {"tre-controller", "tre-hub"}
    assert {each["automountServiceAccountToken"] for each in of_kind(rendered, "ServiceAccount")} == {False}


def test_rights_have_no_star_and_only_the_controllers_are_the_clusters(rendered: list[Object], profile: str) -> None:
    for each in of_kind(rendered, "ClusterRole", "Role"):
        for rule in each["rules"]:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]), each["metadata"]["name"]
    bound = {
        each["metadata"]["name"]: (each["roleRef"]["name"], each["subjects"][0]["name"])
        for each in of_kind(rendered, "ClusterRoleBinding", "RoleBinding")
    }
    delegator = {"tre-openbao-tre-system": ("system:auth-delegator", "tre-openbao")} if profile == "small" else {}
    assert bound == {
        "tre-controller-tre-system": ("tre-controller-tre-system", "tre-controller"),
        "tre-controller": ("tre-controller", "tre-controller"),
        **delegator,
    }


def test_the_controller_reads_no_secret_and_runs_nothing_inside(rendered: list[Object]) -> None:
    rules = named(rendered, "ClusterRole", "tre-controller-tre-system")["rules"]
    secrets = [rule["verbs"] for rule in rules if "secrets" in rule["resources"]]
    assert secrets == [["create", "delete", "patch"]]
    assert not [rule for rule in rules if any("/" in resource for resource in rule["resources"])]


def test_each_part_has_the_secrets_of_its_own(rendered: list[Object], profile: str) -> None:
    found = {}
    for name, spec in pods(rendered).items():
        for volume in spec.get("volumes", ()):
            if volume["name"] == "secrets" and "projected" in volume:
                items = [item["key"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
                found[name.removeprefix("tre-")] = sorted(items)
    assert found == {
        "api": [
            "data-tre_admin.pgpass",
            "internal-guard.token",
            "internal-hub.token",
            "internal-intake.token",
            "internal-machine.token",
            "state-tre_app.pgpass",
            "tre-web.secret",
        ],
        "controller": ["state-tre_app.pgpass"],
        "guard": ["guard-admin.token", "guard-cookie", "internal-guard.token"],
        "hub": sorted(
            ["guard-admin.token", "hub-cookie", "hub-database.url", "internal-hub.token", "tre-web.secret"]
            + (["hub-crypt-key", "oidc-client.secret"] if profile == "outside" else [])
        ),
        "intake": ["internal-intake.token"],
        "migrate": ["state-tre_owner.pgpass"],
        "worker": ["data-tre_admin.pgpass", "state-tre_app.pgpass"],
    }


def test_the_checking_pod_holds_nothing_and_is_of_a_user_of_its_own(rendered: list[Object]) -> None:
    spec = pods(rendered)["tre-checker"]
    (container,) = spec["containers"]
    assert {next(iter(volume.keys() - {"name"})) for volume in spec["volumes"]} == {"emptyDir"}
    assert not {"env", "envFrom"} & container.keys()
    assert spec["dnsPolicy"] == "None"
    assert spec["shareProcessNamespace"] is False
    users = {name: each["securityContext"]["runAsUser"] for name, each in pods(rendered).items()}
    assert [name for name, user in users.items() if user == users["tre-checker"]] == ["tre-checker"]


def test_every_process_of_a_cluster_has_its_pod(rendered: list[Object]) -> None:
    started = {
        spec["containers"][0]["command"][3]
        for spec in pods(rendered).values()
        if spec["containers"][0].get("command", [])[1:3] == ["-m", "tre.stack.cluster"]
    }
    assert started == PROCESSES.keys()


def test_the_file_that_processes_read_is_one_that_they_take(
    rendered: list[Object], profile: str, tmp_path: Path
) -> None:
    for name in ("tre-cluster", "tre-migrate"):
        file = tmp_path / f"{name}.toml"
        file.write_text(named(rendered, "ConfigMap", name)["data"]["cluster.toml"])
        found = load(file)
        assert found.projects["control_namespace"] == "tre-system"
        assert found.identity_provider == (PROVIDER if profile == "outside" else None)
        assert found.hosts.intake == "tre-intake.tre-system.svc.cluster.local"


def test_the_identity_providers_authority_is_the_hubs_alone(rendered: list[Object], profile: str) -> None:
    """What the hub's file names is mounted where it says."""
    holders = {
        name: mount["mountPath"]
        for name, spec in pods(rendered).items()
        for mount in spec["containers"][0].get("volumeMounts", ())
        if mount["name"] == "ca-oidc"
    }
    assert holders == ({"tre-hub": PROVIDER.ca.removesuffix("/ca.pem")} if profile == "outside" else {})


def test_the_proxy_is_configured_as_the_embedded_one(rendered: list[Object]) -> None:
    data = named(rendered, "ConfigMap", "tre-proxy")["data"]
    static, rules = (yaml.safe_load(data[name]) for name in ("static.yaml", "rules.yaml"))
    embedded = traefik_static(Places(Settings(Path("/s"), Path("/r"))))
    people, theirs = static["entryPoints"]["http"], embedded["entryPoints"]["http"]
    assert {**people, "address": ""} == {**theirs, "address": ""}
    assert static["global"] == embedded["global"]
    assert rules["http"]["middlewares"]["tre-headers"]["headers"]["customResponseHeaders"] == HEADERS
    # Nobody can change a rule: no API, and a file that only an upgrade replaces.
    assert "api" not in static
    assert static["providers"]["file"]["watch"] is False
    assert {name: each["rule"] for name, each in rules["http"]["routers"].items()} == {
        "tre-web": "PathPrefix(`/tre/`) || Path(`/tre`)",
        "guard": "PathPrefix(`/user/`)",
        "hub": "PathPrefix(`/`)",
    }


def test_more_than_one_means_a_budget_and_a_spread(rendered: list[Object]) -> None:
    several = {each["metadata"]["name"] for each in of_kind(rendered, "Deployment") if each["spec"]["replicas"] > 1}
    budgets = {each["metadata"]["name"] for each in of_kind(rendered, "PodDisruptionBudget")}
    assert budgets == several - {"tre-dns"} | (budgets & {"tre-dns"})
    for name, spec in pods(rendered).items():
        if name != "tre-test":
            assert spec["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname", name


def test_every_image_is_ours_or_named_in_the_values(rendered: list[Object]) -> None:
    images = {container["image"] for spec in pods(rendered).values() for container in spec["containers"]}
    assert all(REFERENCE.fullmatch(image) for image in images)
    assert {image for image in images if not image.startswith("localhost/tre-")} == {
        "registry.k8s.io/coredns/coredns:v1.12.0"
    }


def test_an_ingress_is_for_the_host_of_the_url_alone(helm_program: Path) -> None:
    values = {**OUTSIDE, "proxy": {"ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tre-tls"}}}
    assert named(render(helm_program, values), "Ingress", "tre")["spec"] == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["tre.example"], "secretName": "tre-tls"}],
        "rules": [
            {
                "host": "tre.example",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "tre-proxy", "port": {"name": "people"}}},
                        }
                    ]
                },
            }
        ],
    }


def keys(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict) or not value:
        return {path}
    return {key for name, each in value.items() for key in keys(each, f"{path}.{name}" if path else name)}


def known(schema: dict[str, Any], whole: dict[str, Any], path: str = "") -> set[str]:
    if "$ref" in schema:
        schema = whole["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    properties = schema.get("properties")
    if not properties:
        return {path}
    return {key for name, each in properties.items() for key in known(each, whole, f"{path}.{name}" if path else name)}


def test_every_key_is_in_the_values_and_every_value_has_a_rule() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert keys(values) == known(schema, schema) - {"global"}


@pytest.mark.parametrize("name", ["outside", "small"])
def test_what_is_rendered_twice_differs_only_in_what_is_drawn(helm_program: Path, name: str) -> None:
    values, files = PROFILES[name]
    first, second = ([each for each in render(helm_program, values, files) if each["kind"] != "Secret"] for _ in "ab")
    drawn = {"tre-ca"} if name == "small" else set()
    assert [a["metadata"]["name"] for a, b in zip(first, second, strict=True) if a != b] == sorted(drawn)
