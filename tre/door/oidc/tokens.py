"""Whether an ID token is one: signature, issuer, audience, times, nonce, access token, second factor.

Pure: token, keys and expectation in, the subject out. Decides that every doubt is a refusal, with words that say which.
Leaves fetching keys to `provider`, and who the subject is here to the control plane.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from tre.errors import Unauthenticated

#: Seconds that the provider's clock and ours may differ.
SKEW = 30
REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
#: OpenID Connect Core, section 3.1.3.6: the hash of the signature's own algorithm. Ed25519 signs with SHA-512.
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "DSA": hashlib.sha512}
LONGEST_TOKEN = 32 * 1024


@dataclass(frozen=True)
class Expected:
    """`nonce` is that of the browser's own attempt; None where a token is renewed, which carries none that is ours."""

    issuer: str
    client_id: str
    algorithms: tuple[str, ...]
    nonce: str | None
    amr: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()


def key_of(token: str, keys: Mapping[str, Any], algorithms: tuple[str, ...]) -> tuple[Any, str] | None:
    """The provider's key that the token names, and the algorithm; None for a key that is not among these. Raises
    `Unauthenticated` for a token that nobody should have signed like that.
    """
    header = _header(token)
    algorithm = header.get("alg")
    if algorithm not in algorithms:
        raise refused("token_algorithm", "The identity provider signed in a way that is not accepted here.")
    if header.get("crit") is not None or str(header.get("typ", "JWT")).upper() != "JWT":
        raise refused("token_kind", "The identity provider's answer is no ID token.")
    named = [key for key in _signing(keys) if header.get("kid") in (None, key.get("kid"))]
    fitting = [key for key in named if key.get("alg") in (None, algorithm)]
    if len(fitting) != 1:
        return None
    try:
        return jwt.PyJWK.from_dict(fitting[0], algorithm).key, str(algorithm)
    except jwt.PyJWTError:
        raise refused("token_algorithm", "The identity provider's key does not fit its signature.") from None


def subject_of(token: str, key: Any, algorithm: str, expected: Expected, access_token: str) -> str:
    """Raises `Unauthenticated` unless everything holds. Algorithm and key are those of `key_of`."""
    options: Any = {"require": REQUIRED, "enforce_minimum_key_length": True}
    checks: dict[str, Any] = {"issuer": expected.issuer, "audience": expected.client_id, "leeway": SKEW}
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options, **checks)
    except jwt.PyJWTError as error:
        raise refused(*WORDS.get(type(error), DEFAULT)) from None
    _check_party(claims, expected)
    if expected.nonce is not None and not _same(claims.get("nonce"), expected.nonce):
        raise refused("token_nonce", "The identity provider answered another sign-in than this browser's.")
    _check_access_token(claims, algorithm, access_token)
    _check_second_factor(claims, expected)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise refused("token_subject", "The identity provider's token names nobody.")
    return subject


def refused(code: str, message: str) -> Unauthenticated:
    return Unauthenticated(message, hint="Sign in again; if it comes back, tell an administrator.", code=code)


DEFAULT = ("token_unreadable", "The identity provider's token cannot be read.")
WORDS: dict[type[Exception], tuple[str, str]] = {
    jwt.ExpiredSignatureError: ("token_expired", "The identity provider's token has expired."),
    jwt.ImmatureSignatureError: ("token_early", "The identity provider's token is of the future: compare the clocks."),
    jwt.InvalidIssuedAtError: ("token_early", "The identity provider's token has no time of issue."),
    jwt.InvalidAudienceError: ("token_audience", "The identity provider's token is for another service."),
    jwt.InvalidIssuerError: ("token_issuer", "The token is of another identity provider."),
    jwt.InvalidSignatureError: ("token_signature", "The token is not signed by the identity provider."),
    jwt.MissingRequiredClaimError: ("token_claims", "The identity provider's token leaves out what it must say."),
}


def _header(token: str) -> dict[str, Any]:
    if len(token) > LONGEST_TOKEN:
        raise refused(*DEFAULT)
    try:
        return dict(jwt.get_unverified_header(token))
    except jwt.PyJWTError:
        raise refused(*DEFAULT) from None


def _signing(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Public keys for signatures; one that both sides would hold is none."""
    found = keys.get("keys")
    listed = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
    return [key for key in listed if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP")]


def _check_party(claims: Mapping[str, Any], expected: Expected) -> None:
    """Section 3.1.3.7: a token for several services names the one that asked."""
    party, audience = claims.get("azp"), claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or party is not None) and party != expected.client_id:
        raise refused("token_audience", "The identity provider's token was made for another service.")


def _check_access_token(claims: Mapping[str, Any], algorithm: str, access_token: str) -> None:
    if claims.get("at_hash") is None:
        return
    digest = HASHES[algorithm[-3:]](access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not _same(claims["at_hash"], half):
        raise refused("token_access", "The identity provider's tokens do not belong together.")


def _check_second_factor(claims: Mapping[str, Any], expected: Expected) -> None:
    if not expected.amr and not expected.acr:
        return
    methods = claims.get("amr")
    used = {each for each in methods if isinstance(each, str)} if isinstance(methods, list) else set()
    if used.isdisjoint(expected.amr) and claims.get("acr") not in expected.acr:
        raise refused("second_factor", "You signed in without a second factor, which this platform requires.")


def _same(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
