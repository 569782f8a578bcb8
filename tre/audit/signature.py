"""Checking a signature offline with a public key (Ed25519), for exports and release crates. Signing is the secrets
server's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tre.errors import InvalidInput


def check_with(public_key: str) -> Callable[[bytes, str], bool]:
    """A checker for signatures in the secrets server's spelling (`vault:v1:<base64>`); the key is base64 of 32 bytes,
    or several with commas between, one for each time that it was rotated: a signature by any of them is good.

    Raises `InvalidInput` when one of them is none.
    """
    try:
        each = [base64.b64decode(version, validate=True) for version in public_key.split(",")]
        keys = [Ed25519PublicKey.from_public_bytes(version) for version in each]
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("This is no Ed25519 public key in base64.", field="public-key") from error

    def check(message: bytes, signature: str) -> bool:
        return any(_is_by(key, message, signature) for key in keys)

    return check


def _is_by(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature.rpartition(":")[2], validate=True), message)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
