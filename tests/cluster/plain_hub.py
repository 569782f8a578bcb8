"""JupyterHub with KubeSpawner as they come, on the cluster of the tests, from the same images: no gate, no walls.

Decides its objects: one pod with the Hub and Traefik, and the right to make pods beside it. The workspace's image has
no JupyterHub, so the platform's own packages are looked into last, from a folder of the node.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from tests.cluster import objects
from tests.cluster.house import Space
from tests.cluster.machine.contents import Kubectl
from tests.cluster.objects import Object
from tre.stack.ports import free_ports

NAME = "plain"
PEOPLE, HUB, API = 8000, 8081, 8099
SITE = next((Path(sys.prefix) / "lib").glob("python3*/site-packages"))
SITE_VOLUME: Object = {"name": "site", "hostPath": {"path": str(SITE)}}
SITE_MOUNT: Object = {"name": "site", "mountPath": "/site", "readOnly": True}
SINGLE_USER = "import sys; sys.path.append('/site'); from jupyterhub.singleuser import main; main()"
RULES = "/shared/rules.toml"
CONFIG = """
import json
for name, found in json.load(open("/config/traits.json")).items():
    c[name].update(found)
"""
STATIC = {
    "entryPoints": {"http": {"address": f":{PEOPLE}"}, "auth_api": {"address": f"127.0.0.1:{API}"}},
    "api": {"dashboard": False},
    "providers": {"providersThrottleDuration": "0s", "file": {"filename": RULES, "watch": True}},
}


def traits(limits: Object) -> dict[str, Object]:
    """`limits` are KubeSpawner's own: cpu_limit, mem_limit and what a pod asks for."""
    return {
        "JupyterHub": {
            "bind_url": f"http://:{PEOPLE}",
            "hub_bind_url": f"http://0.0.0.0:{HUB}",
            "hub_connect_url": f"http://{NAME}:{HUB}",
            "db_url": "sqlite:////shared/hub.sqlite",
            "cookie_secret_file": "/shared/cookie",
            "authenticator_class": "dummy",
            "spawner_class": "kubespawner.KubeSpawner",
            "proxy_class": "traefik_file",
            "allow_named_servers": True,
            # Else signing in would start a server without a name.
            "default_url": "/hub/home",
        },
        "Authenticator": {"allow_all": True},
        "KubeSpawner": {
            **limits,
            "image": "localhost/tre-workspace:0.1.0",
            "image_pull_policy": "Never",
            "extra_container_config": {"command": ["/opt/tre/env/bin/python"]},
            "cmd": ["-c", SINGLE_USER],
            "uid": 1000,
            "fs_gid": 1000,
            "working_dir": "/home/researcher",
            "default_url": "/lab",
            "start_timeout": 120,
            "volumes": [
                {"name": "home", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {"medium": "Memory"}},
                {"name": "run", "emptyDir": {"medium": "Memory"}},
                SITE_VOLUME,
            ],
            "volume_mounts": [
                {"name": "home", "mountPath": "/home/researcher"},
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "run", "mountPath": "/run/jupyter"},
                SITE_MOUNT,
            ],
        },
        "TraefikFileProviderProxy": {
            "should_start": False,
            "dynamic_config_file": RULES,
            "traefik_api_url": f"http://127.0.0.1:{API}",
            "traefik_api_username": "jupyterhub",
            "traefik_api_password": "plain",
        },
    }


def hub_objects(space: str, limits: Object) -> list[Object]:
    files = {"config.py": CONFIG, "traits.json": json.dumps(traits(limits)), "static.yaml": yaml.safe_dump(STATIC)}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}},
        _may_edit(space),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": files},
        objects.service(NAME, {HUB: HUB, PEOPLE: PEOPLE}),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": {"app": NAME}}, "spec": _spec()},
    ]


def _may_edit(space: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": space}],
    }


def _spec() -> Object:
    shared = {"name": "shared", "mountPath": "/shared"}
    mounts = [shared, {"name": "config", "mountPath": "/config", "readOnly": True}]
    hub: Object = {"image": "localhost/tre-hub:0.1.0", "imagePullPolicy": "Never", "volumeMounts": mounts}
    serve = {"command": ["jupyterhub", "--config=/config/config.py"], "workingDir": "/shared"}
    # Our image has no proxy's client: the proxy of a release has fixed rules.
    site = {"env": [{"name": "PYTHONPATH", "value": "/site"}], "volumeMounts": [*mounts, SITE_MOUNT]}
    proxy = {"image": "localhost/tre-proxy:0.1.0", "imagePullPolicy": "Never", "volumeMounts": mounts}
    return {
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 10001},
        "initContainers": [{**hub, "name": "rules", "command": ["python", "-c", f"open({RULES!r}, 'w')"]}],
        "containers": [
            {**hub, **serve, **site, "name": "hub"},
            {**proxy, "name": "proxy", "args": ["--configFile=/config/static.yaml"]},
        ],
        "volumes": [
            {"name": "shared", "emptyDir": {}},
            {"name": "config", "configMap": {"name": NAME}},
            SITE_VOLUME,
        ],
    }


@contextlib.contextmanager
def plain_hub(kubectl: Kubectl, limits: Object) -> Iterator[str]:
    """Its address on this machine, until the block ends; then nothing of it is left."""
    space = Space(kubectl, f"plain-{secrets.token_hex(3)}")
    kubectl.apply([objects.namespace(space.name, level="privileged")])
    try:
        space.apply(*hub_objects(space.name, limits))
        space("wait", "--for=condition=Ready", "--timeout=90s", f"pod/{NAME}")
        with _forwarded(space, free_ports(1)) as url:
            yield url
    finally:
        kubectl("delete", "namespace", space.name, "--timeout=120s")


@contextlib.contextmanager
def _forwarded(space: Space, port: int) -> Iterator[str]:
    command = [*space.kubectl.command, "--namespace", space.name, "port-forward", f"service/{NAME}", f"{port}:{PEOPLE}"]
    child = subprocess.Popen(command, env=space.kubectl.environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while not _answers(url):
            assert time.monotonic() < until, space("logs", NAME, "--all-containers")
            time.sleep(0.5)
        yield url
    finally:
        child.kill()
        child.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/hub/login", follow_redirects=True, trust_env=False).is_success
    return False
