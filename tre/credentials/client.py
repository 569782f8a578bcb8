"""The way to the secrets server: hvac over a Unix socket or TLS, its errors translated to ours.

Decides how long we wait and which failure is which. Leaves what is asked to `server`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import hvac
import requests
from hvac import exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from tre.errors import Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.settings import SecretsServer

SCHEME = "http+unix://"
SECONDS = 15.0
#: The database engine answers 400 where its database is away; these words are its driver's.
UNREACHABLE = ("failed to connect", "dial error", "connection refused", "the database system is", "conn closed", "EOF")


class SocketConnection(HTTPConnection):
    """HTTP over one Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


class SocketPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=8)
        self.path = path

    def _new_conn(self) -> SocketConnection:
        return SocketConnection(self.path)


class SocketAdapter(HTTPAdapter):
    """For requests: `http+unix://<quoted path>/…`. Connections are kept, so a call costs no new one."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: dict[str, SocketPool] = {}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> SocketPool:
        path = unquote((request.url or "").removeprefix(SCHEME).split("/", 1)[0])
        return self.pools.setdefault(path, SocketPool(path))

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return request.path_url


def connect(server: Path | SecretsServer, token: str = "") -> hvac.Client:
    """A client of the server that listens at a socket or a URL. Nothing of the environment is used (VAULT_TOKEN,
    VAULT_CACERT, proxies).
    """
    session = requests.Session()
    session.trust_env = False
    session.mount(SCHEME, SocketAdapter())
    verify: bool | str = True
    if isinstance(server, Path):
        url = SCHEME + quote(str(server), safe="")
    else:
        url, verify = server.url, server.ca or True
    session.verify = verify
    # Made with some token, or hvac would take one from the environment or a file.
    client = hvac.Client(url=url, token="none", session=session, timeout=SECONDS, verify=verify)  # noqa: S106
    client.token = token or None
    return client


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise our errors in place of hvac's; `what` says in words what was wanted."""
    try:
        yield
    except (exceptions.VaultError, requests.RequestException, OSError) as error:
        raise translate(error, what) from error


def translate(error: Exception, what: str) -> TreError:
    """Our error for one of the secrets server's. Its words are kept: it never repeats a request's secrets in them."""
    if isinstance(error, exceptions.InvalidPath):
        return NotFound(f"{what}: no such thing at the secrets server")
    if isinstance(error, exceptions.InvalidRequest):
        if "check-and-set" in str(error):
            return Conflict(f"{what}: it was changed in the meantime", hint="Read it again and try again.")
        if any(sign in words(error) for sign in UNREACHABLE):
            return Unavailable(f"{what}: the secrets server does not reach the data server")
        return InvalidInput(f"{what}: the secrets server does not accept it: {words(error)}")
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return Unavailable(f"{what}: the secrets server does not let us")
    if isinstance(error, exceptions.VaultDown):
        return Unavailable(f"{what}: the secrets server is sealed")
    if isinstance(error, exceptions.VaultError):
        return Unavailable(f"{what}: the secrets server failed: {words(error)}")
    return Unavailable(f"{what}: the secrets server does not answer")


def words(error: exceptions.VaultError) -> str:
    return "; ".join(str(part) for part in error.errors or [])[:300]
