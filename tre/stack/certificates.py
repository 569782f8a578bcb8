"""Certificates for a listener that nobody may use.

Decides only how such files are made: a certificate for the server and an authority for its clients whose key is thrown
away at once, so that no client can ever be admitted.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from tre.credentials.files import write_secret

YEARS_100 = datetime.timedelta(days=36500)


@dataclass(frozen=True)
class ClosedListener:
    certificate: Path
    key: Path
    authority: Path

    def make(self) -> None:
        """Write the three files where the last of them is missing."""
        if self.authority.exists():
            return
        key = ed25519.Ed25519PrivateKey.generate()
        pem = serialization.Encoding.PEM
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        write_secret(self.key, key.private_bytes(pem, *plain))
        write_secret(self.certificate, self_signed("closed", key).public_bytes(pem))
        thrown_away = ed25519.Ed25519PrivateKey.generate()
        write_secret(self.authority, self_signed("nobody", thrown_away).public_bytes(pem))


def closed_listener_files(folder: Path) -> ClosedListener:
    return ClosedListener(folder / "closed.pem", folder / "closed.key", folder / "nobody.pem")


def self_signed(name: str, key: ed25519.Ed25519PrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + YEARS_100)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, None)
