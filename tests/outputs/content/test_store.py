"""The content store, in a folder and in a bucket: once, whole, unaltered, bounded."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.outputs.content.shelves import Shelved
from tre.errors import Broken, InvalidInput, LimitExceeded, Unavailable
from tre.outputs.content import store as module
from tre.outputs.content.folder import in_folder
from tre.outputs.content.model import CHUNK
from tre.outputs.content.spool import Spool


def test_the_same_bytes_lie_there_once(shelved: Shelved) -> None:
    store = shelved.store
    first, second = store.put(b"hello"), shelved.another().put(b"hello")
    assert first == second
    assert list(store.digests()) == [first.digest]
    assert (store.read(first.digest), store.size(first.digest)) == (b"hello", 5)
    assert os.listdir(store.spool.folder) == []


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 7])
def test_what_goes_in_in_pieces_comes_out_whole(shelved: Shelved, size: int) -> None:
    content = os.urandom(size)
    with shelved.store.incoming(limit_bytes=size) as incoming:
        for start in range(0, size, 300_000):
            incoming.write(content[start : start + 300_000])
        kept = shelved.store.keep(incoming)
    assert kept.digest == hashlib.sha256(content).hexdigest()
    assert shelved.another().read(kept.digest) == content
    assert kept.size == size == shelved.store.size(kept.digest)


def test_bytes_that_are_not_those_expected_are_not_kept(shelved: Shelved) -> None:
    with shelved.store.incoming(limit_bytes=5) as incoming:
        incoming.write(b"hello")
        with pytest.raises(InvalidInput):
            shelved.store.keep(incoming, expected="0" * 64)
    assert list(shelved.store.digests()) == []


@pytest.mark.parametrize("other", [b"hullo", b"hell", b"hello!", b""], ids=["replaced", "cut off", "longer", "emptied"])
def test_what_was_altered_is_not_handed_out(shelved: Shelved, other: bytes) -> None:
    """Neither to who reads it, nor to who brings the same bytes once more, and it stays as it is: evidence."""
    kept = shelved.store.put(b"hello")
    shelved.alter(kept.digest, other)
    for ask in (lambda: shelved.another().read(kept.digest), lambda: shelved.another().put(b"hello")):
        with pytest.raises(Broken) as broken:
            ask()
        assert broken.value.error_code == "content_altered"
    assert shelved.file(kept.digest).read_bytes() == other


def test_what_is_gone_is_said_to_be(shelved: Shelved) -> None:
    kept = shelved.store.put(b"hello")
    shelved.file(kept.digest).unlink()
    with pytest.raises(Broken) as gone:
        shelved.store.read(kept.digest)
    assert gone.value.error_code == "content_missing"
    assert shelved.store.size(kept.digest) is None


def test_something_huge_in_its_place_is_not_read_to_its_end(shelved: Shelved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even under its own hash: we put nothing so large there."""
    content = bytes(2 * CHUNK + 1)
    kept = shelved.store.put(content)
    assert shelved.store.read(kept.digest) == content
    monkeypatch.setattr(module, "LARGEST_BYTES", 2 * CHUNK)
    with pytest.raises(Broken):
        shelved.store.read(kept.digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "0" * 63 + "/"])
def test_only_a_digest_is_a_name(shelved: Shelved, digest: str) -> None:
    for ask in (shelved.store.read, shelved.store.size):
        with pytest.raises(InvalidInput):
            ask(digest)


def test_two_at_once_bring_the_same_bytes(shelved: Shelved) -> None:
    content = os.urandom(2 * CHUNK)
    stores = [shelved.another() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda store: store.put(content), stores))
    assert len(set(kept)) == 1
    assert shelved.store.read(kept[0].digest) == content
    assert list(shelved.store.digests()) == [kept[0].digest]


def test_too_much_is_refused_and_leaves_nothing(shelved: Shelved) -> None:
    with pytest.raises(LimitExceeded), shelved.store.incoming(limit_bytes=10) as incoming:
        incoming.write(b"12345678901")
    assert os.listdir(shelved.store.spool.folder) == []


def test_an_upload_that_breaks_off_leaves_nothing(shelved: Shelved) -> None:
    incoming = shelved.store.incoming(limit_bytes=10)
    incoming.__enter__().write(b"123")
    assert incoming.__exit__(ConnectionError, ConnectionError(), None) is not True
    assert os.listdir(shelved.store.spool.folder) == []
    assert list(shelved.store.digests()) == []


def test_a_full_store_says_so(shelved: Shelved) -> None:
    shelved.store.quota_bytes = 10
    shelved.store.put(b"1234567890")
    with pytest.raises(LimitExceeded) as full:
        shelved.store.put(b"x")
    assert full.value.error_code == "store_full"
    other = shelved.another()
    other.quota_bytes = 10
    with pytest.raises(LimitExceeded):
        other.put(b"x")


def test_orphans_are_found_by_their_age(shelved: Shelved) -> None:
    old, fresh = (shelved.store.put(content).digest for content in (b"old", b"fresh"))
    shelved.age(old)
    assert list(shelved.store.older(3600)) == [old]
    removed: list[str] = []
    shelved.store.remove([old, "0" * 64], removed=removed.append)
    assert removed == [old, "0" * 64], "what is gone already is gone"
    assert list(shelved.store.digests()) == [fresh]


def test_what_is_not_content_is_nobodys_business(shelved: Shelved) -> None:
    kept = shelved.store.put(b"hello").digest
    beside = shelved.file(kept).parent
    for name in ("notes.txt", "f" * 64, "a" * 63):
        (beside / name).write_bytes(b"x")
    shelved.file("e" * 64).mkdir(parents=True)
    assert list(shelved.store.digests()) == [kept]


def test_a_full_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        in_folder(tmp_path / "big", reserve_bytes=1 << 60).put(b"x")


def test_a_disk_that_refuses_to_write_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = in_folder(tmp_path, reserve_bytes=0)
    for name in ("fsync", "open", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(Unavailable, match="No space left"):
                store.put(b"hello")
    with store.incoming(limit_bytes=10) as incoming:
        monkeypatch.setattr(incoming, "_file", type("Full", (), {"write": full, "close": lambda _: None})())
        with pytest.raises(Unavailable):
            incoming.write(b"x")


def test_files_in_a_folder_are_read_only(tmp_path: Path) -> None:
    store = in_folder(tmp_path, reserve_bytes=0)
    kept = store.put(b"hello").digest
    assert (tmp_path / kept[:2] / kept).stat().st_mode & 0o777 == 0o400


def test_what_arrives_at_once_is_bounded_and_what_was_left_behind_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path, reserve_bytes=0, most_bytes=10)
    with spool.incoming(limit_bytes=10) as one, spool.incoming(limit_bytes=10) as other:
        one.write(b"123456")
        with pytest.raises(Unavailable):
            other.write(b"78901")
        other.write(b"7890")
    with spool.incoming(limit_bytes=10) as again:
        again.write(b"1234567890")
    (tmp_path / "left").write_bytes(b"x")
    with spool.incoming(limit_bytes=1) as another:
        assert set(os.listdir(tmp_path)) == {"left", another.path.name}
    os.utime(tmp_path / "left", (0, 0))
    with spool.incoming(limit_bytes=1) as another:
        assert os.listdir(tmp_path) == [another.path.name]
