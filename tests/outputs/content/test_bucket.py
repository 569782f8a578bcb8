"""A bucket, and what may be wrong with it: nothing of that is taken for content that is gone or altered."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.object_storage import NAME, ObjectStorage, Wire, needs_storage
from tests.stack.examination.house import Authority
from tre.errors import Broken, InvalidInput, TreError, Unavailable
from tre.outputs.content.bucket_errors import AWAY
from tre.outputs.content.store import ContentStore
from tre.settings import Bucket, Settings
from tre.settings.bucket import KEY_FILE

pytestmark = needs_storage
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#: Every way in which the store asks the server.
ASKS: dict[str, Callable[[ContentStore], object]] = {
    "read": lambda store: store.read(HELLO),
    "size": lambda store: store.size(HELLO),
    "put": lambda store: store.put(b"hello"),
    "list": lambda store: list(store.digests()),
    "remove": lambda store: store.remove([HELLO], removed=print),
}


def refused(store: ContentStore, ask: str) -> TreError:
    with pytest.raises(TreError) as refusal:
        ASKS[ask](store)
    return refusal.value


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"key_id": "somebody"}, "credentials"),
        ({"key": "another"}, "credentials"),
        ({"name": "elsewhere"}, "name"),
        ({"region": "moon-1"}, "region"),
    ],
    ids=["unknown key", "wrong key", "no bucket", "another region"],
)
def test_what_is_configured_wrongly_is_named_and_is_no_loss(
    object_storage: ObjectStorage, bucket_settings: Settings, ask: str, changes: dict[str, str], value: str
) -> None:
    object_storage.store(bucket_settings).put(b"hello")
    error = refused(object_storage.store(bucket_settings, **changes), ask)
    assert isinstance(error, Unavailable), error.message
    assert error.error_code == AWAY
    assert error.field in (f"content.bucket.{value}", "content.bucket.credentials"), error.message
    assert object_storage.file(HELLO).read_bytes() == b"hello"


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_is_away_is_waited_for(
    object_storage: ObjectStorage, bucket_settings: Settings, ask: str
) -> None:
    store = object_storage.store(bucket_settings)
    store.put(b"hello")
    object_storage.kill()
    error = refused(object_storage.store(bucket_settings), ask)
    assert isinstance(error, Unavailable)
    assert (error.field, error.error_code) == ("content.bucket.endpoint", AWAY)
    assert error.hint
    object_storage.start()
    assert store.read(HELLO) == b"hello"


def test_who_did_not_answer_is_left_alone_for_a_while(
    object_storage: ObjectStorage, bucket_settings: Settings, wire: Wire
) -> None:
    """Everybody else would wait as long, and there are only so many threads and connections to the database."""
    store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}", rest_seconds=3600.0)
    store.put(b"hello")
    object_storage.kill()
    assert refused(store, "read").error_code == AWAY
    asked = wire.asked
    for ask in ASKS:
        error = refused(store, ask)
        assert (error.field, error.error_code) == ("content.bucket.endpoint", AWAY)
    assert wire.asked == asked, "nobody asked again"
    object_storage.start()
    store.shelf._rests_until = 0.0
    assert store.read(HELLO) == b"hello"
    object_storage.file(HELLO).unlink()
    with pytest.raises(Broken):
        store.read(HELLO)
    assert store.size(HELLO) is None, "an answer that says no is an answer"


def test_a_bucket_that_may_only_be_read(object_storage: ObjectStorage, bucket_settings: Settings) -> None:
    store = object_storage.store(bucket_settings)
    store.put(b"hello")
    object_storage.kill()
    object_storage.more = ("--readonly",)
    object_storage.start()
    assert store.read(HELLO) == b"hello"
    for ask in (lambda: store.put(b"more"), lambda: store.remove([HELLO], removed=print)):
        with pytest.raises(Unavailable) as refusal:
            ask()
        assert refusal.value.field == "content.bucket.credentials", refusal.value.message
    assert os.listdir(store.spool.folder) == []


def test_nothing_outside_of_the_prefix_is_seen_or_touched(
    object_storage: ObjectStorage, bucket_settings: Settings
) -> None:
    ours, theirs = (object_storage.store(bucket_settings, prefix=prefix) for prefix in ("content/", "other/"))
    without = object_storage.store(bucket_settings, prefix="")
    theirs.put(b"hello")
    ours.put(b"ours")
    assert HELLO not in set(ours.digests())
    assert list(without.digests()) == []
    assert ours.size(HELLO) is None
    ours.remove([HELLO], removed=print)
    with pytest.raises(Broken):
        ours.read(HELLO)
    assert theirs.read(HELLO) == b"hello"
    lying = {path.relative_to(object_storage.folder / "data" / NAME).parts[0] for path in objects(object_storage)}
    assert lying == {"content", "other"}


def objects(server: ObjectStorage) -> list[Path]:
    """Without the server's own beginnings, which nobody sees."""
    found = (server.folder / "data" / NAME).rglob("*")
    return [path for path in found if path.is_file() and ".sgwtmp" not in path.parts]


def test_a_server_killed_in_the_middle_of_an_upload(
    object_storage: ObjectStorage, bucket_settings: Settings, wire: Wire
) -> None:
    store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}")
    content = os.urandom(8 << 20)
    wire.up, wire.happens = 1 << 20, object_storage.kill
    with pytest.raises(Unavailable):
        store.put(content)
    assert wire.cuts == 1
    assert (objects(object_storage), os.listdir(store.spool.folder)) == ([], [])
    wire.up = None
    object_storage.start()
    assert list(store.digests()) == [], "half an object is none"
    assert store.read(store.put(content).digest) == content


def test_a_server_killed_in_the_middle_of_a_download(
    object_storage: ObjectStorage, bucket_settings: Settings, wire: Wire
) -> None:
    store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}")
    content = os.urandom(8 << 20)
    digest = store.put(content).digest
    wire.down, wire.happens = 1 << 20, object_storage.kill
    with pytest.raises(Unavailable) as away:
        store.read(digest)
    assert away.value.error_code == AWAY, "it says nothing about the content"
    assert wire.cuts == 1
    wire.down = None
    object_storage.start()
    assert store.read(digest) == content


def test_a_server_without_conditional_writes_replaces_nothing_either(
    object_storage: ObjectStorage, bucket_settings: Settings, wire: Wire
) -> None:
    body = b"<Error><Code>NotImplemented</Code></Error>"
    answer = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    wire.refused = (b"if-none-match: *", answer)
    store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}")
    assert store.put(b"hello").digest == HELLO
    assert store.read(HELLO) == b"hello"
    object_storage.file(HELLO).write_bytes(b"hullo")
    with pytest.raises(Broken):
        store.put(b"hello")
    assert object_storage.file(HELLO).read_bytes() == b"hullo"


def test_neither_the_environment_nor_a_metadata_service_has_a_say(
    object_storage: ObjectStorage, bucket_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ROLE_ARN", "WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "another")
    for name in ("ENDPOINT", "ENDPOINT_URL", "ENDPOINT_URL_S3", "CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.setenv(f"AWS_{name}", "http://127.0.0.1:1")
    for name in ("SKIP_SIGNATURE", "UNSIGNED_PAYLOAD", "VIRTUAL_HOSTED_STYLE_REQUEST", "S3_EXPRESS"):
        monkeypatch.setenv(f"AWS_{name}", "true")
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    store = object_storage.store(bucket_settings)
    assert store.read(store.put(b"hello").digest) == b"hello"


def test_bytes_that_change_on_the_way_are_not_taken(
    object_storage: ObjectStorage, bucket_settings: Settings, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature is over the hash of the bytes: the server itself refuses others."""
    monkeypatch.setenv("AWS_UNSIGNED_PAYLOAD", "true")
    wire.changed = (b"hello", b"hullo")
    store = object_storage.store(bucket_settings, endpoint=f"http://127.0.0.1:{wire.port}")
    with pytest.raises(Unavailable):
        store.put(b"hello")
    assert objects(object_storage) == []


def test_the_keys_are_told_to_nobody(
    object_storage: ObjectStorage, bucket_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = object_storage.store(bucket_settings, key="not-the-key-of-it")
    for ask in ASKS:
        error = refused(store, ask)
        told = (error, error.message, error.hint, error.__cause__, vars(store.shelf), caplog.text)
        assert "not-the-key-of-it" not in repr(told)
        assert str(object_storage.port) not in error.message, "people are not told where it is"


def test_keys_that_others_may_read_are_not_used(object_storage: ObjectStorage, bucket_settings: Settings) -> None:
    store = object_storage.store(bucket_settings)
    bucket_settings.secret_file(KEY_FILE).chmod(0o640)
    with pytest.raises(Broken):
        store.put(b"hello")
    bucket_settings.secret_file(KEY_FILE).unlink()
    with pytest.raises(Unavailable):
        store.put(b"hello")


@pytest.mark.parametrize(
    ("names", "until", "ca", "value"),
    [
        (("127.0.0.1",), 30, True, ""),
        (("127.0.0.1",), 30, False, "content.bucket.ca"),
        (("elsewhere.example",), 30, True, "content.bucket.ca"),
        (("127.0.0.1",), -1, True, "content.bucket.ca"),
    ],
    ids=["its authority", "unknown authority", "another name", "expired"],
)
def test_its_certificate_must_be_believed(
    tmp_path: Path,
    bucket_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    until: int,
    ca: bool,
    value: str,
) -> None:
    monkeypatch.setenv("AWS_ALLOW_INVALID_CERTIFICATES", "true")
    authority = Authority(tmp_path)
    pair = authority.pair(*names, until=until)
    server = ObjectStorage(tmp_path / "s", scheme="https", more=("--cert", str(pair.chain), "--key", str(pair.key)))
    server.folder.mkdir()
    server.start()
    try:
        store = server.store(bucket_settings, ca=str(authority.ca) if ca else "")
        if not value:
            assert store.read(store.put(b"hello").digest) == b"hello"
            return
        error = refused(store, "put")
        assert (type(error), error.field) == (Unavailable, value), error.message
        assert objects(server) == []
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"endpoint": "http://s3.example"}, "endpoint"),
        ({"endpoint": "s3.example"}, "endpoint"),
        ({"endpoint": "https://user@s3.example"}, "endpoint"),
        ({"endpoint": "https://s3.example/outputs"}, "endpoint"),
        ({"name": "Outputs"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"prefix": "content"}, "prefix"),
        ({"prefix": "/"}, "prefix"),
        ({"prefix": "../"}, "prefix"),
        ({"region": "eu west"}, "region"),
    ],
)
def test_settings_that_cannot_be_meant(changes: dict[str, str], key: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Bucket(**{"endpoint": "https://s3.example", "name": NAME, **changes}).check("bucket")
    assert refusal.value.field == f"bucket.{key}"


def test_where_it_is_asked_for() -> None:
    path, host = (Bucket("https://s3.example:9000", NAME, path_style=style) for style in (True, False))
    assert (path.address, path.host, path.port) == ("https://s3.example:9000", "s3.example", 9000)
    assert (host.address, host.host) == ("https://outputs.s3.example:9000", "outputs.s3.example")
