"""The few requests that we make of the API server, over the connection that the package `kubernetes` sets up.

Decides what an answer means in our error tree and that every write is checked strictly against the schema. Objects
stay plain dicts: thousands of them are listed, and most of each is thrown away at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tre.errors import Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.workspaces.kubernetes.content import Kind
from tre.workspaces.kubernetes.names import MANAGER
from tre.workspaces.kubernetes.namespace import Object

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import Timeout

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
#: One request's whole time. A leader counts with it: see `leader`.
SECONDS = 5.0
PAGE = 500
CONNECTIONS = 32
_STRICT = {"fieldManager": MANAGER, "fieldValidation": "Strict"}


class Expired(TreError):
    """A place in the stream of changes that the API server no longer remembers: list again."""


class Api:
    """One API server. Any thread may call any method. Raises `Unavailable` where it does not answer or refuses our
    rights, `NotFound`, `Conflict`, and `InvalidInput` with its own words where it does not take an object.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.requests: dict[str, int] = {}

    @classmethod
    def connect(cls, kubeconfig: Path | None = None) -> Api:
        """As the pod's own service account, or as a kubeconfig says."""
        from kubernetes import client, config

        configuration = client.Configuration()
        try:
            if kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise Unavailable(
                f"There is no way to the API server: {error}", hint="Run it in a pod, or name a kubeconfig."
            ) from error
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.retries = False
        return cls(client.ApiClient(configuration))

    @property
    def address(self) -> str:
        return str(self._client.configuration.host)

    def pages(self, kind: Kind, query: Mapping[str, str]) -> Iterator[tuple[str, list[Object]]]:
        """Pages of objects, each with the resource version that a watch may begin at after the last."""
        more = ""
        while True:
            page = self.ask("GET", kind.path(), {**query, "limit": str(PAGE), **({"continue": more} if more else {})})
            yield page["metadata"]["resourceVersion"], page["items"]
            if not (more := page["metadata"].get("continue", "")):
                return

    def watch(self, kind: Kind, query: Mapping[str, str], version: str, seconds: int) -> Iterator[tuple[str, Object]]:
        """(type, object) for each change after a version. Ends after so many seconds; raises `Expired`."""
        asked = {**query, "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version}
        timeout = _each(SECONDS, seconds + SECONDS)
        query = {**asked, "timeoutSeconds": str(seconds)}
        response = self._send("GET", kind.path(), query, None, "", timeout)
        try:
            if response.status != 200:
                raise _error(response.status, response.read())
            for line in _lines(response):
                event = _object(line)
                if event["type"] == "ERROR":
                    raise _error(event["object"].get("code", 500), json.dumps(event["object"]).encode())
                yield event["type"], event["object"]
        except _broken() as error:
            raise Unavailable("The API server's stream of changes broke off.") from error
        finally:
            response.close()

    def create(self, kind: Kind, made: Object) -> Object:
        """Raises `Conflict` where there is one of that name."""
        return self.ask("POST", kind.path(made["metadata"].get("namespace", "")), _STRICT, made)

    def apply(self, kind: Kind, made: Object) -> Object:
        """Server-side apply, taking over fields that others set."""
        metadata = made["metadata"]
        path = kind.path(metadata.get("namespace", ""), metadata["name"])
        return self.ask("PATCH", path, {**_STRICT, "force": "true"}, made, APPLY)

    def replace(self, kind: Kind, made: Object) -> Object:
        """As a whole; its resource version must be the present one."""
        metadata = made["metadata"]
        return self.ask("PUT", kind.path(metadata.get("namespace", ""), metadata["name"]), _STRICT, made)

    def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        return self.ask("PATCH", kind.path(namespace, name), _STRICT, patch, MERGE)

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> Object | None:
        """Exactly the one that was looked at. Returns it where it takes a while to go, None where it is gone."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            left = self.ask("DELETE", kind.path(namespace, name), {}, options)
        except NotFound:
            return None
        return left if left.get("kind") == kind.name and "deletionTimestamp" in left["metadata"] else None

    def text(self, path: str) -> str:
        """What is no object: the server's own measurements."""
        try:
            response = self._send("GET", path, {}, None, "", _whole(SECONDS))
            data: bytes = response.read()
        except _broken() as error:
            raise Unavailable("The API server does not answer.") from error
        if response.status >= 300:
            raise _error(response.status, data)
        return data.decode(errors="replace")

    def ask(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None = None, content_type: str = JSON
    ) -> Object:
        try:
            response = self._send(method, path, query, body, content_type, _whole(SECONDS))
            data = response.read()
        except _broken() as error:
            raise Unavailable("The API server does not answer.") from error
        if response.status >= 300:
            raise _error(response.status, data)
        return _object(data)

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str, timeout: Timeout
    ) -> Any:
        self.requests[method] = self.requests.get(method, 0) + 1
        headers = {"Accept": JSON, "User-Agent": MANAGER}
        if body is not None:
            headers["Content-Type"] = content_type
        # This also renews a service account's token.
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=timeout,
                preload_content=False,
                redirect=False,
            )
        except _broken() as error:
            raise Unavailable("The API server does not answer.") from error


def _whole(seconds: float) -> Timeout:
    from urllib3 import Timeout

    return Timeout(total=seconds)


def _each(connect: float, read: float) -> Timeout:
    from urllib3 import Timeout

    return Timeout(connect=connect, read=read)


def _broken() -> tuple[type[Exception], ...]:
    from urllib3.exceptions import HTTPError

    return (HTTPError, OSError)


def _object(data: bytes) -> Object:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable("What answers is no API server.", hint="Look at its address and at what stands before it.")
    return found


def _lines(response: Any) -> Iterator[bytes]:
    rest = b""
    for part in response.stream(1 << 16):
        *whole, rest = (rest + part).split(b"\n")
        yield from filter(None, whole)


def _error(status: int, answer: bytes) -> TreError:
    try:
        said = json.loads(answer)
        told = str(said.get("message", ""))[:500] if isinstance(said, dict) else ""
    except ValueError:
        told = ""
    if status == 404:
        return NotFound(told or "There is no such object.")
    if status == 409:
        return Conflict(told or "Somebody else changed this at the same moment.", hint="Look again, then retry.")
    if status == 410:
        return Expired(told)
    if status in (400, 422):
        return InvalidInput(f"The API server does not take this: {told}", field="object")
    if status in (401, 403):
        return Unavailable(f"The API server refuses us: {told}", hint="Look at the controller's roles and quotas.")
    return Unavailable(f"The API server answered with status {status}. {told}".strip())
