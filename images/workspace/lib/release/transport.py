"""HTTP over the intake's Unix socket, or to its port on a cluster: one request, one answer, the token read anew.

Decides encoding (multipart/form-data: `manifest`, then one part per file in the manifest's order) and turns every
failure into a `ReleaseError`. Leaves to `client` what is asked.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from release.errors import ReleaseError

SOCKET = "/run/tre/intake.sock"
TOKEN = "/run/tre/intake.token"  # noqa: S105
SECONDS = 120.0


def _connection() -> http.client.HTTPConnection:
    """TRE_INTAKE is `http://host:port` where the workspace is a pod."""
    address = urlsplit(os.environ.get("TRE_INTAKE", ""))
    if address.hostname:
        return http.client.HTTPConnection(address.hostname, address.port, timeout=SECONDS)
    return _Connection(os.environ.get("TRE_INTAKE_SOCKET", SOCKET))


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("intake", timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


def form(manifest: dict[str, Any], bodies: Sequence[bytes]) -> tuple[str, bytes]:
    """The content type and the body of a submission."""
    boundary = secrets.token_hex(24)
    parts = [_part("manifest", "application/json", json.dumps(manifest).encode(), boundary)]
    # The manifest has the names: a name in a header could be misread by one side.
    parts += [
        _part("file", "application/octet-stream", body, boundary, filename=str(number))
        for number, body in enumerate(bodies)
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _part(name: str, kind: str, body: bytes, boundary: str, filename: str = "") -> bytes:
    extra = f'; filename="{filename}"' if filename else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + body + b"\r\n"


def ask(method: str, path: str, *, kind: str = "", body: bytes | None = None) -> Any:
    """The JSON answer; raises ReleaseError with the platform's own words where it refuses."""
    headers = {"Authorization": f"Bearer {_token()}", "Accept": "application/json"}
    if kind:
        headers["Content-Type"] = kind
    connection = _connection()
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ReleaseError(
            f"the intake does not answer ({error})", code="unavailable", hint="Try again in a minute. Nothing is lost."
        ) from None
    finally:
        connection.close()
    return _answer(response.status, text)


def _answer(status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except ValueError:
        raise ReleaseError(f"the intake answered with status {status} and no JSON", code="unavailable") from None
    if 200 <= status < 300:
        return answer
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    raise ReleaseError(
        str(error.get("message", f"the intake refused with status {status}")),
        code=str(error.get("code", "refused")),
        field=str(error.get("field", "")),
        hint=str(error.get("hint", "")),
    )


def _token() -> str:
    try:
        return Path(os.environ.get("TRE_INTAKE_TOKEN_FILE", TOKEN)).read_text().strip()
    except OSError:
        raise ReleaseError(
            "there is no intake token here", code="unauthenticated", hint="This works inside a running workspace only."
        ) from None
