"""The command line of each server, as whole objects. Decides flags and why; leaves starting and order to `inside`.

`keys` is the folder of pki, `run` the run folder. Every server listens on the node's own loopback or on the node's
address, both in the cluster's network namespace; `Where` says so, or something else for a control plane without one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import network
from .place import Place

#: With the value `never`, the network of the next cluster enforces no policy.
POLICIES = "TRE_CLUSTER_POLICIES"


@dataclass(frozen=True)
class Where:
    """Where etcd and the API server listen, and the address that the API server gives for itself."""

    etcd: str = "https://127.0.0.1:2379"
    etcd_peer: str = "http://127.0.0.1:2380"
    address: str = network.NODE_ADDRESS
    port: int = network.API_PORT
    advertised: str = network.NODE_ADDRESS


WHOLE = Where()
ETCD = WHOLE.etcd


def etcd(place: Place, where: Where = WHOLE) -> list[str]:
    """In a throw-away cluster nothing must survive a power cut: no fsync."""
    keys = place.keys
    return [
        "etcd",
        "--name=tests",
        f"--data-dir={place.run / 'etcd'}",
        f"--listen-client-urls={where.etcd}",
        f"--advertise-client-urls={where.etcd}",
        f"--listen-peer-urls={where.etcd_peer}",
        f"--initial-advertise-peer-urls={where.etcd_peer}",
        f"--initial-cluster=tests={where.etcd_peer}",
        f"--cert-file={keys / 'etcd.crt'}",
        f"--key-file={keys / 'etcd.key'}",
        "--client-cert-auth",
        f"--trusted-ca-file={keys / 'ca.crt'}",
        "--unsafe-no-fsync",
    ]


def containerd(place: Place) -> list[str]:
    return ["containerd", "--config", str(place.run / "containerd.toml")]


def apiserver(place: Place, where: Where = WHOLE) -> list[str]:
    keys = place.keys
    return [
        str(place.programs / "kube-apiserver"),
        f"--advertise-address={where.advertised}",
        f"--bind-address={where.address}",
        f"--secure-port={where.port}",
        f"--etcd-servers={where.etcd}",
        f"--etcd-cafile={keys / 'ca.crt'}",
        f"--etcd-certfile={keys / 'apiserver-etcd.crt'}",
        f"--etcd-keyfile={keys / 'apiserver-etcd.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        f"--kubelet-client-certificate={keys / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={keys / 'apiserver-kubelet.key'}",
        # The node's name is in no DNS: `exec` and `logs` find the kubelet by address.
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{network.DOMAIN}",
        f"--service-account-key-file={keys / 'tokens.pub'}",
        f"--service-account-signing-key-file={keys / 'tokens.key'}",
        f"--service-cluster-ip-range={network.SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=NodeRestriction,PodSecurity",
        f"--admission-control-config-file={place.run / 'admission.json'}",
        f"--audit-policy-file={place.run / 'audit.json'}",
        f"--audit-log-path={place.logs / 'audit.log'}",
        "--profiling=false",
        "--allow-privileged=true",
    ]


def controller_manager(place: Place) -> list[str]:
    keys = place.keys
    return [
        str(place.programs / "kube-controller-manager"),
        *as_client(keys / "controller-manager.kubeconfig"),
        f"--cluster-cidr={network.PODS}",
        "--allocate-node-cidrs=true",
        "--node-cidr-mask-size=24",
        f"--service-cluster-ip-range={network.SERVICES}",
        f"--cluster-signing-cert-file={keys / 'ca.crt'}",
        f"--cluster-signing-key-file={keys / 'ca.key'}",
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'tokens.key'}",
        "--use-service-account-credentials=true",
    ]


def scheduler(place: Place) -> list[str]:
    return [str(place.programs / "kube-scheduler"), *as_client(place.keys / "scheduler.kubeconfig")]


def as_client(kubeconfig: Path) -> list[str]:
    """What the two clients of the API server with a port of their own share. One of each: no election."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def kubelet(place: Place) -> list[str]:
    return [
        str(place.programs / "kubelet"),
        f"--config={place.run / 'kubelet.json'}",
        f"--kubeconfig={place.keys / 'kubelet.kubeconfig'}",
        f"--root-dir={place.run / 'kubelet'}",
        f"--hostname-override={network.NODE}",
        f"--node-ip={network.NODE_ADDRESS}",
    ]


def proxy(place: Place) -> list[str]:
    return [str(place.programs / "kube-proxy"), f"--config={place.run / 'proxy.json'}"]


def cilium(place: Place) -> list[str]:
    """Cilium's agent without its operator: addresses from Node.spec.podCIDR, identities its own, kube-proxy kept."""
    return [
        str(place.programs / "cilium-agent"),
        f"--k8s-kubeconfig-path={place.keys / 'cilium.kubeconfig'}",
        "--ipam=kubernetes",
        "--enable-ipv4=true",
        "--enable-ipv6=false",
        "--kube-proxy-replacement=false",
        "--routing-mode=native",
        f"--ipv4-native-routing-cidr={network.PODS}",
        "--enable-ipv4-masquerade=false",
        "--enable-l7-proxy=false",
        "--enable-envoy-config=false",
        "--enable-hubble=false",
        "--enable-health-checking=false",
        "--enable-endpoint-health-checking=false",
        "--devices=eth0",
        "--direct-routing-device=eth0",
        "--enable-host-legacy-routing=true",
        # Without its rules the node's own traffic counts as the world's, and the kubelet's probes are denied.
        "--install-iptables-rules=true",
        # What NetworkPolicy says of ipBlock: nodes and pods are matched by address too.
        "--policy-cidr-match-mode=nodes,pods",
        # Else a changed label takes up to half a minute to count.
        "--identity-change-grace-period=200ms",
        "--identity-max-jitter=0s",
        "--identity-allocation-mode=crd",
        f"--enable-policy={os.environ.get(POLICIES, 'default')}",
        f"--lib-dir={place.run / 'cilium'}",
        "--cgroup-root=" + cgroup_root(),
        "--bpf-root=/sys/fs/bpf",
        "--cni-exclusive=false",
        f"--cni-log-file={place.logs / 'cilium-cni.log'}",
    ]


def cgroup_root() -> str:
    """Where version 2 of control groups is mounted: beside version 1, or alone."""
    unified = Path("/sys/fs/cgroup/unified")
    return str(unified if unified.is_dir() else unified.parent)


def outside_servers(place: Place) -> dict[str, list[str]]:
    """Behind the node's card: web servers, the metadata stand-in, and a resolver that answers every name."""
    probe = str(place.programs / "probe")
    web = [f"{network.OUTSIDE}:{port}" for port in network.OUTSIDE_PORTS]
    return {
        "outside-web": [probe, "serve", *web, f"{network.METADATA}:80"],
        "outside-resolver": [str(place.programs / "coredns"), "-conf", str(place.run / "outside.corefile")],
    }
