"""What is no ID token, without a Hub: each claim wrong by itself, and what is right."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.door.oidc.hostile import ACCESS, BAD, EC_KEY, KEY, OTHER_KEY, good, half_hash, jwk, now, signed
from tre.door.oidc.tokens import Expected, key_of, subject_of
from tre.errors import Unauthenticated

ISSUER, NONCE = "https://id.example", "the nonce of this attempt"
EXPECTED = Expected(ISSUER, "tre", ("RS256", "ES256", "PS256"), NONCE, amr=("otp",), acr=("urn:mfa",))
KEYS = {"keys": [jwk(KEY)]}


def judge(token: str, expected: Expected = EXPECTED, keys: Any = KEYS, access: str = ACCESS) -> str:
    found = key_of(token, keys, expected.algorithms)
    if found is None:
        raise Unauthenticated("no key", code="token_signature")
    return subject_of(token, *found, expected, access)


def refused(token: str, expected: Expected = EXPECTED, **more: Any) -> str:
    with pytest.raises(Unauthenticated) as said:
        judge(token, expected, **more)
    assert said.value.message
    return said.value.error_code


@pytest.mark.parametrize(("name", "make", "code"), BAD, ids=[bad[0] for bad in BAD])
def test_every_bad_token_is_refused_for_its_own_reason(name: str, make: Callable[[Any], str], code: str):
    assert refused(make(good(ISSUER, NONCE))) == code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["tre"]},
        {"aud": ["tre", "other"], "azp": "tre"},
        {"azp": "tre"},
        {"at_hash": None},
        {"amr": None, "acr": "urn:mfa"},
        {"exp": -10},
        {"iat": 10},
        {"email": "bob@uni.example", "groups": ["administrator"]},
    ],
    ids=str,
)
def test_a_right_token_names_its_subject(changes: dict[str, Any]):
    """Seconds from now, where they are a time; clocks may differ a little."""
    made = {name: now(value) if name in ("exp", "iat") else value for name, value in changes.items()}
    assert judge(signed(good(ISSUER, NONCE, **made))) == "s-alice"


def test_an_elliptic_key_signs_as_well():
    token = signed(good(ISSUER, NONCE), key=EC_KEY, alg="ES256", kid="e1")
    assert judge(token, keys={"keys": [jwk(KEY), jwk(EC_KEY, "e1")]}) == "s-alice"
    assert refused(signed(good(ISSUER, NONCE), key=EC_KEY, alg="ES256")) == "token_algorithm"


def test_the_second_factor_by_class_is_exact():
    alone = replace(EXPECTED, amr=())
    claims = good(ISSUER, NONCE, amr=["otp"], acr="urn:mfa:no")
    assert refused(signed(claims), alone) == "second_factor"
    assert judge(signed({**claims, "acr": "urn:mfa"}), alone) == "s-alice"


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [None, 7, {}]},
        {"keys": [jwk(OTHER_KEY, "k2")]},
        {"keys": [{**jwk(KEY), "use": "enc"}]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]},
        {"keys": [jwk(KEY, alg="PS256")]},
        {"keys": [jwk(KEY), jwk(OTHER_KEY)]},
    ],
    ids=lambda keys: str(keys)[:40],
)
def test_keys_that_do_not_fit_open_nothing(keys: Any):
    """The last: two keys of one name are an ambiguity, not a choice."""
    assert refused(signed(good(ISSUER, NONCE)), keys=keys) == "token_signature"


def test_another_access_token_is_noticed():
    claims = good(ISSUER, NONCE, at_hash=half_hash("mine"))
    assert judge(signed(claims), access="mine") == "s-alice"
    assert refused(signed(claims), access="theirs") == "token_access"
