"""Objects of Kubernetes that tests ask for: plain arguments in, whole object out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .machine.configs import PROBE_IMAGE

Object = dict[str, Any]
PSS = "pod-security.kubernetes.io"
WEB = 8080
ADMIN = 9090


def namespace(name: str, *, level: str = "restricted", **labels: str) -> Object:
    enforced = {f"{PSS}/enforce": level, f"{PSS}/enforce-version": "latest"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**enforced, **labels}}}


def pod(name: str, arguments: Sequence[str] = ("serve", str(WEB), str(ADMIN)), **labels: str) -> Object:
    """A restricted pod that runs the probe once; its label `app` is its name unless given."""
    serves = arguments[0] == "serve"
    container: Object = {
        "name": "probe",
        "image": PROBE_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": list(arguments),
        "ports": [{"name": "web", "containerPort": WEB}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if serves:
        container["readinessProbe"] = {"tcpSocket": {"port": WEB}, "periodSeconds": 1}
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always" if serves else "Never",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **labels}},
        "spec": spec,
    }


def service(name: str, ports: Mapping[int, int]) -> Object:
    """In front of the pod with label `app` = name; `ports` is {port of the service: port of the pod}."""
    listed = [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in ports.items()]
    spec = {"selector": {"app": name}, "ports": listed}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def policy(name: str, *, of: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A NetworkPolicy of the pods with these labels (all, without any)."""
    selector: Object = {"matchLabels": dict(of)} if of else {}
    directions = [way.capitalize() for way in ("ingress", "egress") if way in spec]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector, "policyTypes": directions, **spec},
    }


def default_deny() -> Object:
    return policy("default-deny", ingress=[], egress=[])


def egress(name: str, *, of: Mapping[str, str], to: Object, ports: Sequence[tuple[str, int]]) -> Object:
    return policy(name, of=of, egress=[{"to": [to], "ports": numbered(ports)}])


def ingress(name: str, *, of: Mapping[str, str], sender: Object, ports: Sequence[tuple[str, int]]) -> Object:
    return policy(name, of=of, ingress=[{"from": [sender], "ports": numbered(ports)}])


def numbered(ports: Sequence[tuple[str, int]]) -> list[Object]:
    return [{"protocol": protocol, "port": port} for protocol, port in ports]


def pods(**labels: str) -> Object:
    """A peer: pods of the policy's own namespace."""
    return {"podSelector": {"matchLabels": labels}}


def pods_of(space: str, **labels: str) -> Object:
    """A peer: pods of another namespace."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}, **pods(**labels)}


def block(cidr: str, *without: str) -> Object:
    """A peer: addresses."""
    return {"ipBlock": {"cidr": cidr, "except": list(without)} if without else {"cidr": cidr}}
