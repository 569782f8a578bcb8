"""A control plane on this machine's loopback, as whoever starts it: etcd, API server, controller manager, scheduler,
and kwok in place of nodes.

Decides what differs from the cluster of the tests: no kernel namespaces, no kubelet, no network; everything ends with
its maker, and another control plane or cluster may live beside it. Flags, keys and files are those of that cluster
(`tests.cluster.machine`). Volumes are nobody's business here: who needs them binds them (`bind`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.machine import configs, pki, servers
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place
from tests.cluster.machine.processes import answers, etcd_is_healthy
from tests.cluster.scale.stages import stages
from tre.errors import Unavailable
from tre.stack import process
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.content import CLAIM, SERVICE_ACCOUNT, Kind

Object = dict[str, Any]
VOLUME = Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False)
NODE = Kind("Node", "v1", "nodes", namespaced=False)
LOOPBACK = "127.0.0.1"
#: What the API server says of itself (RFC 5737: for documentation). Nobody goes there.
ADVERTISED = "192.0.2.1"
#: etcd, its peer port, the API server, kwok.
PORTS = 4
TOKEN_SECONDS = 6 * 3600
NO_PORT = "--secure-port=0"


@dataclass
class ControlPlane:
    """`first` is the first of its ports. Logs are in `place.logs`."""

    place: Place
    first: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def port(self) -> int:
        return self.first + 2

    @property
    def where(self) -> servers.Where:
        etcd, peer = f"https://{LOOPBACK}:{self.first}", f"http://{LOOPBACK}:{self.first + 1}"
        return servers.Where(etcd, peer, LOOPBACK, self.port, ADVERTISED)

    @property
    def audit(self) -> Path:
        return self.place.logs / "audit.log"

    @property
    def authority(self) -> Path:
        return self.place.keys / "ca.crt"

    def api(self) -> Api:
        """As the administrator."""
        return Api.connect(self.place.kubeconfig)

    def kubectl(self) -> Kubectl:
        environment = {**os.environ, "KUBECONFIG": str(self.place.kubeconfig), "HOME": str(self.place.run)}
        return Kubectl(self.place.programs / "kubectl", environment)

    def token(self, space: str, account: str, *audiences: str) -> str:
        """As the kubelet would project it into a pod."""
        path = f"{SERVICE_ACCOUNT.path(space, account)}/token"
        spec: Object = {"expirationSeconds": TOKEN_SECONDS}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        if audiences:
            spec["audiences"] = list(audiences)
        return str(self.api().ask("POST", path, {}, asked)["status"]["token"])

    def start(self) -> None:
        self.prepare()
        self.run("etcd", servers.etcd(self.place, self.where))
        self.wait("etcd", lambda: etcd_is_healthy(self.where.etcd, self.place.keys), 30)
        # kwok begins its streams in a way that an API server over Debian's etcd takes for one that it cannot serve.
        only_here = ["--endpoint-reconciler-type=none", "--feature-gates=WatchList=false"]
        self.run("apiserver", [*servers.apiserver(self.place, self.where), *only_here])
        kubectl = self.kubectl()
        self.wait("apiserver", answers([*kubectl.command, "get", "--raw=/readyz"], kubectl.environment), 120)
        # Nobody provides volumes, and who looks for them would write an event for each claim, again and again.
        volumes = ["--controllers=*,-persistentvolume-binder-controller,-persistentvolume-expander-controller"]
        # kwok has no processor for itself: nodes whose word is late are not lost, and nobody takes their pods away.
        patient = "--node-monitor-grace-period=10m"
        self.run("controller-manager", [*servers.controller_manager(self.place), NO_PORT, *volumes, patient])
        self.run("scheduler", [*servers.scheduler(self.place), NO_PORT])
        self.run("kwok", self.kwok())

    def prepare(self) -> None:
        """Keys and files."""
        for folder in (self.place.run, self.place.logs):
            folder.mkdir(parents=True, mode=0o700)
        for name, content in {"audit.json": configs.audit(), "admission.json": configs.admission()}.items():
            (self.place.run / name).write_text(json.dumps(content))
        (self.place.run / "kwok.json").write_text("\n---\n".join(json.dumps(each) for each in stages()))
        names = ["kubernetes", "kubernetes.default.svc", "localhost", LOOPBACK]
        mine = pki.make(
            self.place.keys, node="none", node_address=LOOPBACK, api=self.url, api_names=names, door=self.url
        )
        pki.write(self.place.kubeconfig, mine)

    def kwok(self) -> list[str]:
        return [
            str(self.place.programs / "kwok"),
            f"--kubeconfig={self.place.kubeconfig}",
            f"--config={self.place.run / 'kwok.json'}",
            "--manage-all-nodes=true",
            f"--server-address={LOOPBACK}:{self.first + 3}",
            f"--node-ip={ADVERTISED}",
            "--cidr=10.200.0.0/16",
        ]

    def run(self, name: str, command: Sequence[str]) -> None:
        """A throw-away server: it need not end gracefully."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.place.run)}
        log = self.place.logs / f"{name}.log"
        self.processes[name] = process.start(command, environment=environment, log=log, stop_signal=signal.SIGKILL)

    def wait(self, name: str, holds: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if self.processes[name].poll() is not None or time.monotonic() > until:
                tail = (self.place.logs / f"{name}.log").read_text(errors="replace")[-1500:]
                raise Unavailable(f"{name} did not become ready. The end of its log:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        for each in reversed(self.processes.values()):
            process.stop(each, signal.SIGKILL)


@contextlib.contextmanager
def control_plane(cache: Path, folder: Path, first: int) -> Iterator[ControlPlane]:
    """Programs are in the cache's `bin`; `first` is the first of `PORTS` free ports."""
    made = ControlPlane(Place(cache, folder), first)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def node(number: int) -> Object:
    """Room for a hundred workspaces; kwok says that it is ready."""
    room = {"cpu": "1000", "memory": "8Ti", "pods": "110", "ephemeral-storage": "10Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"told-{number}", "labels": {"kubernetes.io/hostname": f"told-{number}"}},
        "status": {"allocatable": room, "capacity": room},
    }


def bind(api: Api, space: str, claim: str) -> None:
    """What a provisioner and the volumes' controller do for a claim."""
    found = api.ask("GET", CLAIM.path(space, claim), {})
    name = f"{space}-{claim}"
    spec = {
        "capacity": {"storage": "1Ti"},
        "accessModes": found["spec"]["accessModes"],
        "hostPath": {"path": f"/nowhere/{name}"},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": space, "name": claim, "uid": found["metadata"]["uid"]},
    }
    api.create(VOLUME, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec})
    marks = dict.fromkeys(("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"), "yes")
    patch = {"metadata": {"annotations": marks}, "spec": {"volumeName": name}}
    merge = "application/merge-patch+json"
    api.ask("PATCH", CLAIM.path(space, claim), {}, patch, merge)
    status = {"status": {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]}}
    api.ask("PATCH", f"{CLAIM.path(space, claim)}/status", {}, status, merge)
