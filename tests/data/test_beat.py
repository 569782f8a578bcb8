"""The heartbeat: renews until it is told to end, the lease is lost, or the work has taken too long."""

import threading
from datetime import timedelta

from tre.data.beat import Beat
from tre.errors import Unavailable

SOON, FAR = timedelta(milliseconds=1), timedelta(hours=1)


def test_it_renews_until_the_work_ends():
    enough, asked = threading.Event(), []

    def renew():
        asked.append(1)
        if len(asked) == 3:
            enough.set()
        return True

    with Beat(renew, every=SOON, longest=FAR):
        assert enough.wait(30)
    count = len(asked)
    assert count >= 3
    assert not [t for t in threading.enumerate() if t.name == "lease"]


def test_a_lost_lease_is_not_asked_for_again():
    asked = []
    beat = Beat(lambda: asked.append(1) or False, every=SOON, longest=FAR)
    with beat:
        beat._thread.join(30)
    assert len(asked) == 1


def test_a_database_that_is_away_is_asked_again():
    back, asked = threading.Event(), []

    def renew():
        asked.append(1)
        if len(asked) == 1:
            raise Unavailable("away")
        back.set()
        return True

    with Beat(renew, every=SOON, longest=FAR):
        assert back.wait(30)


def test_work_without_end_loses_its_lease():
    asked = []
    beat = Beat(lambda: asked.append(1) or True, every=SOON, longest=timedelta(0))
    with beat:
        beat._thread.join(30)
    assert len(asked) == 0
