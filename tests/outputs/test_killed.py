"""Workers killed with -9 anywhere: nothing lost, nothing released twice, nothing released unapproved.

A forked worker counts the lines that it runs in the platform's own code and kills itself at a random one; another
worker comes later, as it would when the lease has run out.
"""

import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

import pytest
from sqlalchemy import func, select, text

from tests.outputs.house import House
from tests.stack.toys import wait_until
from tre.outputs import checking, limits, release, steps
from tre.outputs.model import FileFinding, Release, ReleaseRequest
from tre.outputs.service import Submitted
from tre.outputs.states import RequestState
from tre.people.model import Person
from tre.projects.model import Member, Project
from tre.store import Database

POINTS = 200 if os.environ.get("TRE_TEST_LONG") else 20
CHECKS = 60 if os.environ.get("TRE_TEST_LONG") else 6
Step = Callable[[Database], object]


def in_fork(house: House, step: Step, kill_at: int = 0) -> int:
    """Runs the step in a process of its own. Lines that it ran, or 0 when it was killed at `kill_at`."""
    url, before = house.db.engine.url, sessions(house)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            lines = _counting(lambda: step(Database(url, clock=house.clock)), kill_at)
            os.write(writing, str(lines).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = int(told.read() or 0)
    _, status = os.waitpid(child, 0)
    assert (os.WIFSIGNALED(status) and lines == 0) or lines > 0
    # A busy server takes a moment to notice that somebody died, and holds their locks until then.
    wait_until(lambda: sessions(house) <= before)
    return lines


def sessions(house: House) -> set[int]:
    """The server's processes that serve our database."""
    with house.db.read() as session:
        return set(session.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")))


def _counting(run: Callable[[], object], kill_at: int) -> int:
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal lines
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("tre.outputs", "tre.audit", "tre.store")):
            return None
        if event == "line":
            lines += 1
            if lines == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return lines


def releases(house: House) -> Step:
    return lambda db: release.step(db, house.release_desk())


def checks(house: House) -> Step:
    return lambda db: checking.step(db, house.desk())


def count(house: House, action: str, sent: Submitted) -> int:
    subject = f"request:{sent.request}"
    return sum(e["subject"] == subject and e["outcome"] == "done" for e in house.events(action))


def release_row(house: House, sent: Submitted) -> Release | None:
    with house.db.read() as session:
        found = session.get(Release, sent.request)
        session.expunge_all()
        return found


@pytest.fixture(autouse=True)
def many_requests(house: House) -> None:
    limits.change(house.db, house.actor("adam"), {"max_requests_per_day": 10_000})


def test_a_release_killed_anywhere_happens_once(house: House) -> None:
    first = house.releasing()
    total = in_fork(house, releases(house))
    assert house.state(first) == "released"
    for point in random.Random(os.environ.get("TRE_TEST_SEED", "7")).sample(range(1, total), POINTS):
        sent = house.releasing()
        in_fork(house, releases(house), kill_at=point)
        out = release_row(house, sent)
        assert (house.state(sent) == "released") == (out is not None), point
        assert house.state(sent) in ("releasing", "released"), point
        house.clock.forward(minutes=3)
        while release.step(house.db, house.release_desk()):
            pass
        assert house.state(sent) == "released", point
        assert count(house, "request.released", sent) == 1, point
        final = release_row(house, sent)
        assert final is not None
        assert out is None or (out.digest, out.crate) == (final.digest, final.crate)
        assert release.download(house.db, house.store, house.actor("ada"), sent.request).sha256 == final.digest


def test_a_repeated_release_builds_the_same_bytes(house: House) -> None:
    class Broken(Exception):
        pass

    class Falls:
        def sign(self, message: bytes) -> str:
            said.append(message)
            os.kill(os.getpid(), signal.SIGKILL)
            raise Broken

    said: list[bytes] = []
    house.releasing()
    in_fork(house, lambda db: release.step(db, release.ReleaseDesk(house.store, Falls())), kill_at=10**9)
    (crate,) = {d for d in house.store.digests() if house.store.read(d).startswith(b"PK")}
    house.clock.forward(minutes=3)
    assert release.step(house.db, house.release_desk())
    assert {d for d in house.store.digests() if house.store.read(d).startswith(b"PK")} == {crate}


def test_checks_killed_anywhere_are_done_once(house: House) -> None:
    first = house.submit()
    total = in_fork(house, checks(house))
    assert house.state(first) == "in_review"
    for point in random.Random(11).sample(range(1, total), CHECKS):
        sent = house.submit()
        in_fork(house, checks(house), kill_at=point)
        assert house.state(sent) in ("submitted", "checking", "in_review"), point
        house.clock.forward(minutes=3)
        house.check()
        assert house.state(sent) == "in_review", point
        assert count(house, "request.checked", sent) == 1, point
    with house.db.read() as session:
        requests = session.scalars(select(func.count()).select_from(ReleaseRequest)).one()
        assert session.scalars(select(func.count()).select_from(FileFinding)).one() == requests


def test_who_keeps_dying_is_given_up_with_a_reason(house: House) -> None:
    sent = house.submit()
    for _ in range(5):
        in_fork(house, checks(house), kill_at=250)
        house.clock.forward(minutes=2, seconds=1)
    house.check()
    assert house.state(sent) == "failed"
    event = house.events("request.fail")[0]
    assert "stopped 5 times" in event["detail"]["reason"]


def test_a_worker_that_lost_its_lease_changes_nothing(house: House) -> None:
    """It wakes up after another has finished: its result counts for nothing."""
    sent = house.releasing()

    class Sleeps:
        def sign(self, message: bytes) -> str:
            house.clock.forward(minutes=3)
            assert release.step(house.db, house.release_desk()), "another worker takes over"
            return house.pen.sign(message)

    assert release.step(house.db, release.ReleaseDesk(house.store, Sleeps()))
    assert house.state(sent) == "released"
    assert count(house, "request.released", sent) == 1


def test_a_worker_whose_request_was_taken_over_leaves_it_alone(house: House) -> None:
    """The state is still the same: only the lease says that somebody else is at it."""
    sent = house.releasing()

    class Sleeps:
        def sign(self, message: bytes) -> str:
            house.clock.forward(minutes=3)
            assert steps.claim(house.db, RequestState.releasing) is not None
            return house.pen.sign(message)

    assert release.step(house.db, release.ReleaseDesk(house.store, Sleeps()))
    assert (house.state(sent), release_row(house, sent)) == ("releasing", None)


def test_who_joins_the_project_during_the_release_stops_it(house: House) -> None:
    sent = house.releasing()

    class Meanwhile:
        def sign(self, message: bytes) -> str:
            with house.db.transaction() as session:
                cora = session.scalars(select(Person).where(Person.username == "cora")).one()
                project = session.scalars(select(Project).where(Project.slug == "cost")).one()
                session.add(Member(project_id=project.id, person_id=cora.id, joined_at=house.clock()))
            return house.pen.sign(message)

    assert release.step(house.db, release.ReleaseDesk(house.store, Meanwhile()))
    assert (house.state(sent), release_row(house, sent)) == ("failed", None)
