"""The control plane signs in at a real OpenBao as its service account of a real cluster; nobody else does."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.door.parts import wait_for
from tests.fixtures.openbao import running_openbao
from tre.credentials import Secrets, policies
from tre.credentials.login import KubernetesLogin
from tre.credentials.server import Server
from tre.errors import TreError, Unavailable
from tre.settings import Settings
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.content import NAMESPACE, SERVICE_ACCOUNT, Kind

AUDIENCE = "openbao"
BINDING = Kind("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False)


@dataclass(frozen=True)
class House:
    """A control namespace with service accounts, and an OpenBao that asks the cluster about tokens."""

    api: Api
    space: str
    settings: Settings
    folder: Path

    def account(self, name: str, space: str = "") -> None:
        metadata = {"name": name, "namespace": space or self.space}
        self.api.create(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    def token(self, account: str, *audiences: str, space: str = "") -> str:
        path = f"{SERVICE_ACCOUNT.path(space or self.space, account)}/token"
        spec = {"audiences": list(audiences), "expirationSeconds": 600}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.api.ask("POST", path, {}, asked)["status"]["token"])

    def secrets(self, token: str) -> Secrets:
        """As a process of the platform in a pod whose kubelet shows it this token."""
        file = self.folder / random.token_hex(4)
        file.write_text(token)
        login = KubernetesLogin("control-plane", "kubernetes", file)
        return Secrets(self.settings, Server(self.settings.openbao_socket, login))


@pytest.fixture
def house(api: Api, fresh_settings: Settings, kubeconfig: Path, tmp_path: Path) -> Iterator[House]:
    space = f"tre-s{random.token_hex(4)}"
    api.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    found = House(api, space, fresh_settings, tmp_path)
    for name in ("reviewer", "tre-api", "other"):
        found.account(name)
    reviewer = {
        "apiVersion": BINDING.version,
        "kind": BINDING.name,
        "metadata": {"name": space},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": space}],
    }
    api.create(BINDING, reviewer)
    configuration = api._client.configuration

    def sign_in(client) -> None:
        client.sys.enable_auth_method("kubernetes")
        reviewing = {
            "kubernetes_host": configuration.host,
            "kubernetes_ca_cert": Path(configuration.ssl_ca_cert).read_text(),
            "token_reviewer_jwt": found.token("reviewer"),
            "disable_local_ca_jwt": True,
        }
        client.adapter.post("/v1/auth/kubernetes/config", json=reviewing)
        role = policies.kubernetes_role(space, AUDIENCE)
        client.adapter.post(f"/v1/auth/kubernetes/role/{policies.APP_ROLE}", json=role)

    with running_openbao(fresh_settings, sign_in):
        yield found
    api.ask("DELETE", BINDING.path(name=space), {})
    api.ask("DELETE", NAMESPACE.path(name=space), {})


def test_as_its_service_account_with_a_token_for_this_server_alone(house: House):
    control = house.secrets(house.token("tre-api", AUDIENCE))
    signature = control.sign("intake", b"x")
    assert control.verify("intake", b"x", signature)
    control.kv_put("probe", {"a": 1})
    assert control.kv_get("probe") == {"a": 1}


def test_nobody_else(house: House):
    stranger = f"{house.space}-b"
    house.api.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stranger}})
    house.account("tre-api", stranger)
    sound = house.token("tre-api", AUDIENCE)
    head, body, _ = sound.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    wrong = {
        "an audience of the API server's": house.token("tre-api"),
        "another audience": house.token("tre-api", "vault"),
        "another account": house.token("other", AUDIENCE),
        "the same account of another namespace": house.token("tre-api", AUDIENCE, space=stranger),
        "no signature": f"{none}.{body}.",
        "another's signature": f"{head}.{body}.{house.token('other', AUDIENCE).split('.')[2]}",
        "nothing": "",
    }
    admitted = []
    for what, token in wrong.items():
        try:
            house.secrets(token).sign("intake", b"x")
            admitted.append(what)
        except TreError:
            pass
    house.api.ask("DELETE", NAMESPACE.path(name=stranger), {})
    assert admitted == []
    assert house.secrets(sound).sign("intake", b"x")


def is_refused(control: Secrets) -> bool:
    try:
        control.sign("intake", b"x")
    except Unavailable:
        return True
    return False


def test_a_token_ends_with_its_account_and_is_read_anew(house: House):
    control = house.secrets(house.token("tre-api", AUDIENCE))
    assert control.sign("intake", b"x")
    house.api.ask("DELETE", SERVICE_ACCOUNT.path(house.space, "tre-api"), {})
    # The secrets server's own token has still its hour. A new one is not to be had, as soon as the API server, which
    # remembers for some seconds what it said of a token, has looked again.
    shown = control.server.login.token_file.read_text()
    wait_for(lambda: is_refused(house.secrets(shown)), "the refusal", 60)
    house.account("tre-api")
    control.server.login.token_file.write_text(house.token("tre-api", AUDIENCE))
    control.server.client.token = "gone"
    assert control.sign("intake", b"x")
