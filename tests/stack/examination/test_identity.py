"""What an identity provider says of itself, asked over real TLS."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.door.oidc.house import RealProvider, needs_provider
from tests.stack.examination.house import Authority, Web, web
from tre.errors import Unavailable
from tre.settings import IdentityProvider
from tre.stack.examination.finding import Finding, Level
from tre.stack.examination.identity import judge, look
from tre.stack.examination.servers import examine_provider
from tre.stack.ports import free_ports

DESCRIPTION = ("GET", "/realms/uni/.well-known/openid-configuration")
KEYS = ("GET", "/keys")
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def provider(authority: Authority) -> Iterator[Web]:
    with web({}, authority.pair("localhost")) as found:
        found.answers[DESCRIPTION] = (200, described(found))
        found.answers[KEYS] = (200, {"keys": [{"kty": "RSA", "use": "sig", "kid": "1"}]})
        yield found


def described(here: Web, **changes: Any) -> dict[str, Any]:
    whole = {
        "issuer": f"{here.url}/realms/uni",
        "authorization_endpoint": f"{here.url}/authorize",
        "token_endpoint": f"{here.url}/token",
        "jwks_uri": f"{here.url}/keys",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "scopes_supported": ["openid", "offline_access"],
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def settings(here: Web, authority: Authority, **changes: Any) -> IdentityProvider:
    given = IdentityProvider(
        issuer=f"{here.url}/realms/uni", client_id="tre", url="https://tre.example", amr=("mfa",), ca=str(authority.ca)
    )
    return replace(given, **changes)


def only(findings: list[Finding]) -> Finding:
    (found,) = [one for one in findings if one.level is not Level.ok]
    return found


def test_one_that_fits(provider: Web, authority: Authority):
    found = examine_provider(settings(provider, authority), NOW)
    assert [(one.level.value, one.value) for one in found] == [("ok", "oidc.issuer")] * 3


@pytest.mark.parametrize(
    ("changes", "level", "value", "words"),
    [
        ({"issuer": "https://id.example/realms/uni/"}, "fail", "oidc.issuer", "It calls itself"),
        ({"code_challenge_methods_supported": ["plain"]}, "fail", "oidc.issuer", "not by S256"),
        ({"code_challenge_methods_supported": []}, "fail", "oidc.issuer", "by nothing"),
        ({"code_challenge_methods_supported": None}, "warning", "oidc.issuer", "does not say"),
        ({"response_types_supported": ["id_token"]}, "fail", "oidc.issuer", "code flow"),
        ({"grant_types_supported": ["authorization_code"]}, "fail", "oidc.scopes", "no refresh tokens"),
        ({"scopes_supported": ["openid"]}, "warning", "oidc.scopes", "offline_access"),
        ({"token_endpoint": "http://localhost/token"}, "fail", "oidc.issuer", "token_endpoint"),
        ({"authorization_endpoint": None}, "fail", "oidc.issuer", "authorization_endpoint"),
    ],
    ids=str,
)
def test_what_it_lacks_is_named(
    provider: Web, authority: Authority, changes: dict[str, Any], level: str, value: str, words: str
):
    provider.answers[DESCRIPTION] = (200, described(provider, **changes))
    asked = settings(provider, authority)
    found = only(judge(asked, look(asked)))
    assert (found.level.value, found.value) == (level, value)
    assert words in found.found
    assert found.remedy


def test_what_is_not_listed_is_taken_to_be_there(provider: Web, authority: Authority):
    """Discovery lets a provider leave these out."""
    left_out = dict.fromkeys(("grant_types_supported", "scopes_supported", "response_types_supported"))
    provider.answers[DESCRIPTION] = (200, described(provider, **left_out))
    asked = settings(provider, authority)
    assert [one.level for one in judge(asked, look(asked))] == [Level.ok]


def test_keys_that_cannot_be_fetched_and_keys_of_another_kind(provider: Web, authority: Authority):
    asked = settings(provider, authority)
    provider.answers[KEYS] = (200, {"keys": [{"kty": "oct", "use": "sig"}, {"kty": "RSA", "use": "enc"}]})
    assert only(judge(asked, look(asked))).value == "oidc.algorithms"
    del provider.answers[KEYS]
    found = only(judge(asked, look(asked)))
    assert (found.value, found.kind) == ("oidc.cidr", Unavailable)


def test_a_redirect_is_not_followed(provider: Web, authority: Authority):
    provider.answers[DESCRIPTION] = (302, {})
    asked = settings(provider, authority)
    assert "status 302" in only(judge(asked, look(asked))).found


def test_what_is_no_json_is_said(provider: Web, authority: Authority):
    provider.answers[DESCRIPTION] = (200, "<html>")
    asked = settings(provider, authority)
    assert "no JSON" in only(judge(asked, look(asked))).found


def test_nobody_there():
    asked = IdentityProvider(f"https://localhost:{free_ports(1)}", "tre", "https://tre.example", amr=("mfa",))
    found = only(examine_provider(asked, NOW))
    assert (found.value, found.kind) == ("oidc.issuer", Unavailable)
    assert "connection refused" in found.found


def test_an_expired_certificate_is_told_by_its_days(tmp_path: Path, authority: Authority):
    with web({}, authority.pair("localhost", until=-1.5)) as here:
        found = only(examine_provider(settings(here, authority), NOW))
    assert (found.level, found.value) == (Level.fail, "oidc.issuer")
    assert "expired 1 days ago" in found.found


def test_an_authority_that_we_do_not_believe(provider: Web, tmp_path: Path):
    (tmp_path / "other").mkdir()
    found = only(examine_provider(settings(provider, Authority(tmp_path / "other")), NOW))
    assert found.value == "oidc.ca"


@pytest.mark.parametrize(("ahead", "level"), [(0, "ok"), (6, "warning"), (-120, "fail")])
def test_a_clock_that_is_wrong(provider: Web, authority: Authority, ahead: float, level: str):
    provider.ahead = ahead
    (found,) = [one for one in examine_provider(settings(provider, authority), NOW) if one.name.startswith("clock")]
    assert (found.level.value, found.value) == (level, "oidc.issuer")


def test_the_secret_is_never_sent(provider: Web, authority: Authority):
    examine_provider(settings(provider, authority), NOW)
    assert [(method, path) for method, path, _ in provider.asked] == [DESCRIPTION, KEYS]
    assert "secret" not in json.dumps(provider.asked)


@needs_provider
def test_a_real_provider_fits(tmp_path: Path):
    here = RealProvider(tmp_path, "http://127.0.0.1/hub/oauth_callback")
    here.start()
    try:
        asked = IdentityProvider(here.issuer, "tre", "http://127.0.0.1", amr=("mfa",))
        assert {one.level for one in examine_provider(asked, NOW)} == {Level.ok}
    finally:
        here.stop()
