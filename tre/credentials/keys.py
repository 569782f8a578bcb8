"""Keys that never leave the secrets server, and the projects' pseudonymisation keys wrapped by them.

Decides how something is signed and how a project's key is made and kept: its plain form is only ever in the memory of
the process that pseudonymises, its wrapped form in the key-value store. Leaves what is signed to others.
"""

from __future__ import annotations

import base64
import contextlib
import secrets

import hvac
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tre.credentials.policies import WRAPPING_PREFIX
from tre.credentials.server import Server
from tre.errors import Broken, Conflict

PSEUDONYM_KEY_BYTES = 32
#: Stands where a project's wrapped key was, so that none is ever made for it again.
DESTROYED = {"destroyed": True}


def sign(server: Server, key: str, data: bytes) -> bytes:
    """The 64 bytes of an Ed25519 signature by the newest version of `key`."""
    text = base64.b64encode(data).decode()
    answer = server.call(f"sign with {key}", lambda client: client.secrets.transit.sign_data(key, hash_input=text))
    return base64.b64decode(answer["data"]["signature"].rsplit(":", 1)[1])


def public_keys(server: Server, key: str) -> dict[int, bytes]:
    """{version: 32 bytes} of a signing key, old versions too."""
    answer = server.call(f"read {key}", lambda client: client.secrets.transit.read_key(key))
    return {int(number): base64.b64decode(found["public_key"]) for number, found in answer["data"]["keys"].items()}


def rotate(server: Server, key: str) -> int:
    """Adds a version, which signs from now on; what older ones signed stays good. Returns its number."""
    server.call(f"rotate {key}", lambda client: client.secrets.transit.rotate_key(key))
    return max(public_keys(server, key))


def verifies(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Is `signature` one of `data`? Needs no server: whoever has the public key can check."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def pem(public_key: bytes) -> str:
    """The public key as others read it (SubjectPublicKeyInfo)."""
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return Ed25519PublicKey.from_public_bytes(public_key).public_bytes(*form).decode()


def wrap(server: Server, project: str, plain: bytes) -> str:
    """`plain` encrypted by the project's own transit key, which is made where there is none."""
    name, text = f"{WRAPPING_PREFIX}{project}", base64.b64encode(plain).decode()

    def ask(client: object) -> dict[str, dict[str, str]]:
        transit = client.secrets.transit  # type: ignore[attr-defined]
        transit.create_key(name, key_type="aes256-gcm96")
        return dict(transit.encrypt_data(name, plaintext=text))

    return server.call(f"wrap a key of {project}", ask)["data"]["ciphertext"]


def unwrap(server: Server, project: str, wrapped: str) -> bytes:
    """The other way round. Raises InvalidInput where it was not wrapped by this project's key."""
    name = f"{WRAPPING_PREFIX}{project}"
    answer = server.call(
        f"unwrap a key of {project}", lambda client: client.secrets.transit.decrypt_data(name, ciphertext=wrapped)
    )
    return base64.b64decode(answer["data"]["plaintext"])


def pseudonym_key(server: Server, project: str) -> bytes:
    """The project's 32-byte key for pseudonyms, made on first use. Two who ask at once get the same one."""
    path = f"pseudonyms/{project}"
    record = server.get_value(path)
    if record is None:
        made = wrap(server, project, secrets.token_bytes(PSEUDONYM_KEY_BYTES))
        # Where someone else was first, theirs counts.
        with contextlib.suppress(Conflict):
            server.put_value(path, {"wrapped": made}, create_only=True)
        record = server.get_value(path)
    if record == DESTROYED:
        raise Conflict(f"the pseudonymisation key of {project} was destroyed when the project closed")
    if record is None or "wrapped" not in record:
        raise Broken(f"the pseudonymisation key of {project} is missing")
    return unwrap(server, project, str(record["wrapped"]))


def destroy_pseudonym_key(server: Server, project: str) -> None:
    """For ever: its wrapped form and the key that wrapped it. Nobody, with whatever backup of one of the two, makes the
    project's pseudonyms again. Runs again to the same end.
    """
    server.replace_value(f"pseudonyms/{project}", DESTROYED)
    name = f"{WRAPPING_PREFIX}{project}"

    def drop(client: hvac.Client) -> None:
        with contextlib.suppress(hvac.exceptions.InvalidPath):
            client.secrets.transit.read_key(name)
            client.secrets.transit.update_key_configuration(name, deletion_allowed=True)
            client.secrets.transit.delete_key(name)

    server.call(f"destroy the key of {project}", drop)
