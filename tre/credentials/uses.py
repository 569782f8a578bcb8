"""What rooms ask of the secrets server, in their own words: sealing small secrets, signing with one key.

Decides the spelling of a signature as text (base64 of its 64 bytes) and under which key a context is sealed: names
that begin with an underscore, which no project's name does.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from tre.credentials.port import Secrets


@dataclass(frozen=True)
class Sealer:
    """Encrypts small secrets, each context by a key of its own that never leaves the secrets server."""

    secrets: Secrets

    def seal(self, context: str, plain: bytes) -> str:
        return self.secrets.wrap(f"_{context}", plain)

    def unseal(self, context: str, sealed: str) -> bytes:
        return self.secrets.unwrap(f"_{context}", sealed)


@dataclass(frozen=True)
class SigningKey:
    """One of the signing keys; signatures and public keys as base64 text."""

    secrets: Secrets
    name: str

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.secrets.sign(self.name, message)).decode()

    def verify(self, message: bytes, signature: str) -> bool:
        try:
            raw = base64.b64decode(signature, validate=True)
        except (ValueError, binascii.Error):
            return False
        return self.secrets.verify(self.name, message, raw)

    def public_key(self) -> str:
        """Every version, the oldest first, with commas between: `tre.audit.signature.check_with` reads it."""
        versions = sorted(self.secrets.public_keys(self.name).items())
        return ",".join(base64.b64encode(public).decode() for _, public in versions)
