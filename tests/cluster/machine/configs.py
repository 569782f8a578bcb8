"""The configuration files of the servers, as whole objects. JSON is YAML, so that is what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import network
from .place import Place

Object = Mapping[str, Any]
#: Image archives are loaded from files; nothing is ever pulled.
PROBE_IMAGE = "localhost/tre-probe:1"
DNS_IMAGE = "localhost/tre-coredns:1"
#: A Python where workspaces' images have theirs, and nothing else.
PYTHON_IMAGE = "localhost/tre-python:1"


def audit() -> Object:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }


def admission() -> Object:
    """Pod Security for namespaces that say nothing themselves: baseline. Only the cluster's own parts are exempt."""
    defaults = {
        "enforce": "baseline",
        "enforce-version": "latest",
        "audit": "restricted",
        "audit-version": "latest",
        "warn": "restricted",
        "warn-version": "latest",
    }
    configuration = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": defaults,
        "exemptions": {"namespaces": ["kube-system"]},
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": configuration}],
    }


def kubelet(place: Place) -> Object:
    keys = place.keys
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(keys / "kubelet-serving.crt"),
        "tlsPrivateKeyFile": str(keys / "kubelet-serving.key"),
        "containerRuntimeEndpoint": f"unix://{place.containerd}",
        "clusterDomain": network.DOMAIN,
        "clusterDNS": [network.DNS_SERVICE],
        "resolvConf": str(place.run / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "200Mi",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "200Mi",
        },
        # Else a node whose disk was full for a moment takes no pod for five minutes.
        "evictionPressureTransitionPeriod": "5s",
        "volumePluginDir": str(place.run / "volume-plugins"),
        "podLogsDir": str(place.logs / "pods"),
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
    }


def proxy(place: Place) -> Object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "bindAddress": network.NODE_ADDRESS,
        "clientConnection": {"kubeconfig": str(place.keys / "proxy.kubeconfig")},
        "clusterCIDR": network.PODS,
        "hostnameOverride": network.NODE,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The table of connections is the machine's: its size stays as it is.
        "conntrack": {"maxPerCore": 0},
    }


def cni() -> Object:
    return {"cniVersion": "0.3.1", "name": "cilium", "plugins": [{"type": "cilium-cni"}]}


def containerd(place: Place) -> str:
    """TOML. Without CAP_SYS_RESOURCE nobody's score towards the out-of-memory killer can be lowered."""
    return f"""\
version = 2
root = "{place.run / "containerd"}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{place.containerd}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PROBE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{place.run / "cni-programs"}"
    conf_dir = "{place.run / "cni"}"
"""


def files(place: Place) -> dict[str, str]:
    """{path below the run folder: content}"""
    objects = {
        "audit.json": audit(),
        "admission.json": admission(),
        "kubelet.json": kubelet(place),
        "proxy.json": proxy(place),
        "cni/05-cilium.conflist": cni(),
        "facts.json": network.facts(),
    }
    return {
        **{name: json.dumps(content, indent=1) for name, content in objects.items()},
        "containerd.toml": containerd(place),
        "outside.corefile": network.COREFILE,
        "resolv.conf": f"nameserver {network.RESOLVER}\n",
    }
