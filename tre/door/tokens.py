"""Intake tokens: what a workspace holds to submit and to ask about its own release requests.

Decides their form: a JWT signed with Ed25519 (RFC 8037), nothing else; `exp`, `iat`, `iss`, `aud`, `sub`, `jti`
required; `sub` is the workspace. Pure: the signature function, the public key and the clock are arguments. Leaves to
the secrets server to hold the private key, and to the intake whether the workspace behind the socket is the one named.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tre.errors import InvalidInput, Unauthenticated

ALGORITHM = "EdDSA"
ISSUER = "tre"
AUDIENCE = "tre-intake"
REQUIRED = ("exp", "iat", "iss", "aud", "sub", "jti")
WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_TOKEN_BYTES = 2048
LONGEST_LIFE = timedelta(days=7)
PEM_END = b"-----END PUBLIC KEY-----"
#: How far the clock of whoever made it may be ahead of the reader's: on a cluster they are on different nodes.
AHEAD = timedelta(minutes=5)

#: Signs bytes with the Ed25519 key that only the secrets server holds; 64 bytes come back.
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class IntakeClaims:
    """What a verified token says."""

    workspace_id: str
    token_id: str
    expires: int


def make(sign: Sign, *, workspace_id: str, now: datetime, life: timedelta) -> str:
    """A token for one workspace. Raises InvalidInput for a life beyond `LONGEST_LIFE` or an id that is none."""
    if not WORKSPACE.fullmatch(workspace_id):
        raise InvalidInput("not a workspace id", field="workspace_id")
    if not timedelta(0) < life <= LONGEST_LIFE:
        raise InvalidInput(f"an intake token lives at most {LONGEST_LIFE.days} days", field="life")
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": workspace_id,
        "jti": secrets.token_hex(16),
        "iat": issued,
        "exp": issued + int(life.total_seconds()),
    }
    signed = f"{encode({'alg': ALGORITHM, 'typ': 'JWT'})}.{encode(claims)}"
    return f"{signed}.{base64url(sign(signed.encode('ascii')))}"


def load_public_keys(pem: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The versions of one key, block after block. Raises InvalidInput for anything but Ed25519 public keys in PEM."""
    return tuple(_load_public_key(block + PEM_END) for block in pem.strip().removesuffix(PEM_END).split(PEM_END))


def _load_public_key(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise InvalidInput("the intake's key is no public key in PEM", field="key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("the intake's key is not an Ed25519 key", field="key")
    return key


def named(token: str) -> str:
    """The workspace that a token speaks of. Nothing is checked yet: `verify` it as this one's."""
    try:
        found = jwt.decode(token[:MAX_TOKEN_BYTES], options={"verify_signature": False}).get("sub")
    except jwt.PyJWTError:
        found = None
    return found if isinstance(found, str) and WORKSPACE.fullmatch(found) else "unknown"


def verify(token: str, keys: Sequence[Ed25519PublicKey], *, workspace_id: str, now: datetime) -> IntakeClaims:
    """The claims of a sound token of this very workspace, signed by one of the keys; raises Unauthenticated, with one
    wording for all reasons.
    """
    refusal = Unauthenticated(
        "the intake token is not valid for this workspace",
        hint="Restart the workspace from its page; it then holds a new token.",
    )
    if len(token) > MAX_TOKEN_BYTES:
        raise refusal
    claims = next((found for key in keys if (found := _signed_by(key, token)) is not None), None)
    if claims is None:
        raise refusal
    moment = now.timestamp()
    sound = (
        claims["aud"] == AUDIENCE
        and claims["sub"] == workspace_id
        and is_number(claims["exp"])
        and is_number(claims["iat"])
        and isinstance(claims["jti"], str)
        and claims["jti"]
        and claims["iat"] - AHEAD.total_seconds()
        <= moment
        < claims["exp"]
        <= claims["iat"] + LONGEST_LIFE.total_seconds()
    )
    if not sound:
        raise refusal
    return IntakeClaims(workspace_id, claims["jti"], int(claims["exp"]))


def _signed_by(key: Ed25519PublicKey, token: str) -> dict[str, Any] | None:
    """exp and iat are left to be compared with the clock given, not with this machine's."""
    try:
        found: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": list(REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.PyJWTError:
        return None
    return found


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def encode(part: dict[str, Any]) -> str:
    return base64url(json.dumps(part, separators=(",", ":")).encode())


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
