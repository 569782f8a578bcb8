"""Both profiles, rendered: objects that the API server knows, pods without rights, rights without a star."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workspaces.kubernetes.house import check_schema
from tre.door.places import Places
from tre.door.proxy import told, traefik_static
from tre.settings import IdentityProvider, Settings
from tre.settings.cluster import load
from tre.settings.identity import SECRET_FILE
from tre.stack.cluster import PROCESSES
from tre.stack.examination.installation import of_files
from tre.workspaces.kubernetes.cluster import Gpu
from tre.workspaces.kubernetes.installation import cluster_of

from .rendering import CHART, OUTSIDE, PROFILES, Object, changed, helm, named, of_kind, pods, render

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
    bucket = ["bucket-access-key-id", "bucket-secret-access-key"] if profile == "bucket" else []
    assert found == {
        "api": [
            *bucket,
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
            + (["hub-crypt-key", "oidc-client.secret"] if profile != "small" else [])
        ),
        "intake": ["internal-intake.token"],
        "migrate": ["state-tre_owner.pgpass"],
        "worker": [*bucket, "data-tre_admin.pgpass", "state-tre_app.pgpass"],
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
        assert found.identity_provider == (PROVIDER if profile != "small" else None)
        assert found.hosts.intake == "tre-intake.tre-system.svc.cluster.local"


def test_what_tre_doctor_takes_for_the_settings_is_what_processes_are_told(
    rendered: list[Object], profile: str, tmp_path: Path
) -> None:
    """It reads the values, where processes read what the chart makes of them; where files lie is another matter."""
    file = tmp_path / "c.toml"
    file.write_text(named(rendered, "ConfigMap", "tre-cluster")["data"]["cluster.toml"])
    told = load(file)
    values, files = PROFILES[profile]
    (tmp_path / "v.yaml").write_text(yaml.safe_dump(values))
    found = of_files("tre-system", (*files, tmp_path / "v.yaml"))
    for name, server in (("state", told.state), ("data", told.data)):
        assert found.server(name, server.sslrootcert) == server
    token = Path(told.openbao.token_file)
    assert found.secrets_server(told.openbao.ca, token) == told.openbao
    assert found.provider(PROVIDER.ca) == told.identity_provider
    assert found.bucket(told.bucket.ca if told.bucket else "") == told.bucket
    images = {container["image"] for spec in pods(rendered).values() for container in spec["containers"]}
    assert images | {told.projects["image"]} == set(found.images().values())


def test_projects_may_have_images_of_their_own(helm_program: Path, tmp_path: Path) -> None:
    images = {"cost": "registry.example/tre-workspace-r:1", "two-words": "registry.example/x@sha256:" + "0" * 64}
    objects = render(helm_program, changed(OUTSIDE, "projects.images", images))
    found = cluster_of(settings_of(objects, "hub", tmp_path))
    assert {project: found.image_of(project) for project in images} == images
    assert found.image_of("other") == "localhost/tre-workspace:0.1.0"


def test_projects_may_have_accelerators(helm_program: Path, tmp_path: Path) -> None:
    given = {
        "resource": "nvidia.com/gpu",
        "count": 2,
        "nodeLabels": {"example.org/kind": "a100"},
        "projects": ["cost"],
    }
    objects = render(helm_program, changed(OUTSIDE, "projects.gpu", given))
    found = cluster_of(settings_of(objects, "hub", tmp_path))
    labels = (("example.org/kind", "a100"),)
    assert found.gpu == Gpu("nvidia.com/gpu", 2, labels, "", frozenset({"cost"}))
    assert (found.has_gpu("cost"), found.has_gpu("other")) == (True, False)
    assert cluster_of(settings_of(render(helm_program, OUTSIDE), "hub", tmp_path)).gpu is None


#: Each key of `oidc` with a value that is not the chart's own, and what the processes read then.
OIDC: list[tuple[str, Any, str, Any]] = [
    ("issuer", "https://login.example/x/", "issuer", "https://login.example/x/"),
    ("clientId", "tre-2", "client_id", "tre-2"),
    ("name", 'The "Uni" of \\ X', "name", 'The "Uni" of \\ X'),
    ("scopes", ["openid"], "scopes", ("openid",)),
    ("prompt", "", "prompt", ""),
    ("algorithms", ["ES384"], "algorithms", ("ES384",)),
    ("amr", ["otp", "hwk"], "amr", ("otp", "hwk")),
    ("acr", ["urn:loa:2"], "acr", ("urn:loa:2",)),
    ("refreshSeconds", 604800, "refresh_seconds", 604800),
    ("graceSeconds", 0, "grace_seconds", 0),
    ("localAccounts", True, "local_accounts", True),
    ("ca", "", "ca", ""),
]


@pytest.mark.parametrize(("key", "value", "ours", "read"), OIDC, ids=[each[0] for each in OIDC])
def test_every_key_of_the_identity_provider_reaches_the_hub_and_the_api(
    helm_program: Path, tmp_path: Path, key: str, value: Any, ours: str, read: Any
) -> None:
    """By what each pod is told in its environment, read by the processes' own settings."""
    objects = render(helm_program, changed(OUTSIDE, f"oidc.{key}", value))
    for part in ("hub", "api"):
        found = settings_of(objects, part, tmp_path).identity_provider
        assert found == replace(PROVIDER, **{ours: read})


def settings_of(objects: list[Object], part: str, folder: Path) -> Settings:
    """As the part's container would load them, its folders moved to one of ours."""
    spec = pods(objects)[f"tre-{part}"]
    (container,) = spec["containers"]
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "cluster"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "cluster"]
    key = told["TRE_CLUSTER"].removeprefix(f"{mount['mountPath']}/")
    file = folder / f"{part}.toml"
    file.write_text(named(objects, "ConfigMap", volume["configMap"]["name"])["data"][key])
    return Settings.load({**told, "TRE_CLUSTER": str(file), "TRE_STATE": str(folder)})


def test_the_clients_secret_comes_to_the_hub_by_the_name_that_it_reads(helm_program: Path) -> None:
    objects = render(helm_program, changed(OUTSIDE, "oidc.clientSecret", "mine"))
    holders = {
        name: source["secret"]["items"]
        for name, spec in pods(objects).items()
        for volume in spec.get("volumes", ())
        for source in volume.get("projected", {}).get("sources", ())
        if source.get("secret", {}).get("name") == "mine"
    }
    assert holders == {"tre-hub": [{"key": SECRET_FILE, "path": SECRET_FILE}]}


def test_without_an_authority_of_their_own_servers_are_held_to_those_of_the_image(helm_program: Path) -> None:
    """libpq would look for a file in a home that nobody has, and refuse every server."""
    for mode, file in (("verify-full", "/etc/ssl/certs/ca-certificates.crt"), ("require", "")):
        values = changed(OUTSIDE, "postgresql.state.sslmode", mode)
        text = named(render(helm_program, values), "ConfigMap", "tre-cluster")["data"]["cluster.toml"]
        assert tomllib.loads(text)["state"].get("sslrootcert", "") == file


def test_the_identity_providers_authority_is_the_hubs_alone(rendered: list[Object], profile: str) -> None:
    """What the hub's file names is mounted where it says."""
    holders = {
        name: mount["mountPath"]
        for name, spec in pods(rendered).items()
        for mount in spec["containers"][0].get("volumeMounts", ())
        if mount["name"] == "ca-oidc"
    }
    assert holders == ({"tre-hub": PROVIDER.ca.removesuffix("/ca.pem")} if profile != "small" else {})


def test_the_proxy_is_configured_as_the_embedded_one(rendered: list[Object], profile: str) -> None:
    data = named(rendered, "ConfigMap", "tre-proxy")["data"]
    static, rules = (yaml.safe_load(data[name]) for name in ("static.yaml", "rules.yaml"))
    embedded = traefik_static(Places(Settings(Path("/s"), Path("/r"))))
    people, theirs = static["entryPoints"]["http"], embedded["entryPoints"]["http"]
    assert {**people, "address": ""} == {**theirs, "address": ""}
    assert static["global"] == embedded["global"]
    assert rules["http"]["middlewares"]["tre-headers"] == told(https=PROFILES[profile][0]["url"].startswith("https"))
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
