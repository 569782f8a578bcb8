"""The door of a cluster, its processes on this machine and its pods on the cluster; the control plane is a stand-in."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.machine.configs import PYTHON_IMAGE
from tests.cluster.projects.house import Installation
from tests.door.parts import ROOT, Process, door_settings, wait_for
from tests.door.platform import Platform
from tests.door.stand_in import InternalApi
from tests.workspaces.kubernetes.house import PLAN
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.settings import Settings
from tre.workspaces.kubernetes.content import POD, SECRET
from tre.workspaces.kubernetes.names import workspace_of
from tre.workspaces.kubernetes.proving import ready_nodes
from tre.workspaces.plan import Limits

#: Some of them fit on a node of two processors.
SMALL = Limits(memory_bytes=256 << 20, cpus=0.1, home_bytes=1 << 30)
FILE = """
[state]
host = "/nowhere"
[data]
host = "/nowhere"
[openbao]
url = "https://127.0.0.1:1"
[hosts]
api = "127.0.0.1"
hub = "127.0.0.1"
guard = "127.0.0.1"
[projects]
control_namespace = "{control}"
hub_account = "hub"
image = "{image}"
pull_policy = "Never"
pod_security_version = "v1.34"
dns_address = "10.96.0.53"
guard = {{ namespace = "tre-system", labels = {{ app = "guard" }}, port = 8000 }}
intake = {{ namespace = "tre-system", labels = {{ app = "intake" }}, port = 8080 }}
dns = {{ namespace = "tre-system", labels = {{ app = "dns" }}, port = 53 }}
"""


def volume(space: str, claim: str) -> dict[str, Any]:
    """A folder of the node."""
    spec = {
        "capacity": {"storage": "1Ti"},
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "hostPath": {"path": f"/var/tmp/{space}/{claim}", "type": "DirectoryOrCreate"},
        "claimRef": {"namespace": space, "name": claim},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{space}-{claim}"}, "spec": spec}


@dataclass
class PodDoor(Platform):
    """Hub and guard as on a cluster, for one project."""

    installation: Installation | None = None
    kubeconfig: Path | None = None

    @property
    def home_of_it(self) -> Installation:
        assert self.installation
        return self.installation

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.places.hub_port}"

    @property
    def admin(self) -> httpx.Client:
        token = read_secret(self.places.secret("guard-admin.token"))
        return httpx.Client(base_url=str(self.places.guard_admin), headers={"Authorization": f"Bearer {token}"})

    def write_file(self, image: str) -> None:
        assert self.settings.cluster_file
        control = self.home_of_it.cluster.control_namespace
        self.settings.cluster_file.write_text(FILE.format(control=control, image=image))

    def start(self) -> None:
        url_file = self.places.hub_database_url
        url_file.touch(mode=0o600)
        url_file.write_text(f"sqlite:///{self.settings.state / 'hub.sqlite'}")
        self.api.plans = self.plan
        self.api.start()
        self.start_one("guard")
        self.start_one("hub")

    def start_one(self, name: str) -> None:
        commands = {"guard": ["-m", "tre.door.guard"], "hub": ["-m", "jupyterhub", "-f", "tre/door/hub_config.py"]}
        ready = {"guard": self.guard_answers, "hub": self.hub_answers}
        environment = self.settings.environment() | {"JUPYTERHUB_CRYPT_KEY": "", "KUBECONFIG": str(self.kubeconfig)}
        command = [sys.executable, *commands[name]]
        self.processes[name] = Process(command, self.settings.state / f"{name}.log", env=environment, cwd=ROOT)
        wait_for(ready[name], f"{name}: {self.log(name)}", 90)

    def guard_answers(self) -> bool:
        try:
            return self.admin.get("/health").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        for process in self.processes.values():
            process.stop()
        self.api.stop()
        shutil.rmtree(self.settings.state.parent, ignore_errors=True)

    def plan(self, username: str, project: str) -> dict[str, Any]:
        nodes = tuple(node.name for node in ready_nodes(self.home_of_it.api))
        made = replace(PLAN, workspace_id=secrets.token_hex(8), person=username, project=project, limits=SMALL)
        self.plans.append(json.loads(replace(made, data=(), nodes=nodes).to_json()))
        return self.plans[-1]

    def last(self) -> str:
        return str(self.plans[-1]["workspace_id"])

    def pod(self, workspace_id: str) -> dict[str, Any]:
        """Raises `NotFound`."""
        return self.home_of_it.get(POD, workspace_of(workspace_id))

    def secret(self, workspace_id: str) -> dict[str, Any]:
        return self.home_of_it.get(SECRET, workspace_of(workspace_id))

    def events(self, workspace_id: str) -> list[tuple[str, str]]:
        asked = f"/internal/workspaces/{workspace_id}/events"
        return [(call[2]["event"], call[2]["reason"]) for call in self.api.calls if call[1] == asked]

    def route(self, workspace_id: str) -> httpx.Response:
        return self.admin.get(f"/routes/{workspace_id}")


def new_door(installation: Installation, kubeconfig: Path) -> PodDoor:
    plain = door_settings("tre-pods-")
    plain.state.mkdir(parents=True, mode=0o700)
    file = plain.state / "cluster.toml"
    file.write_text(FILE.format(control=installation.cluster.control_namespace, image=PYTHON_IMAGE))
    assert tomllib.loads(file.read_text())
    environment = {**plain.environment(), "TRE_CLUSTER": str(file)}
    settings = Settings.load(environment)
    places = Places(settings)
    places.prepare()
    return PodDoor(settings, InternalApi(places.internal_port), installation=installation, kubeconfig=kubeconfig)
