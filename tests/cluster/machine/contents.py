"""What is in a cluster before any test: who may do what for the cluster's own parts, Cilium's kinds, and DNS.

Decides the objects, as whole objects. DNS knows this cluster's names and passes nothing on.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tre.errors import Unavailable

from . import network
from .configs import DNS_IMAGE
from .pki import CLIENTS, KUBELET_ADMINS

Object = dict[str, Any]
SYSTEM = "kube-system"
RBAC = "rbac.authorization.k8s.io"
DNS_LABELS = {"k8s-app": "kube-dns"}
COREFILE = f"""\
{network.DOMAIN}:53 {{
  errors
  health :8080
  ready :8181
  kubernetes {network.DOMAIN} {{
    ttl 5
  }}
}}
.:53 {{
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


class Kubectl:
    """kubectl with an environment that names the cluster."""

    def __init__(self, program: Path, environment: Mapping[str, str]) -> None:
        self.command = [str(program)]
        self.environment = dict(environment)

    def __call__(self, *arguments: str, feed: str = "") -> str:
        """What it printed. Raises Unavailable with what it complained about."""
        done = subprocess.run(
            [*self.command, *arguments], env=self.environment, input=feed, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise Unavailable(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self("apply", "--server-side", "--filename=-", feed=json.dumps(whole))

    def apply_folder(self, folder: Path) -> None:
        self("apply", "--server-side", "--recursive", f"--filename={folder}/")


def bindings() -> list[Object]:
    """The API server may ask the kubelet; Cilium's agent may do everything, as it stands for its operator too."""
    group = {"apiGroup": RBAC, "kind": "Group", "name": KUBELET_ADMINS}
    user = {"apiGroup": RBAC, "kind": "User", "name": CLIENTS["cilium"][0]}
    return [
        binding("tre:kubelet-admins", "system:kubelet-api-admin", group),
        binding("tre:cilium", "cluster-admin", user),
    ]


def binding(name: str, role: str, subject: Object) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def dns() -> list[Object]:
    """CoreDNS, its service and what it may read."""
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": SYSTEM}
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns", "namespace": SYSTEM}},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": rules,
        },
        binding("system:coredns", "system:coredns", account),
        corefile("coredns", SYSTEM, COREFILE),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": SYSTEM, "labels": DNS_LABELS},
            "spec": {"clusterIP": network.DNS_SERVICE, "selector": DNS_LABELS, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": SYSTEM},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": DNS_LABELS},
                "template": {
                    "metadata": {"labels": DNS_LABELS},
                    "spec": {**dns_pod("coredns"), "serviceAccountName": "coredns", "dnsPolicy": "Default"},
                },
            },
        },
    ]


def corefile(name: str, namespace: str, text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"Corefile": text},
    }


def dns_pod(config: str) -> Object:
    """The spec of a restricted pod that runs CoreDNS with the config map's Corefile, which must have `ready :8181`.

    Port 53 without any capability: the network namespace of the pod has no privileged ports. It must be 53 in the pod,
    because a policy is about the port behind the service.
    """
    port_start = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    container = {
        "name": "coredns",
        "image": DNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    return {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [port_start],
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": config}}],
    }
