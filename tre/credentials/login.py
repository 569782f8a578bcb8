"""How the control plane proves to the secrets server who it is. Two ways; both end in a short token of its own.

Decides what is shown and that it is read anew each time: a file with an AppRole's pair on one machine, a projected
service account's token on a cluster, which the kubelet replaces and which is good for this audience alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hvac

from tre.credentials.files import read_secret
from tre.errors import Unavailable
from tre.settings import SecretsServer

#: The kubelet's are of some 1 KB.
LONGEST_TOKEN = 64 << 10


class Login(Protocol):
    def sign_in(self, client: hvac.Client) -> str:
        """A token of the secrets server."""
        ...


@dataclass(frozen=True)
class AppRoleLogin:
    file: Path

    def sign_in(self, client: hvac.Client) -> str:
        login = json.loads(read_secret(self.file))
        return str(client.auth.approle.login(login["role_id"], login["secret_id"])["auth"]["client_token"])


@dataclass(frozen=True)
class KubernetesLogin:
    role: str
    mount: str
    token_file: Path

    @classmethod
    def of(cls, server: SecretsServer) -> KubernetesLogin:
        return cls(server.role, server.mount, Path(server.token_file))

    def sign_in(self, client: hvac.Client) -> str:
        """Raises `Unavailable` where the pod has no such token."""
        answer = client.auth.kubernetes.login(self.role, self._token(), mount_point=self.mount)
        return str(answer["auth"]["client_token"])

    def _token(self) -> str:
        try:
            with self.token_file.open() as file:
                token = file.read(LONGEST_TOKEN).strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        if not token:
            raise Unavailable(
                f"there is no service account's token in {self.token_file}",
                hint="Give the pod a projected token with the secrets server's audience (docs/kubernetes.md).",
            )
        return token
