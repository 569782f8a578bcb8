"""A pod is confined from its first instruction, not from when somebody notices it.

Several pods at once try to get out the moment that they begin and tell what they saw. Without a policy the same pods
do get out: the test would see an open window.
"""

from __future__ import annotations

from . import objects
from .conftest import NewSpace
from .house import Facts, Space

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
