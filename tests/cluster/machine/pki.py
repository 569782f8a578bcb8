"""Keys of the cluster: one authority, a certificate per server and client, a kubeconfig per client.

Decides names and groups, which are what Kubernetes authorises (CN is the user, O the groups). Everything is made anew
for each cluster, valid for a week, and readable by its owner only.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = datetime.timedelta(days=7)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
#: {kubeconfig: (user, groups)}
CLIENTS = {
    "admin": ("admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "proxy": ("system:kube-proxy", ()),
    "cilium": ("system:cilium", ()),
}
KUBELET_ADMINS = "tre:kubelet-admins"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs what it is asked to; its key is written down too, because the controller manager signs with it."""

    def __init__(self, folder: Path, valid: datetime.timedelta = VALID) -> None:
        self.folder = folder
        self.valid = valid
        folder.mkdir(mode=0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = subject("tre-cluster-ca")
        self._certificate = self._build(name, self._key.public_key(), authority=True, uses=(), names=())
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self._store("ca", Pair(self.pem, private(self._key)))

    def server(self, file: str, user: str, *, names: Sequence[str], also_client: bool = False) -> Pair:
        """`names` are host names and addresses."""
        uses = (SERVER, CLIENT) if also_client else (SERVER,)
        return self._issue(file, subject(user), uses=uses, names=names)

    def client(self, file: str, user: str, groups: Sequence[str] = ()) -> Pair:
        return self._issue(file, subject(user, groups), uses=(CLIENT,), names=())

    def _issue(
        self, file: str, name: x509.Name, *, uses: Sequence[x509.ObjectIdentifier], names: Sequence[str]
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(name, key.public_key(), authority=False, uses=uses, names=names)
        pair = Pair(certificate.public_bytes(serialization.Encoding.PEM), private(key))
        self._store(file, pair)
        return pair

    def _build(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        authority: bool,
        uses: Sequence[x509.ObjectIdentifier],
        names: Sequence[str],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if authority else self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + self.valid)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general(one) for one in names]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())

    def _store(self, file: str, pair: Pair) -> None:
        write(self.folder / f"{file}.crt", pair.certificate)
        write(self.folder / f"{file}.key", pair.key)


def subject(user: str, groups: Sequence[str] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)


def kubeconfig(server: str, authority: bytes, pair: Pair) -> bytes:
    """A whole kubeconfig, JSON (which is YAML)."""

    def inline(content: bytes) -> str:
        return base64.b64encode(content).decode()

    cluster = {"server": server, "certificate-authority-data": inline(authority)}
    user = {"client-certificate-data": inline(pair.certificate), "client-key-data": inline(pair.key)}
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }
    return json.dumps(whole, indent=1).encode()


def make(keys: Path, *, node: str, node_address: str, api: str, api_names: Sequence[str], door: str) -> bytes:
    """Everything a cluster needs. `api` and `door` are the API server's URL for its parts and for people.

    Returns the kubeconfig for people; the others are `keys`/<client>.kubeconfig.
    """
    authority = Authority(keys)
    authority.server("apiserver", "kube-apiserver", names=api_names)
    authority.server("kubelet-serving", node, names=[node, node_address])
    authority.server("etcd", "etcd", names=["127.0.0.1", "localhost"], also_client=True)
    authority.client("apiserver-etcd", "kube-apiserver")
    authority.client("apiserver-kubelet", "kube-apiserver-kubelet", [KUBELET_ADMINS])
    people = b""
    for file, (user, groups) in {**CLIENTS, "kubelet": (f"system:node:{node}", ("system:nodes",))}.items():
        pair = authority.client(file, user, groups)
        write(keys / f"{file}.kubeconfig", kubeconfig(api, authority.pem, pair))
        if file == "admin":
            people = kubeconfig(door, authority.pem, pair)
    signer = rsa.generate_private_key(65537, 2048)
    write(keys / "tokens.key", private(signer))
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write(keys / "tokens.pub", public)
    return people
