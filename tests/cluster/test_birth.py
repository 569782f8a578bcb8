"""A pod is confined from its first instruction, not from when somebody notices it.

Several pods at once try to get out the moment that they begin and tell what they saw. Without a policy the same pods
do get out: the test would see an open window.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from . import objects, traces
from .conftest import NewSpace
from .house import SILENT, Facts, Space, of
from .machine.place import Place

NEWBORN = [f"newborn-{number}" for number in range(8)]


def born(space: Space, targets: list[str]) -> set[str]:
    """Every verdict that any of the newborn came to."""
    space.apply(*(objects.pod(name, ["reach", *targets]) for name in NEWBORN))
    return {verdict for seen in space.finished(*NEWBORN) for verdict in seen.values()}


def test_nothing_leaves_a_pod_before_its_policy_holds(new_space: NewSpace, facts: Facts) -> None:
    other = new_space("other")
    address = other.start(objects.pod("web"))["web"]
    targets = [f"tcp://{address}:{objects.WEB}", f"udp://{address}:{objects.WEB}", *facts.outside(), *facts.node()]

    free = new_space("free")
    assert "silent" not in born(free, targets)

    confined = new_space("work")
    confined.apply(objects.default_deny())
    assert born(confined, targets) == {"silent"}


@contextmanager
def held(place: Place, program: str) -> Iterator[None]:
    """A part of our own cluster does not move meanwhile."""
    mine = traces.running(place, program)
    assert mine
    for pid in mine:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in mine:
            os.kill(pid, signal.SIGCONT)


def test_without_who_enforces_policies_the_old_hold_and_no_pod_is_born(
    new_space: NewSpace, facts: Facts, our_place: Place
) -> None:
    space = new_space("work")
    space.apply(objects.default_deny())
    space.start(objects.pod("older"))
    targets = [*facts.outside(), *facts.node()]
    space.settles("older", of(targets, SILENT))
    with held(our_place, "cilium-agent"):
        assert space.surprises("older", of(targets, SILENT)) == {}
        space.apply(objects.pod("newborn", ["reach", *targets]))
        time.sleep(8)
        assert space("get", "pod", "newborn", "--output=jsonpath={.status.phase}") == "Pending"
    assert {verdict for seen in space.finished("newborn") for verdict in seen.values()} == {"silent"}
