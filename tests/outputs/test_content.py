"""The content store: once, whole, unaltered, bounded."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.errors import Broken, InvalidInput, LimitExceeded, Unavailable
from tre.outputs.content import ContentStore


def test_the_same_bytes_lie_there_once_and_read_only(store: ContentStore) -> None:
    first, second = store.put(b"hello"), store.put(b"hello")
    assert first == second
    assert list(store.digests()) == [first.digest]
    assert store.path(first.digest).stat().st_mode & 0o777 == 0o400
    assert store.read(first.digest) == b"hello"
    assert os.listdir(store.root / "incoming") == []


@given(content=st.binary(max_size=2000), sizes=st.lists(st.integers(1, 300), max_size=20))
def test_what_goes_in_in_pieces_comes_out_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, sizes: list[int]
) -> None:
    store = ContentStore(tmp_path_factory.mktemp("content"), reserve_bytes=0)
    with store.incoming(limit_bytes=2000) as incoming:
        rest = content
        for size in sizes:
            incoming.write(rest[:size])
            rest = rest[size:]
        incoming.write(rest)
        kept = incoming.keep()
    assert store.read(kept.digest) == content
    assert kept.size == len(content) == store.size(kept.digest)


def test_what_was_altered_is_not_handed_out(store: ContentStore) -> None:
    kept = store.put(b"hello")
    path = store.path(kept.digest)
    path.chmod(0o600)
    path.write_bytes(b"hullo")
    for read in (lambda: store.read(kept.digest), lambda: store.put(b"hello")):
        with pytest.raises(Broken) as broken:
            read()
        assert broken.value.error_code == "content_altered"
    path.unlink()
    with pytest.raises(Broken) as gone:
        store.read(kept.digest)
    assert gone.value.error_code == "content_missing"
    path.mkdir()
    with pytest.raises(Broken):
        store.read(kept.digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "0" * 63 + "/"])
def test_only_a_digest_is_a_name(store: ContentStore, digest: str) -> None:
    with pytest.raises(InvalidInput):
        store.read(digest)


def test_too_much_is_refused_and_leaves_nothing(store: ContentStore) -> None:
    with pytest.raises(LimitExceeded), store.incoming(limit_bytes=10) as incoming:
        incoming.write(b"12345678901")
    assert os.listdir(store.root / "incoming") == []


def test_an_upload_that_breaks_off_leaves_nothing(store: ContentStore) -> None:
    incoming = store.incoming(limit_bytes=10)
    incoming.__enter__().write(b"123")
    assert incoming.__exit__(ConnectionError, ConnectionError(), None) is not True
    assert os.listdir(store.root / "incoming") == []
    assert list(store.digests()) == []


def test_a_full_store_and_a_full_disk_say_so(tmp_path: Path) -> None:
    small = ContentStore(tmp_path / "small", quota_bytes=10, reserve_bytes=0)
    small.put(b"1234567890")
    small._usage = (float("-inf"), 0)
    with pytest.raises(LimitExceeded) as full:
        small.put(b"x")
    assert full.value.error_code == "store_full"
    with pytest.raises(Unavailable):
        ContentStore(tmp_path / "big", reserve_bytes=1 << 60).put(b"x")


def test_a_disk_that_refuses_to_write_says_so(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(Unavailable, match="No space left"):
                store.put(b"hello")
    with store.incoming(limit_bytes=10) as incoming:
        monkeypatch.setattr(incoming, "_file", type("Full", (), {"write": full, "close": lambda _: None})())
        with pytest.raises(Unavailable):
            incoming.write(b"x")


def test_orphans_go_after_their_grace_and_the_wanted_stay(store: ContentStore) -> None:
    wanted, orphan, fresh = (store.put(content).digest for content in (b"wanted", b"orphan", b"fresh"))
    for digest in (wanted, orphan):
        os.utime(store.path(digest), (0, 0))
    abandoned = store.root / "incoming" / "abandoned"
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    shown: list[str] = []

    def keep(digests: object) -> set[str]:
        shown.extend(digests)
        return {wanted}

    assert store.collect(keep) == [orphan]
    assert sorted(shown) == sorted([wanted, orphan])
    assert sorted(store.digests()) == sorted([wanted, fresh])
    assert not abandoned.exists()


def test_what_is_submitted_again_is_fresh_again(store: ContentStore) -> None:
    kept = store.put(b"again").digest
    os.utime(store.path(kept), (0, 0))
    store.put(b"again")
    assert store.collect(lambda digests: ()) == []
