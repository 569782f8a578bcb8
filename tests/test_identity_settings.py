"""The table of the identity provider: what is wrong is named by its key, and nothing weak is taken."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tre.credentials.files import write_secret
from tre.errors import InvalidInput
from tre.settings import Settings
from tre.settings.identity import SECRET_FILE, IdentityProvider, load_provider
from tre.stack.platform import prepare_folders

RIGHT: dict[str, Any] = {
    "issuer": "https://id.example/realms/uni",
    "client_id": "tre",
    "url": "https://tre.example",
    "amr": ["otp"],
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("issuer", "http://id.example"),
        ("issuer", "id.example"),
        ("issuer", "https://id.example/?a=b"),
        ("issuer", "https://user@id.example"),
        ("issuer", 7),
        ("client_id", ""),
        ("url", "http://tre.example"),
        ("url", "https://tre.example/path"),
        ("scopes", ["profile"]),
        ("scopes", "openid"),
        ("algorithms", []),
        ("algorithms", ["none"]),
        ("algorithms", ["RS256", "HS256"]),
        ("amr", []),
        ("amr", [""]),
        ("amr", "otp"),
        ("refresh_seconds", 1),
        ("refresh_seconds", True),
        ("refresh_seconds", "300"),
        ("grace_seconds", -1),
        ("local_accounts", "yes"),
        ("client_secret", "never in this file"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(key: str, value: Any):
    with pytest.raises(InvalidInput) as refused:
        load_provider({**RIGHT, key: value})
    assert refused.value.field == f"identity_provider.{key}"


@pytest.mark.parametrize("key", ["issuer", "client_id", "url", "amr"])
def test_what_is_missing_is_named(key: str):
    with pytest.raises(InvalidInput) as refused:
        load_provider({name: value for name, value in RIGHT.items() if name != key})
    assert refused.value.field == f"identity_provider.{key}"


def test_the_file_of_a_machine(tmp_path: Path):
    file = tmp_path / "tre.toml"
    file.write_text(
        '[identity_provider]\nissuer = "https://id.example/realms/uni"\nclient_id = "tre"\nurl = "https://tre.example"\n'
        'amr = ["otp"]\n'
    )
    environment = {"TRE_STATE": str(tmp_path), "TRE_RUN": "/tmp/r"}
    found = Settings.load(environment).identity_provider
    assert found == IdentityProvider("https://id.example/realms/uni", "tre", "https://tre.example", amr=("otp",))
    assert found.callback == "https://tre.example/hub/oauth_callback"
    assert not Settings.load(environment).local_accounts
    file.write_text(file.read_text() + "local_accounts = true\n")
    assert Settings.load(environment).local_accounts
    assert Settings(tmp_path, Path("/tmp/r")).local_accounts


def test_nothing_starts_without_the_clients_secret(fresh_settings: Settings):
    settings = replace(fresh_settings, identity_provider=load_provider(RIGHT))
    with pytest.raises(InvalidInput, match=SECRET_FILE):
        prepare_folders(settings)
    write_secret(settings.secret_file(SECRET_FILE), "a secret")
    prepare_folders(settings)
    settings.secret_file(SECRET_FILE).chmod(0o644)
    with pytest.raises(InvalidInput, match="readable by others"):
        prepare_folders(settings)
