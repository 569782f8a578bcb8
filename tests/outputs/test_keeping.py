"""Collecting orphans beside those who name content at the same moment: nothing that a request names is ever gone."""

import os
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text

from tests.outputs.house import House
from tests.stack.toys import wait_until
from tre.errors import InvalidInput, Unavailable
from tre.outputs import keeping
from tre.outputs.content.store import ContentStore
from tre.outputs.keeping import collect_orphans


def watched(house: House, **methods: Any) -> ContentStore:
    """The house's store, some of whose methods are replaced."""
    store = ContentStore(house.store.shelf, house.store.spool)
    for name, method in methods.items():
        setattr(store, name, method)
    return store


def somebody_waits(house: House) -> bool:
    with house.db.read() as session:
        return bool(session.scalars(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).one())


def test_who_submits_while_orphans_go_is_told_to_send_it_again(house: House) -> None:
    """An old orphan is submitted after all, just when it is collected."""
    orphan = house.file(content=b"sex,value\nF,50\nM,60\n")
    collecting, go_on = threading.Event(), threading.Event()

    def remove(digests: Iterable[str], *, removed: Any) -> None:
        collecting.set()
        assert go_on.wait(60)
        house.store.remove(digests, removed=removed)

    said: list[Exception] = []

    def submit() -> None:
        try:
            house.submit(orphan)
        except Exception as error:
            said.append(error)

    slow = watched(house, remove=remove)
    threads = [threading.Thread(target=lambda: collect_orphans(house.db, slow, grace_seconds=-1))]
    threads[0].start()
    assert collecting.wait(60)
    threads.append(threading.Thread(target=submit))
    threads[1].start()
    wait_until(lambda: somebody_waits(house))
    assert not said
    go_on.set()
    for thread in threads:
        thread.join()
    (error,) = said
    assert isinstance(error, InvalidInput), "it names no content that is gone"
    assert error.hint == "Send it again."
    assert house.submit(house.file(content=b"sex,value\nF,50\nM,60\n")).state == "submitted"


def test_who_named_it_first_keeps_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked like an orphan when it was listed, and is none any more."""
    late = house.file()
    wanted = keeping.wanted

    def then_it_is_submitted(session: Any, digests: Any) -> set[str]:
        found = wanted(session, digests)
        monkeypatch.undo()
        house.submit(late)
        return found

    monkeypatch.setattr(keeping, "wanted", then_it_is_submitted)
    assert collect_orphans(house.db, house.store, grace_seconds=-1) == 0
    assert house.store.read(late.digest)


def test_what_a_step_made_and_lost_again_is_made_anew(house: House) -> None:
    sent = house.submit()
    kept = house.store

    def put(content: bytes) -> Any:
        stored = kept.put(content)
        kept.remove([stored.digest], removed=lambda _: None)
        return stored

    house.store = watched(house, put=put)
    house.check()
    assert house.state(sent) == "checking"
    house.store = kept
    house.clock.forward(seconds=30)
    house.check()
    assert house.state(sent) == "in_review"


def test_many_orphans_go_some_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "BATCH", 2)
    monkeypatch.setattr(keeping, "MOST", 3)
    house.in_review(house.file(), house.file("b.csv", b"sex,value\nF,70\nM,80\n"))
    kept = set(house.store.digests())
    orphans = {house.store.put(os.urandom(8)).digest for _ in range(5)}
    counts = [collect_orphans(house.db, house.store, grace_seconds=-1) for _ in range(3)]
    assert counts == [3, 2, 0]
    assert set(house.store.digests()) == kept
    assert not kept & orphans


def test_what_hinders_removing_is_said_and_what_went_is_on_record(house: House) -> None:
    for content in (b"1", b"2"):
        house.store.put(content)
    shelf = house.store.shelf
    gone: list[str] = []

    class Reluctant:
        count_seconds = 0.0
        listed, size, open, add = shelf.listed, shelf.size, shelf.open, shelf.add

        def remove(self, digest: str) -> None:
            if gone:
                raise Unavailable("away")
            shelf.remove(digest)
            gone.append(digest)

    store = ContentStore(Reluctant(), house.store.spool)
    assert collect_orphans(house.db, store, grace_seconds=-1) == 1
    assert house.events("content.collect")[0]["detail"] == {"removed": 1}
    with pytest.raises(Unavailable):
        collect_orphans(house.db, store, grace_seconds=-1)
    assert len(house.events("content.collect")) == 1
