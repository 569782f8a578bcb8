"""Intake tokens and the attacks on them."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tre.door.tokens import AUDIENCE, ISSUER, IntakeClaims, encode, load_public_keys, make, verify
from tre.errors import InvalidInput, Unauthenticated

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def check(token: str, workspace_id: str = "w1", now: datetime = NOW) -> IntakeClaims:
    return verify(token, load_public_keys(pem(KEY)), workspace_id=workspace_id, now=now)


def good(**changes):
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "w1",
        "jti": "a",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def test_round_trip():
    token = make(KEY.sign, workspace_id="w1", now=NOW, life=HOUR)
    claims = check(token, now=NOW + timedelta(minutes=59))
    assert (claims.workspace_id, claims.expires) == ("w1", int((NOW + HOUR).timestamp()))
    assert claims.token_id != check(make(KEY.sign, workspace_id="w1", now=NOW, life=HOUR)).token_id
    assert check(jwt.encode(good(), KEY, "EdDSA")).token_id == "a"


def test_expired_and_not_yet():
    token = make(KEY.sign, workspace_id="w1", now=NOW, life=HOUR)
    for moment in (NOW + HOUR, NOW + timedelta(days=400), NOW - timedelta(minutes=5, seconds=1)):
        with pytest.raises(Unauthenticated):
            check(token, now=moment)


def test_made_by_somebody_whose_clock_is_ahead():
    """On a cluster it is made in one pod and read in another, on another node."""
    ahead = timedelta(minutes=2)
    assert check(make(KEY.sign, workspace_id="w1", now=NOW + ahead, life=HOUR)).workspace_id == "w1"


def test_another_workspace():
    with pytest.raises(Unauthenticated):
        check(make(KEY.sign, workspace_id="w2", now=NOW, life=HOUR))


@pytest.mark.parametrize("missing", ["exp", "iat", "iss", "aud", "sub", "jti"])
def test_every_claim_is_required(missing):
    with pytest.raises(Unauthenticated):
        check(jwt.encode(good(**{missing: None}), KEY, "EdDSA"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": [AUDIENCE, "other"]},
        {"sub": "w1 "},
        {"sub": "W1"},
        {"exp": True},
        {"exp": "9999999999"},
        {"exp": 9_999_999_999},
        {"jti": ""},
    ],
)
def test_odd_claims(changes):
    signed = f"{encode({'alg': 'EdDSA', 'typ': 'JWT'})}.{encode(good(**changes))}"
    token = f"{signed}.{base64.urlsafe_b64encode(KEY.sign(signed.encode())).rstrip(b'=').decode()}"
    with pytest.raises(Unauthenticated):
        check(token)


def test_no_algorithm():
    for header in ({"alg": "none", "typ": "JWT"}, {"alg": "None"}, {"typ": "JWT"}, {"alg": ""}):
        for signature in ("", "AAAA"):
            with pytest.raises(Unauthenticated):
                check(f"{encode(header)}.{encode(good())}.{signature}")


@pytest.mark.parametrize(
    "secret", [pem(KEY), pem(KEY).strip(), KEY.public_key().public_bytes_raw()], ids=("pem", "stripped", "raw")
)
def test_public_key_as_secret(secret):
    import hashlib
    import hmac

    signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(good())}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(Unauthenticated):
        check(f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_other_keys():
    with pytest.raises(Unauthenticated):
        check(jwt.encode(good(), Ed25519PrivateKey.generate(), "EdDSA"))
    with pytest.raises(Unauthenticated):
        check(jwt.encode(good(), generate_private_key(SECP256R1()), "ES256"))


def test_header_keys_are_not_used():
    other = Ed25519PrivateKey.generate()
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(other.public_key()))
    with pytest.raises(Unauthenticated):
        check(jwt.encode(good(), other, "EdDSA", headers={"jwk": own, "kid": "x", "jku": "http://127.0.0.1/"}))


def test_changed_bytes():
    token = make(KEY.sign, workspace_id="w1", now=NOW, life=HOUR)
    head, body, signature = token.split(".")
    for broken in ("", "a.b.c", token + "x" * 5000, f"{head}.{body}.", f"{head}.{body[:-2]}AA.{signature}", token[:-4]):
        with pytest.raises(Unauthenticated):
            check(broken)


def test_making():
    with pytest.raises(InvalidInput):
        make(KEY.sign, workspace_id="../x", now=NOW, life=HOUR)
    with pytest.raises(InvalidInput):
        make(KEY.sign, workspace_id="w1", now=NOW, life=timedelta(days=30))
    with pytest.raises(InvalidInput):
        load_public_keys(b"nonsense")
    with pytest.raises(InvalidInput):
        load_public_keys(pem(generate_private_key(SECP256R1())))
