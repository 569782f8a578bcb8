"""What is wrong with the bucket, by value: asked of a real server, judged from what was seen."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures.object_storage import ObjectStorage, needs_storage
from tests.stack.examination.house import Authority, web
from tests.stack.examination.values import installation
from tre.credentials.files import write_secret
from tre.errors import InvalidInput, Unavailable
from tre.settings import Bucket, OnCluster, PostgresServer, SecretsServer, Settings
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE
from tre.stack.examination import object_storage, servers
from tre.stack.examination.finding import Finding
from tre.stack.examination.names import Named, judge
from tre.stack.examination.object_storage import Seen

GOOD = Seen(tried=True, versions=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ObjectStorage]:
    """With a certificate, as an institution's."""
    authority = Authority(tmp_path)
    pair = authority.pair("127.0.0.1")
    found = ObjectStorage(tmp_path / "s", scheme="https", more=("--cert", str(pair.chain), "--key", str(pair.key)))
    found.folder.mkdir()
    found.start()
    yield found
    found.kill()


def examined(server: ObjectStorage, settings: Settings, *, writes: bool = True, **changes: str) -> list[Finding]:
    """Of the settings' keys or the changed ones."""
    keys = {"key_id": server.key_id, "key": server.key, **changes}
    write_secret(settings.secret_file(KEY_ID_FILE), keys.pop("key_id"))
    write_secret(settings.secret_file(KEY_FILE), keys.pop("key"))
    bucket = server.bucket(**{"ca": str(server.folder.parent / "ca.pem"), **keys})
    return servers.examine_storage(settings, bucket, datetime.now(UTC), writes=writes)


def told(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.level.value, one.value) for one in found if one.level.value != "ok"}


@needs_storage
def test_one_that_is_as_it_must_be_lacks_versions_alone(server: ObjectStorage, bucket_settings: Settings):
    found = examined(server, bucket_settings)
    assert told(found) == {("warning", "content.bucket.name")}
    assert "versions" in next(one for one in found if one.level.value == "warning").found
    assert {one.value for one in found} == {"content.bucket.endpoint", "content.bucket.name"}
    left = [path for path in (server.folder / "data" / "outputs").rglob("*") if path.is_file()]
    assert left == [], "its own object is deleted again"


@needs_storage
def test_at_a_start_nothing_is_written(server: ObjectStorage, bucket_settings: Settings):
    server.kill()
    server.more = (*server.more, "--readonly")
    server.start()
    assert told(examined(server, bucket_settings, writes=False)) == set()
    assert told(examined(server, bucket_settings)) == {("fail", "content.bucket.credentials")}


@needs_storage
@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"key": "another"}, "content.bucket.credentials"),
        ({"key_id": "somebody"}, "content.bucket.credentials"),
        ({"name": "elsewhere"}, "content.bucket.name"),
        ({"ca": ""}, "content.bucket.ca"),
        ({"ca": "/nowhere/ca.pem"}, "content.bucket.ca"),
        ({"endpoint": "https://localhost:1"}, "content.bucket.endpoint"),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_what_is_wrong_is_named_by_its_value(
    server: ObjectStorage, bucket_settings: Settings, changes: dict[str, str], value: str, writes: bool
):
    found = examined(server, bucket_settings, writes=writes, **changes)
    assert told(found) == {("fail", value)}, found
    (failure,) = [one for one in found if one.level.value == "fail"]
    assert failure.remedy
    assert failure.kind is (Unavailable if value.endswith("endpoint") else InvalidInput)


@pytest.mark.parametrize(
    ("seen", "level", "value", "words"),
    [
        (
            replace(GOOD, strangers=("list it", "read what is in it")),
            "fail",
            "content.bucket.name",
            "Anybody may list it",
        ),
        (replace(GOOD, left="tre/examination/x"), "fail", "content.bucket.credentials", "tre/examination/x stays"),
        (replace(GOOD, conditional=False), "warning", "content.bucket.endpoint", "no conditional writes"),
        (replace(GOOD, versions=False), "warning", "content.bucket.name", "no versions"),
        (GOOD, "ok", "content.bucket.endpoint", "nobody else may"),
        (Seen(), "ok", "content.bucket.endpoint", "may list"),
    ],
)
def test_what_was_seen_is_judged(seen: Seen, level: str, value: str, words: str):
    (found,) = object_storage.judge(seen)
    assert (found.level.value, found.value) == (level, value)
    assert words in found.found


def test_a_bucket_that_anybody_may_list_is_said_even_where_our_keys_do_not_fit(bucket_settings: Settings):
    """A server that answers everybody with everything."""
    write_secret(bucket_settings.secret_file(KEY_ID_FILE), "k")
    write_secret(bucket_settings.secret_file(KEY_FILE), "k")
    with web({("GET", "/outputs"): (200, "<ListBucketResult></ListBucketResult>")}) as there:
        found = servers.examine_storage(bucket_settings, Bucket(there.url, "outputs"), datetime.now(UTC), writes=True)
    assert ("fail", "content.bucket.name") in told(found)
    assert "Anybody may list it" in found[0].found


def test_it_is_asked_where_its_keys_are_and_only_there(bucket_settings: Settings):
    nowhere = OnCluster(PostgresServer("/x"), PostgresServer("/x"), SecretsServer("https://bao"))
    bucket = Bucket("https://s3.example", "outputs")
    hub = replace(bucket_settings, cluster=replace(nowhere, bucket=bucket))
    assert servers.asks_storage(hub) is None
    write_secret(hub.secret_file(KEY_FILE), "k")
    assert servers.asks_storage(hub) == bucket
    assert servers.asks_storage(replace(hub, cluster=nowhere)) is None


def test_its_addresses_must_be_those_that_policies_open():
    named = Named("content.bucket", "endpoint", "s3.example", "10.0.5.11/32")
    assert judge(named, ("10.0.5.12",)).value == "content.bucket.cidr"


def test_what_the_values_say_of_it():
    values = {"name": "outputs", "endpoint": "https://s3.example", "credentials": "keys", "ca": "s3-ca"}
    found = installation(**{f"content__bucket__{key}": value for key, value in values.items()})
    assert found.bucket("/ca") == Bucket("https://s3.example", "outputs", ca="/ca")
    held = {one.value: one.keys for one in found.held()}
    assert held["content.bucket.credentials"] == (KEY_ID_FILE, KEY_FILE)
    assert held["content.bucket.ca"] == ("ca.pem",)
    assert installation().bucket("") is None
    assert not [one for one in installation().held() if one.value.startswith("content.bucket")]
    with pytest.raises(InvalidInput) as refusal:
        installation(content__bucket__name="outputs").bucket("")
    assert refusal.value.field == "content.bucket.endpoint"
