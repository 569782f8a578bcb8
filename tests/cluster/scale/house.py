"""The platform of a cluster beside a control plane, for as long as a benchmark takes: real PostgreSQL, real OpenBao,
the chart's rights, and each process as the chart starts it, on loopback.

Decides only how what a pod would be given (tokens, secrets, the cluster's file) is given to a process. Durability is
the platform's own; its folders are wherever temporary files are.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import hvac
import psutil
import toml
from sqlalchemy import func, select

from tests.cluster.chart.rendering import OUTSIDE, SPACE, Object, of_kind, render
from tests.cluster.machine.place import CHECKOUT
from tests.cluster.scale import control, programs
from tests.cluster.scale.control import ControlPlane, control_plane
from tests.cluster.scale.relay import relayed
from tests.fixtures.openbao import running_openbao
from tests.fixtures.postgres import running
from tre.audit.model import AuditEvent
from tre.credentials import Secrets, policies
from tre.credentials.files import write_secret
from tre.door.places import Places
from tre.door.proxy import rules, traefik_static
from tre.errors import Unavailable
from tre.settings import Settings
from tre.stack import databases, process
from tre.stack.ports import free_ports
from tre.store import Database
from tre.store.migrate import migrate
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import NAMESPACE
from tre.workspaces.kubernetes.installation import cluster_of

AUDIENCE = "openbao"
#: Ports of the platform from the one for people on, then the relay's, then the control plane's.
OURS = 8
IMAGE = "localhost/tre-workspace:1"
#: The chart's admission lets the hub start no other image.
VALUES: Object = {**OUTSIDE, "projects": {"image": IMAGE}}
RIGHTS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)
COMMANDS = {
    "api": ["-m", "tre.stack.serve"],
    "hub": ["-m", "jupyterhub", "-f", str(CHECKOUT / "tre/door/hub_config.py")],
    "guard": ["-m", "tre.door.guard"],
    "controller": ["-m", "tests.cluster.scale.as_pod", "FOLDER", "tre.stack.controller"],
}


@dataclass
class House:
    settings: Settings
    plane: ControlPlane
    db: Database
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        return Places(self.settings)

    @property
    def cluster(self) -> Cluster:
        return cluster_of(self.settings)

    @property
    def url(self) -> str:
        """Where people come in."""
        return f"http://127.0.0.1:{self.places.public_port}"

    @property
    def secrets(self) -> Secrets:
        return Secrets.from_settings(self.settings)

    def api(self) -> Api:
        return self.plane.api()

    def start(self, name: str) -> psutil.Process:
        command = [str(self.pod) if word == "FOLDER" else word for word in COMMANDS[name]]
        return self.run(name, [sys.executable, *command])

    def start_proxy(self) -> psutil.Process:
        """Traefik with the rules of the chart's proxy: everything below `/user/` is the guard's."""
        places = self.places
        whole = rules(places.web_url)["http"]
        for name, url in {"guard": places.guard_url, "hub": f"http://127.0.0.1:{places.hub_port}"}.items():
            whole["services"][name] = {"loadBalancer": {"servers": [{"url": url}], "passHostHeader": True}}
        whole["routers"]["guard"] = {"rule": "PathPrefix(`/user/`)", "service": "guard", "entryPoints": ["http"]}
        whole["routers"]["hub"] = {"rule": "PathPrefix(`/`)", "priority": 2, "service": "hub", "entryPoints": ["http"]}
        places.traefik_rules.write_text(toml.dumps({"http": whole}))
        places.traefik_static.write_text(toml.dumps(traefik_static(places)))
        binary = str(Path(sys.executable).with_name("traefik"))
        return self.run("proxy", [binary, f"--configfile={places.traefik_static}"])

    def run(self, name: str, command: list[str]) -> psutil.Process:
        made = process.start(command, environment=self.environment(name), log=self.log_of(name), folder=CHECKOUT)
        self.processes[name] = made
        return psutil.Process(made.pid)

    def environment(self, name: str) -> dict[str, str]:
        whole = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.settings.state),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.settings.environment(),
        }
        if name == "controller":
            here = {"KUBERNETES_SERVICE_HOST": control.LOOPBACK, "KUBERNETES_SERVICE_PORT": str(self.plane.port)}
            whole |= {"POD_NAME": "tre-controller-1", **here}
        if name == "hub":
            whole |= {"KUBECONFIG": str(self.kubeconfig("tre-hub")), "JUPYTERHUB_CRYPT_KEY": ""}
        return whole

    def events(self) -> int:
        """Of the audit record."""
        with self.db.read() as session:
            return session.scalar(select(func.count()).select_from(AuditEvent)) or 0

    def answers(self, path: str) -> Callable[[], bool]:
        def holds() -> bool:
            try:
                return httpx.get(self.url + path, timeout=5, trust_env=False).status_code < 400
            except httpx.HTTPError:
                return False

        return holds

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not holds():
            ended = [name for name, each in self.processes.items() if each.poll() is not None]
            if ended or time.monotonic() > until:
                told = "\n".join(self.tail(name) for name in ended or self.processes)
                raise Unavailable(f"{what}: not within {seconds:.0f} s; ended: {ended}.\n{told}")
            time.sleep(0.05)

    def log_of(self, name: str) -> Path:
        return self.settings.logs / f"{name}.log"

    def tail(self, name: str) -> str:
        return f"{name}: {self.log_of(name).read_text(errors='replace')[-1500:]}"

    def stop(self, *names: str) -> None:
        for name in names or tuple(reversed(self.processes)):
            process.stop(self.processes.pop(name))

    @property
    def pod(self) -> Path:
        """What the controller finds where a pod's token lies."""
        folder = self.settings.state / "pod"
        if not folder.exists():
            folder.mkdir(mode=0o700)
            write_secret(folder / "token", self.plane.token(SPACE, "tre-controller"))
            shutil.copy(self.plane.authority, folder / "ca.crt")
        return folder

    def kubeconfig(self, account: str) -> Path:
        file = self.settings.state / f"{account}.kubeconfig"
        cluster = {"server": self.plane.url, "certificate-authority": str(self.plane.authority)}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": self.plane.token(SPACE, account)}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        write_secret(file, json.dumps(whole))
        return file


@contextlib.contextmanager
def running_house() -> Iterator[House]:
    """Everything but our own processes. Raises `Unavailable` where a program is missing."""
    if reason := programs.missing():
        raise Unavailable(reason)
    folder = Path(mkdtemp(prefix="tre-scale-", dir="/tmp"))
    first = free_ports(OURS + 1 + control.PORTS)
    plain = Settings(folder / "state", folder / "run", first)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        Places(plain).prepare()
        plane = stack.enter_context(control_plane(programs.HERE.cache, folder / "plane", first + OURS + 1))
        plane.kubectl().apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}])
        plane.kubectl().apply(of_kind(render(programs.HERE.programs / "helm", VALUES), *RIGHTS))
        databases.initialise_state(plain)
        stack.enter_context(running(plain, databases.state_server(plain)))
        migrate(plain.state_url("tre_owner"))
        write_secret(Places(plain).hub_database_url, plain.state_url("tre_hub", "tre_hub"))
        stack.enter_context(running_openbao(plain, lambda client: sign_in_by_account(client, plane)))
        url = stack.enter_context(relayed(plain.openbao_socket, first + OURS))
        token = plain.state / "openbao.token"
        write_secret(token, plane.token(SPACE, "tre-api", AUDIENCE))
        file = folder / "cluster.toml"
        file.write_text(toml.dumps(cluster_file(plain, url, token)))
        settings = Settings.load({**plain.environment(), "TRE_CLUSTER": str(file)})
        db = Database(settings.state_url("tre_app"))
        stack.callback(db.close)
        house = House(settings, plane, db)
        stack.callback(house.stop)
        yield house


def sign_in_by_account(client: hvac.Client, plane: ControlPlane) -> None:
    client.sys.enable_auth_method("kubernetes")
    reviewing = {
        "kubernetes_host": plane.url,
        "kubernetes_ca_cert": plane.authority.read_text(),
        "token_reviewer_jwt": reviewer(plane),
        "disable_local_ca_jwt": True,
    }
    client.adapter.post("/v1/auth/kubernetes/config", json=reviewing)
    role = policies.kubernetes_role(SPACE, AUDIENCE)
    client.adapter.post(f"/v1/auth/kubernetes/role/{policies.APP_ROLE}", json=role)


def reviewer(plane: ControlPlane) -> str:
    """The token of an account that may ask about tokens."""
    named = {"name": "reviewer", "namespace": SPACE}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "reviewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", **named}],
    }
    plane.kubectl().apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}, binding])
    return plane.token(SPACE, "reviewer")


def cluster_file(plain: Settings, openbao: str, token: Path) -> dict[str, Any]:
    def part(name: str, port: int) -> dict[str, Any]:
        return {"namespace": SPACE, "labels": {"app.kubernetes.io/component": name}, "port": port}

    return {
        "state": {"host": str(plain.state_database)},
        "data": {"host": str(plain.data_database)},
        "openbao": {"url": openbao, "token_file": str(token)},
        "hosts": dict.fromkeys(("api", "hub", "guard", "intake", "checker"), control.LOOPBACK),
        "projects": {
            "control_namespace": SPACE,
            "hub_account": "tre-hub",
            "image": IMAGE,
            "pod_security_version": "v1.34",
            "dns_address": "10.96.0.53",
            "guard": part("guard", 8002),
            "intake": part("intake", 8007),
            "dns": part("dns", 53),
            "database": {"cidr": "10.0.5.7/32", "port": 5432},
        },
    }


def project_namespaces(api: Api) -> int:
    pages = api.pages(NAMESPACE, {"labelSelector": f"tre.example/installation={SPACE}"})
    return sum(len(page) for _, page in pages)
