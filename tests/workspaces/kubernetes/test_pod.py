"""A workspace's pod and its Secret, each as one whole; and that no field of a plan becomes structure."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workspaces.kubernetes.house import EVERYTHING, PLAN, check_schema, cluster
from tests.workspaces.kubernetes.test_objects import meta
from tre.errors import InvalidInput
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import ACCOUNT_KEY, LARGEST, SERVER_KEY, replacement, workspace_secret
from tre.workspaces.plan import DataMount, LaunchPlan

NAME = "workspace-0123456789abcdef"
META = meta(NAME, component="workspace", person="bob", workspace="0123456789abcdef")
BOB = 2076382246
AMOUNTS = {"cpu": "1500m", "memory": "1500Mi", "ephemeral-storage": "256Mi"}
CONTAINER = {
    "name": "workspace",
    "image": "localhost/tre-workspace:1",
    "imagePullPolicy": "IfNotPresent",
    "workingDir": "/home/researcher",
    "env": [
        {"name": "HOME", "value": "/home/researcher"},
        {"name": "MKL_NUM_THREADS", "value": "2"},
        {"name": "NUMEXPR_MAX_THREADS", "value": "2"},
        {"name": "OMP_NUM_THREADS", "value": "2"},
        {"name": "OPENBLAS_NUM_THREADS", "value": "2"},
        {"name": "POLARS_MAX_THREADS", "value": "2"},
        {"name": "TRE_PROJECT", "value": "cost"},
    ],
    "ports": [{"name": "jupyter", "containerPort": 8888, "protocol": "TCP"}],
    "readinessProbe": {"tcpSocket": {"port": 8888}, "periodSeconds": 1, "failureThreshold": 3},
    "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
    "securityContext": {
        "runAsNonRoot": True,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "terminationMessagePolicy": "File",
    "volumeMounts": [
        {"name": "home", "mountPath": "/home/researcher"},
        {"name": "secrets", "mountPath": "/run/tre", "readOnly": True},
        {"name": "server", "mountPath": "/run/server", "readOnly": True},
        {"name": "server", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "jupyter", "mountPath": "/run/jupyter"},
        {"name": "data", "mountPath": "/data/survey", "subPath": "x_1", "readOnly": True},
    ],
}


def secret_files(**items: str) -> dict[str, Any]:
    listed = [{"key": key, "path": path} for key, path in items.items()]
    return {"secretName": NAME, "defaultMode": 0o400, "optional": False, "items": listed}


LOST = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    for key in ("not-ready", "unreachable")
]
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": META,
    "spec": {
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "hostname": "workspace",
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 86400,
        "terminationGracePeriodSeconds": 2,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.96.0.53"], "options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": BOB,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": LOST,
        "containers": [CONTAINER],
        "volumes": [
            {"name": "home", "persistentVolumeClaim": {"claimName": "home-bob"}},
            {
                "name": "secrets",
                "secret": secret_files(**{name: name for name in ("intake.token", "pg_service.conf")}),
            },
            {"name": "server", "secret": secret_files(**{SERVER_KEY: "settings.json", ACCOUNT_KEY: "passwd"})},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "375Mi"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "375Mi"}},
            {"name": "jupyter", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        ],
    },
}


def test_the_whole_pod():
    assert workspace_pod(cluster(), PLAN) == POD
    check_schema(POD)


def test_another_image_is_all_that_differs_where_a_project_has_its_own():
    image = "registry.example/tre-workspace-r@sha256:" + "0" * 64
    chosen = cluster(images=(("cost", image),))
    assert workspace_pod(chosen, PLAN)["spec"] == {**POD["spec"], "containers": [{**CONTAINER, "image": image}]}
    other = replace(PLAN, project="benefit")
    assert workspace_pod(chosen, other) == workspace_pod(cluster(), other)


def test_what_the_installation_adds():
    made = workspace_pod(EVERYTHING, PLAN)
    check_schema(made)
    amounts = {**AMOUNTS, "ephemeral-storage": "1Gi", "nvidia.com/gpu": "2"}
    told = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": "http://mirror.example:3128/simple/",
        "PIP_TARGET": "/home/researcher/packages",
        "PIP_TRUSTED_HOST": "mirror.example",
    }
    named = [*CONTAINER["env"], *({"name": name, "value": value} for name, value in told.items())]
    packages = sorted(named, key=lambda each: each["name"])
    assert made["spec"] == {
        **POD["spec"],
        "hostUsers": False,
        "securityContext": {**POD["spec"]["securityContext"], "runAsUser": 1000},
        "priorityClassName": "workspaces",
        "nodeSelector": {"accelerator": "a100"},
        "tolerations": [*LOST, {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [{**CONTAINER, "env": packages, "resources": {"requests": amounts, "limits": amounts}}],
    }
    assert "PIP_INDEX_URL" not in json.dumps(workspace_pod(EVERYTHING, replace(PLAN, project="benefit")))
    assert "nvidia" not in json.dumps(workspace_pod(EVERYTHING, replace(PLAN, project="benefit")))


def user(installation: Cluster, **changes: str) -> int:
    made: int = workspace_pod(installation, replace(PLAN, **changes))["spec"]["securityContext"]["runAsUser"]
    return made


def test_whoever_works_in_a_project_is_a_user_of_their_own():
    plain = cluster()
    assert user(plain) == user(plain, workspace_id="another") == BOB
    others = [user(plain, person="ann"), user(plain, project="benefit"), user(plain, person="ann", project="benefit")]
    assert len({BOB, *others}) == 4
    assert all(0x70000000 <= each < 1 << 31 for each in others)
    # Where each pod has users of its own, only numbers below 65,536 exist in it.
    assert {user(EVERYTHING, person=person) for person in ("ann", "bob")} == {1000}


def test_it_runs_on_the_named_nodes_alone():
    made = workspace_pod(cluster(), replace(PLAN, nodes=("one", "two")))
    check_schema(made)
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in ("one", "two")]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert made["spec"] == {**POD["spec"], "affinity": affinity}


def test_without_files_there_is_no_data_volume():
    spec = workspace_pod(cluster(), replace(PLAN, data=()))["spec"]
    assert spec["volumes"] == POD["spec"]["volumes"][:-1]
    assert spec["containers"][0]["volumeMounts"] == CONTAINER["volumeMounts"][:-1]


def test_the_whole_secret():
    made = workspace_secret(cluster(), PLAN, pod_uid="1-2-3")
    check_schema(made)
    settings = json.loads(base64.b64decode(made["data"].pop(SERVER_KEY)))
    accounts = base64.b64decode(made["data"].pop(ACCOUNT_KEY)).decode().splitlines()
    assert accounts[0] == f"researcher:x:{BOB}:1000:researcher:/home/researcher:/bin/sh"
    assert settings == {
        "base_url": "/user/bob/cost/",
        "token_hash": hashlib.sha256(b"j" * 40).hexdigest(),
        "port": 8888,
        "limits": {"processes": 100, "file_bytes": 1 << 30, "open_files": 4096},
        "devices": False,
    }
    of_gpu = workspace_secret(EVERYTHING, PLAN, pod_uid="1-2-3")["data"][SERVER_KEY]
    assert json.loads(base64.b64decode(of_gpu))["devices"]
    assert made == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": False,
        "metadata": META | {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": NAME, "uid": "1-2-3"}]},
        "data": {"intake.token": "dGhlLXRva2Vu", "pg_service.conf": "W3Byb2plY3RdCg=="},
    }


def test_the_guards_token_is_not_in_the_secret():
    made = workspace_secret(cluster(), PLAN, pod_uid="1-2-3")
    assert not [name for name, text in made["data"].items() if PLAN.jupyter_token.encode() in base64.b64decode(text)]


def test_the_pod_holds_no_secret():
    text = json.dumps(workspace_pod(cluster(), PLAN))
    assert not [secret for secret in (*PLAN.secrets.values(), PLAN.jupyter_token) if json.dumps(secret)[1:-1] in text]


def test_a_token_is_replaced_by_itself():
    assert replacement("intake.token", "new") == {"data": {"intake.token": "bmV3"}}


@pytest.mark.parametrize("name", [SERVER_KEY, ACCOUNT_KEY, "", "../x", ".x", "a/b", "a\n"])
def test_nothing_but_a_secret_file_is_replaced(name: str):
    with pytest.raises(InvalidInput):
        replacement(name, "text")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"secrets": {}}, "secrets"),
        ({"data": (DataMount("a", "/x/same"), DataMount("b", "/y/same"))}, "data"),
        ({"data": (DataMount("a", "/x/"),)}, "data"),
        ({"data": (DataMount("a", "/x/."),)}, "data"),
        ({"project": "system"}, "project"),
        ({"project": "Upper_Case"}, "project"),
    ],
)
def test_a_plan_that_makes_no_pod_is_refused_by_field(changes: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as refused:
        workspace_pod(cluster(), replace(PLAN, **changes))
    assert refused.value.field == field


def test_secrets_larger_than_the_server_takes_are_refused_before_it_is_asked():
    with pytest.raises(InvalidInput) as refused:
        workspace_secret(cluster(), replace(PLAN, secrets={"a": "x" * LARGEST}), pod_uid="1")
    assert (refused.value.field, "xxx" in str(refused.value)) == ("secrets", False)


STRUCTURE = [
    '"},"hostNetwork":true,"x":{"y":"',
    "\n  hostPID: true\n",
    "&a *a",
    "!!python/object:x",
    "$(HOME)",
    "{{x}}",
]


@pytest.mark.parametrize("text", STRUCTURE)
@pytest.mark.parametrize("name", ["workspace_id", "person", "project", "base_url"])
def test_text_that_would_be_structure_is_no_plan(name: str, text: str):
    with pytest.raises(InvalidInput) as refused:
        replace(PLAN, **{name: text})
    assert refused.value.field == name


def shape(value: Any) -> Any:
    """Keys, lengths and kinds, without texts."""
    if isinstance(value, dict):
        return {key: shape(value[key]) for key in value}
    return [shape(each) for each in value] if isinstance(value, list) else type(value).__name__


identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)


@given(identifiers, identifiers, st.text(max_size=30), st.sampled_from(STRUCTURE))
def test_what_a_plan_may_hold_stays_text_in_its_place(workspace: str, person: str, folder: str, text: str):
    try:
        plan: LaunchPlan = replace(
            PLAN,
            workspace_id=workspace,
            person=person,
            data=(DataMount("survey", f"/state/{folder}"),),
            secrets={"intake.token": text, "pg_service.conf": text},
        )
        made, secret = workspace_pod(cluster(), plan), workspace_secret(cluster(), plan, pod_uid="1")
    except InvalidInput:
        return
    assert shape(made) == shape(POD)
    assert shape(secret) == shape(workspace_secret(cluster(), PLAN, pod_uid="1"))
    mount = made["spec"]["containers"][0]["volumeMounts"][-1]["subPath"]
    assert "/" not in mount
    assert mount not in ("", ".", "..")
    check_schema(made)
    check_schema(secret)
