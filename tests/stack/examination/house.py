"""An authority of the tests, servers that show its certificates, and an API server that answers as it is told."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tre.stack.examination.certificates import SSL_REQUEST

DAY = datetime.timedelta(days=1)
Answer = tuple[int, Any]


@dataclass(frozen=True)
class Pair:
    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self.chain, self.key)
        return found


@dataclass
class Authority:
    """`ca` is its PEM file."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
        builder = self._builder(self.name, self.key.public_key(), -DAY, 100 * DAY)
        made = builder.add_extension(x509.BasicConstraints(True, None), True).sign(self.key, hashes.SHA256())
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: Any, since: datetime.timedelta, until: datetime.timedelta) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now + since).not_valid_after(now + until)

    def pair(self, *names: str, since: float = -400, until: float = 90) -> Pair:
        """A certificate for these names, from so many days on to so many."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        listed = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = self._builder(own, key.public_key(), since * DAY, until * DAY).add_extension(listed, False)
        made = builder.sign(self.key, hashes.SHA256())
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        mark = f"{names[0]}-{made.serial_number:x}"
        pair = Pair(self.folder / f"{mark}.crt", self.folder / f"{mark}.key")
        pair.chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
        return pair


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@contextlib.contextmanager
def tls_before(server: Path, pair: Pair) -> Iterator[int]:
    """A port where PostgreSQL speaks TLS: before the real server's socket, since ours is built without."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = pair.context()

    def one(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if client.recv(8) != SSL_REQUEST:
                return
            client.sendall(b"S")
            with context.wrap_socket(client, server_side=True) as secured, socket.socket(socket.AF_UNIX) as behind:
                behind.connect(str(server))
                back = threading.Thread(target=pour, args=(behind, secured), daemon=True)
                back.start()
                pour(secured, behind)
                back.join(5)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while part := source.recv(1 << 16):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)


@dataclass
class Web:
    """A server that answers from a table {(method, path): (status, body)}; what it does not know is 404."""

    answers: dict[tuple[str, str], Answer | Callable[[Any], Answer]]
    url: str = ""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    #: Seconds by which its clock is ahead.
    ahead: float = 0.0


@contextlib.contextmanager
def web(answers: Mapping[Any, Any], pair: Pair | None = None) -> Iterator[Web]:
    found = Web(dict(answers))

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            path, length = urlsplit(self.path).path, int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found.asked.append((self.command, self.path, body))
            told = found.answers.get((self.command, path), (404, {"message": "no such thing"}))
            status, content = told(body) if callable(told) else told
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def date_time_string(self, timestamp: float | None = None) -> str:
            import time

            return super().date_time_string((time.time() if timestamp is None else timestamp) + found.ahead)

        def log_message(self, *words: object) -> None: ...

        do_GET = do_POST = do_LIST = answer

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if pair:
        server.socket = pair.context().wrap_socket(server.socket, server_side=True)
    found.url = f"{'https' if pair else 'http'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def token(audience: str, account: str = "tre-api", namespace: str = "tre-system") -> str:
    """As the kubelet's, but for the signature, which only the API server judges."""
    claims = {
        "aud": [audience],
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": "u-1"}},
        "exp": 4102444800,
        "iat": 1767225600,
        "nbf": 1767225600,
    }
    return ".".join(coded(part) for part in ({"alg": "RS256", "typ": "JWT"}, claims)) + "." + coded({"no": "signature"})


def coded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def review(
    account: str = "tre-api", namespace: str = "tre-system", audience: str = "openbao"
) -> Callable[[Any], Answer]:
    """The API server's word about a token."""

    def answer(body: Any) -> Answer:
        wanted = body["spec"].get("audiences") or [audience]
        good = audience in wanted
        user = {"username": f"system:serviceaccount:{namespace}:{account}", "uid": "u-1"}
        status = {"authenticated": good, "audiences": [audience], "user": user} if good else {"authenticated": False}
        return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}

    return answer


def kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    named = {"name": "x"}
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{**named, "cluster": {"server": url}}],
        "users": [{**named, "user": {"token": "t"}}],
        "contexts": [{**named, "context": {"cluster": "x", "user": "x"}}],
    }
    file.write_text(yaml.safe_dump(whole))
    return file
