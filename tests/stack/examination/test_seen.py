"""What is asked of an API server, and what becomes of its answers: a stand-in. The real one is in tests/cluster."""

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stack.examination.house import Web, kubeconfig, token, web
from tests.stack.examination.test_installation import noted
from tests.stack.examination.values import OUTSIDE, installation
from tre.stack.examination.seen import Claim, Gatherer, Node, Part, StorageClass
from tre.stack.ports import free_ports
from tre.workspaces.kubernetes.api import Api

HERE = "/api/v1/namespaces/tre-system"
PODS = ("POST", f"{HERE}/pods")


def listed(*items: Any) -> tuple[int, Any]:
    return 200, {"items": list(items)}


def pod(name: str, *, ready: bool = False, waiting: dict[str, str] | None = None) -> dict[str, Any]:
    statuses = [{"image": "i:1", "state": {"waiting": waiting} if waiting else {"running": {}}}]
    condition = {"type": "Ready", "status": str(ready)}
    return {"metadata": {"name": name}, "status": {"containerStatuses": statuses, "conditions": [condition]}}


ANSWERS: dict[tuple[str, str], tuple[int, Any]] = {
    ("GET", "/version"): (200, {"gitVersion": "v1.34.2"}),
    ("GET", "/apis/admissionregistration.k8s.io/v1"): (200, {"resources": [{"name": "validatingadmissionpolicies"}]}),
    ("GET", HERE): (200, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
    PODS: (403, {"message": 'violates PodSecurity "restricted:latest"'}),
    ("GET", "/apis/storage.k8s.io/v1/storageclasses"): listed(
        {
            "metadata": {"name": "nfs", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "nfs.csi.k8s.io",
        }
    ),
    ("GET", f"{HERE}/persistentvolumeclaims"): listed(
        {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteMany"]}, "status": {"phase": "Bound"}}
    ),
    ("GET", f"{HERE}/resourcequotas"): listed(
        {"metadata": {"name": "q"}, "status": {"hard": {"pods": "10"}, "used": {"pods": "4"}}}
    ),
    ("GET", "/api/v1/services"): listed(
        {"metadata": {"namespace": "default", "name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1"}}
    ),
    ("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"): listed(
        {"ports": [{"port": 6443}], "endpoints": [{"addresses": ["10.0.0.1"]}]}
    ),
    ("GET", "/api/v1/nodes"): listed(
        {
            "metadata": {"name": "n1", "labels": {"kind": "a100"}},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "images": [{"names": ["i:1"]}],
                "allocatable": {"cpu": "8"},
            },
        }
    ),
    ("GET", "/apis/networking.k8s.io/v1/ingressclasses"): listed({"metadata": {"name": "nginx"}}),
    ("GET", "/apis/scheduling.k8s.io/v1/priorityclasses"): listed({"metadata": {"name": "high"}}),
    ("GET", f"{HERE}/secrets/tre-logins"): (200, {"data": {"hub-database.url": "eA=="}}),
    ("GET", f"{HERE}/pods"): listed(
        pod("tre-a", ready=True),
        pod("tre-b", waiting={"reason": "CrashLoopBackOff", "message": "back-off"}),
        pod("tre-c", waiting={"reason": "ErrImagePull", "message": "no such manifest"}),
    ),
    ("GET", f"{HERE}/pods/tre-b/log"): (200, "\npostgresql.state.host: nobody there. Mend it.\nTraceback\n"),
}


@pytest.fixture
def cluster() -> Iterator[Web]:
    with web(ANSWERS) as found:
        yield found


def test_everything_is_gathered(cluster: Web, tmp_path: Path):
    api = Api.connect(kubeconfig(tmp_path, cluster.url))
    seen = Gatherer(api, installation(installed=True)).gather()
    assert (seen.version, seen.admission_policies, seen.privileged) == (
        "v1.34.2",
        True,
        'The API server refuses us: violates PodSecurity "restricted:latest"',
    )
    assert seen.classes == {"nfs": StorageClass("nfs.csi.k8s.io", True)}
    assert seen.claims == {"c": Claim("Bound", ("ReadWriteMany",))}
    assert seen.quotas == {"q": {"pods": ("4", "10")}}
    assert seen.services == {"10.96.0.1": "default/kubernetes"}
    assert seen.endpoints == (("10.0.0.1", 6443),)
    assert (seen.nodes, seen.images) == ((Node("n1", {"kind": "a100"}, {"cpu": "8"}),), {"i:1"})
    assert (seen.ingress_classes, seen.priority_classes) == ({"nginx": False}, {"high"})
    assert seen.held["secrets", "tre-logins"] == {"hub-database.url": "eA=="}
    assert seen.held["secrets", "tre-oidc"] is None
    assert seen.parts == (
        Part("tre-b", "CrashLoopBackOff", "i:1", "postgresql.state.host: nobody there. Mend it."),
        Part("tre-c", "ErrImagePull", "i:1", "no such manifest"),
    )
    assert seen.unseen == {}


def test_nothing_is_written(cluster: Web, tmp_path: Path):
    """What is sent is sent as a dry run."""
    cluster.answers["POST", f"{HERE}/services"] = (422, {"message": "not in the valid range"})
    seen = Gatherer(Api.connect(kubeconfig(tmp_path, cluster.url)), installation()).gather()
    sent = [(method, path) for method, path, _ in cluster.asked if method != "GET"]
    assert sorted(set(sent)) == [("POST", f"{HERE}/{kind}?dryRun=All") for kind in ("pods", "services")]
    assert all("valid range" in said for said in seen.addresses.values())
    assert seen.addresses.keys() == {"10.96.0.77", "10.96.0.78"}


def test_what_is_refused_is_noted_with_the_reason(cluster: Web, tmp_path: Path):
    for asked in ANSWERS:
        if asked != ("GET", "/version"):
            cluster.answers[asked] = (403, {"message": f"no right: {asked[1]}"})
    seen = Gatherer(Api.connect(kubeconfig(tmp_path, cluster.url)), installation(installed=True)).gather()
    assert (seen.version, seen.classes, seen.quotas, seen.parts) == ("v1.34.2", None, None, None)
    assert "no right" in seen.unseen["storage classes"]
    assert "no right" in seen.unseen["secrets/tre-logins"]


def doctor(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "KUBECONFIG": str(kubeconfig(folder, url)),
        "TRE_STATE": str(folder / "state"),
        "TRE_RUN": "/tmp/tre-doctor",
    }
    command = [sys.executable, "-m", "tre.cli.main", "doctor", "--cluster", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_judges_values_before_anything_is_installed(cluster: Web, tmp_path: Path):
    """No server of these values is anywhere, so names fail; each line has its value and its remedy."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({**OUTSIDE, "postgresql": {**OUTSIDE["postgresql"], **nowhere()}}))
    done = doctor(tmp_path, cluster.url, f"--values={file}", "--json")
    found = json.loads(done.stdout)
    assert all(one.keys() == {"name", "level", "value", "found", "remedy"} for one in found)
    assert all(one["remedy"] for one in found if one["level"] != "ok")
    levels = {(one["value"], one["level"]) for one in found}
    assert ("kubernetes", "ok") in levels
    assert ("kubernetes.cidr", "ok") in levels
    assert ("postgresql.logins", "fail") in levels
    assert ("postgresql.state.host", "fail") in levels
    first = next(one for one in found if one["level"] == "fail")
    assert (done.returncode, first["value"]) == (2, "postgresql.logins"), done.stderr
    assert not (tmp_path / "state").exists()


def nowhere() -> dict[str, Any]:
    return {name: {"host": "nowhere.invalid", "cidr": "10.0.5.7/32"} for name in ("state", "data")}


def test_the_command_reads_the_release_that_is_installed(cluster: Web, tmp_path: Path):
    release = noted(3, {**OUTSIDE, "small": {"enabled": True}})
    cluster.answers["GET", f"{HERE}/secrets"] = listed(release)
    done = doctor(tmp_path, cluster.url)
    # Nobody has the addresses of its Services, so it is not whole: the first failure decides.
    assert done.returncode == 4, done.stderr
    lines = " ".join(done.stdout.split())
    assert "postgresql.state.host: nobody there. Mend it." in lines
    assert "exec deploy/tre-api" in lines


def test_the_command_says_what_it_cannot_find(cluster: Web, tmp_path: Path):
    cluster.answers["GET", f"{HERE}/secrets"] = listed()
    none = doctor(tmp_path, cluster.url)
    assert (none.returncode, "no release" in none.stderr) == (3, True)
    away = doctor(tmp_path, f"http://127.0.0.1:{free_ports(1)}")
    assert (away.returncode, "does not answer" in away.stderr) == (75, True)


def test_a_login_is_tried_with_a_token_of_the_moment(cluster: Web, tmp_path: Path):
    """Of our service account, for the audience of the values."""
    account = ("POST", f"{HERE}/serviceaccounts/tre-api/token")
    cluster.answers[account] = (201, {"status": {"token": token("openbao")}})
    cluster.answers["GET", f"{HERE}/secrets"] = listed(
        noted(1, {**OUTSIDE, "openbao": {"url": "https://bao.invalid:1"}})
    )
    doctor(tmp_path, cluster.url)
    (body,) = [body for method, path, body in cluster.asked if (method, path) == account]
    assert body["spec"] == {"audiences": ["openbao"], "expirationSeconds": 600}
    left = [path for path in Path("/tmp").glob("tre-*/token") if path.read_text() == token("openbao")]
    assert left == []


def test_helms_own_spelling_is_read():
    """As base64 in base64 of gzip, which is what its Secrets hold."""
    data = noted(1, {})["data"]["release"]
    assert json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))["config"] == {}
