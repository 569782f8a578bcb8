"""What helm makes of the chart's values, as objects; and values that an installation would give."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.machine.build import KUBERNETES_VERSION
from tests.cluster.machine.place import CHECKOUT

Object = dict[str, Any]
CHART = CHECKOUT / "helm" / "tre"
SPACE = "tre-system"
KUBERNETES = f"v{KUBERNETES_VERSION}"
#: Servers of the institution's own.
OUTSIDE: Object = {
    "url": "https://tre.example",
    "postgresql": {
        "state": {"host": "pg.example", "cidr": "10.0.5.7/32"},
        "data": {"host": "data.example", "cidr": "10.0.5.8/32"},
        "logins": "tre-logins",
    },
    "openbao": {"url": "https://bao.example:8200", "cidr": "10.0.5.9/32", "databaseCa": "/etc/ssl/uni.pem"},
    "oidc": {
        "issuer": "https://id.example/realms/uni",
        "clientId": "tre",
        "clientSecret": "tre-oidc",
        "cidr": "10.0.5.10/32",
        "ca": "id-ca",
        "amr": ["mfa"],
    },
    "kubernetes": {"cidr": "10.0.0.1/32"},
    "intake": {"clusterIP": "10.96.0.77"},
    "dns": {"clusterIP": "10.96.0.78", "hosts": {"data.example": "10.0.5.8"}},
}
#: Everything in the cluster.
SMALL: Object = {
    "url": "http://tre.example:8000",
    "kubernetes": {"cidr": "10.0.0.1/32"},
    "intake": {"clusterIP": "10.96.0.77"},
    "dns": {"clusterIP": "10.96.0.78"},
    "small": {"dataClusterIP": "10.96.0.79"},
}
#: The same with submitted and released bytes in an object storage.
BUCKET: Object = {
    **OUTSIDE,
    "content": {
        "bucket": {
            "name": "outputs",
            "endpoint": "https://s3.example:9000",
            "prefix": "tre/",
            "credentials": "tre-bucket",
            "cidr": "10.0.5.11/32",
            "port": 9000,
            "ca": "s3-ca",
        }
    },
}
PROFILES = {"outside": (OUTSIDE, ()), "bucket": (BUCKET, ()), "small": (SMALL, (CHART / "values-small.yaml",))}


class Refused(Exception):
    """helm said no; its words."""


def helm(program: Path, *arguments: str, feed: str = "", environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(program), *arguments], input=feed, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def render(program: Path, values: Mapping[str, Any], files: tuple[Path, ...] = (), *more: str) -> list[Object]:
    chosen = [f"--values={file}" for file in (*files, "-")]
    asked = ("template", "tre", str(CHART), f"--namespace={SPACE}", f"--kube-version={KUBERNETES}", *chosen, *more)
    text = helm(program, *asked, feed=yaml.safe_dump(dict(values)))
    return [each for each in yaml.safe_load_all(text) if each]


def changed(values: Object, path: str, value: Any) -> Object:
    """A copy with one key set: path as in `postgresql.state.host`."""
    made = copy.deepcopy(values)
    *folders, last = path.split(".")
    place = made
    for folder in folders:
        place = place.setdefault(folder, {})
    place[last] = value
    return made


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def pods(objects: list[Object]) -> dict[str, Object]:
    """{name: the pod's spec} of everything that makes pods."""
    found = {}
    for each in of_kind(objects, "Deployment", "StatefulSet", "Job", "Pod"):
        spec = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
        found[each["metadata"]["name"]] = spec
    return found
