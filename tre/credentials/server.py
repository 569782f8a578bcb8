"""Our session at the secrets server: signed in when first needed and again when the token is gone.

Decides when to sign in. Leaves how to `login` and what is asked to `keys`, `leases` and `projects`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import hvac
from hvac import exceptions

from tre.credentials import policies
from tre.credentials.client import connect, translated
from tre.credentials.login import Login
from tre.settings import SecretsServer

Answer = TypeVar("Answer")


class Server:
    """The control plane's session. One object serves all threads of a process."""

    def __init__(self, address: Path | SecretsServer, login: Login) -> None:
        self.address = address
        self.login = login
        self.client = connect(address)
        self.lock = threading.Lock()
        self.signed_in = False

    def call(self, what: str, ask: Callable[[hvac.Client], Answer]) -> Answer:
        """`ask(client)`, signing in first where needed; errors are of `tre.errors`, with `what` in their words."""
        with translated(what):
            if not self.signed_in:
                self.sign_in(self.client.token)
            token = self.client.token
            try:
                return ask(self.client)
            except exceptions.Forbidden:
                # The token's hour passed, or the server lost it: once more with a new one.
                self.sign_in(token)
                return ask(self.client)

    def sign_in(self, old_token: str) -> None:
        """Take a new token unless another thread has done so since `old_token`."""
        with self.lock:
            if self.client.token != old_token:
                return
            self.client.token = self.login.sign_in(connect(self.address))
            self.signed_in = True

    def post(self, what: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to an endpoint that hvac has no call for."""
        answer = self.call(what, lambda client: client.adapter.post(f"/v1/{path}", json=body))
        return dict(answer) if isinstance(answer, dict) else {}

    def get_value(self, path: str) -> dict[str, Any] | None:
        """A record of the key-value store, None where there is none."""

        def read(client: hvac.Client) -> dict[str, Any] | None:
            try:
                found = client.secrets.kv.v2.read_secret_version(
                    f"tre/{path}", mount_point=policies.KV_MOUNT, raise_on_deleted_version=True
                )
            except exceptions.InvalidPath:
                return None
            return dict(found["data"]["data"])

        return self.call(f"read {path}", read)

    def put_value(self, path: str, values: dict[str, Any], *, create_only: bool = False) -> None:
        """Write a record; with `create_only` raise Conflict where there is one."""
        cas = 0 if create_only else None
        self.call(
            f"write {path}",
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                f"tre/{path}", values, cas=cas, mount_point=policies.KV_MOUNT
            ),
        )

    def list_values(self, path: str) -> list[str]:
        """Names of the records right below a path."""

        def read(client: hvac.Client) -> list[str]:
            try:
                found = client.secrets.kv.v2.list_secrets(f"tre/{path}", mount_point=policies.KV_MOUNT)
            except exceptions.InvalidPath:
                return []
            return [name for name in found["data"]["keys"] if not name.endswith("/")]

        return self.call(f"list {path}", read)

    def replace_value(self, path: str, values: dict[str, Any]) -> None:
        """Write a record and destroy every version of what was there before. Runs again to the same end."""
        if self.get_value(path) != values:
            self.put_value(path, values)

        def destroy(client: hvac.Client) -> None:
            place = {"path": f"tre/{path}", "mount_point": policies.KV_MOUNT}
            found = client.secrets.kv.v2.read_secret_metadata(**place)["data"]
            old = [int(number) for number in found["versions"] if int(number) != found["current_version"]]
            if old:
                client.secrets.kv.v2.destroy_secret_versions(versions=old, **place)

        self.call(f"destroy what was at {path}", destroy)

    def delete_value(self, path: str) -> None:
        """Remove a record with all its versions."""
        self.call(
            f"delete {path}",
            lambda client: client.secrets.kv.v2.delete_metadata_and_all_versions(
                f"tre/{path}", mount_point=policies.KV_MOUNT
            ),
        )
