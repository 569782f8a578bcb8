"""A signing key is rotated while everything goes on: what the old version signed stays good, also offline."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tre.api.auth import Client
from tre.api.internal import token_maker
from tre.audit.service import Verification, verify_file
from tre.audit.signature import check_with
from tre.door import tokens
from tre.errors import Unauthenticated


def key_of(api: Api, name: str) -> str:
    (found,) = [key for key in api.call("GET", "/keys", by="ada").json() if key["key"] == name]
    return str(found["public_key"])


def rotate(api: Api, name: str, by: str = "ada"):
    return api.call("POST", f"/keys/{name}/rotate", by=by, json={"reason": "Once a year."})


def exported(api: Api, folder: Path, key: str) -> Verification:
    """An export of now, against the key that somebody keeps."""
    (folder / "export").write_bytes(api.call("POST", "/audit/export", by="ada").content)
    return verify_file(folder / "export", check_with(key))


def test_the_record_verifies_across_a_rotation(api: Api, tmp_path: Path):
    kept = key_of(api, "audit")
    assert exported(api, tmp_path, kept).ok
    answer = rotate(api, "audit")
    assert answer.status_code == 200, answer.text
    both = answer.json()["public_key"]
    assert both.startswith(f"{kept},")
    assert answer.json()["version"] == 1 + kept.count(",") + 1
    assert api.call("POST", "/audit/verify", by="ada").json()["ok"]
    assert exported(api, tmp_path, both).ok
    assert api.call("GET", "/audit/public-key").json()["public_key"] == both
    # Neither alone is enough: one is not told of the new key, the other did not sign the heads of before.
    for alone in (kept, both.removeprefix(f"{kept},")):
        assert not exported(api, tmp_path, alone).ok
    last = next(event for event in api.desk.events() if event["action"] == "key.rotate")
    assert (last["subject"], last["actor"]) == ("key:audit", "ada")
    assert last["detail"]["reason"] == "Once a year."


def test_tokens_of_both_versions_open_the_intake(api: Api):
    make, now = token_maker(api.platform), api.platform.db.clock()
    keys_of_before = keys(api)
    before = make("w1", now, timedelta(hours=1))
    assert rotate(api, "intake").status_code == 200
    after = make("w1", now, timedelta(hours=1))
    for token in (before, after):
        assert tokens.verify(token, keys(api), workspace_id="w1", now=now).workspace_id == "w1"
    with pytest.raises(Unauthenticated):
        tokens.verify(after, keys_of_before, workspace_id="w1", now=now)


def keys(api: Api):
    return tokens.load_public_keys(api.inside(Client.intake, "GET", "/intake-key").json()["pem"].encode())


def test_only_an_administrator_rotates_and_only_what_there_is(api: Api):
    before = key_of(api, "release")
    refused = rotate(api, "release", by="bob")
    assert refused.status_code == 403, json.dumps(refused.json())
    unknown = rotate(api, "wrap-heart")
    assert unknown.status_code == 404
    assert "audit, release, intake" in unknown.json()["error"]["hint"]
    assert key_of(api, "release") == before
    told = {(event["actor"], event["subject"]) for event in api.refusals()}
    assert ("bob", "key:release") in told
