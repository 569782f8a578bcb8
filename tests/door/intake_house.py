"""An intake of one's own, and submissions to it."""

import json
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.door.parts import Process, UnixHttp, accepts, wait_for
from tests.door.stand_in import InternalApi
from tre.door.places import Places
from tre.door.tokens import make
from tre.settings import Settings

KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HOUR = timedelta(hours=1)


@dataclass
class Intake:
    settings: Settings
    api: InternalApi
    process: Process | None = None

    @property
    def places(self) -> Places:
        return Places(self.settings)

    def start(self) -> None:
        self.process = Process(
            [sys.executable, "-m", "tre.door.intake"],
            self.settings.state / "intake.log",
            env=self.settings.environment(),
        )
        wait_for(lambda: accepts(self.places.intake_admin), "the intake")

    def admin(self, method: str, path: str) -> int:
        connection = UnixHttp(self.places.intake_admin)
        connection.request(method, path)
        return connection.getresponse().status

    def socket(self, workspace: str) -> Path:
        return self.settings.intake_sockets / workspace / "intake.sock"

    def ask(self, workspace: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict]:
        connection = UnixHttp(self.socket(workspace))
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def submit(self, manifest, *files: bytes, token: str = "", workspace: str = "w1", **more) -> tuple[int, dict]:
        kind, body = form(manifest, list(files), **more)
        headers = {"Authorization": f"Bearer {token or good()}", "Content-Type": kind}
        return self.ask(workspace, "POST", "/requests", body, **headers)

    def left(self) -> list[str]:
        """What is still arriving."""
        return [path.name for path in self.settings.arriving.iterdir()]


def good(workspace: str = "w1", life: timedelta = HOUR) -> str:
    return make(KEY.sign, workspace_id=workspace, now=datetime.now(UTC), life=life)


def form(manifest, files: list[bytes], *, names: tuple[str, ...] = (), first: str = "manifest") -> tuple[str, bytes]:
    edge = secrets.token_hex(16)
    parts = [(first, "manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode())]
    parts += [(names[n] if n < len(names) else "file", str(n), body) for n, body in enumerate(files)]
    text = b"".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode()
        + body
        + b"\r\n"
        for name, file, body in parts
    )
    return f"multipart/form-data; boundary={edge}", text + f"--{edge}--\r\n".encode()


def manifest(*names: str, **changes) -> dict:
    files = [{"name": name, "title": "t", "context": "c", "kind": "table", "spec": {"rows": ["a"]}} for name in names]
    return {"title": "T", "context": "C", "controls": "none", "replaces": None, "files": files} | changes
