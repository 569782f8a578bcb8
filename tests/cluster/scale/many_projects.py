"""A thousand projects on a real API server, kept by the real controller's process.

Decides what is measured and how: convergence, changes and writes from outside the process; the time of one pass, which
nobody sees from outside, by the same code over the same cluster and database, with a hand that may do nothing.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from tests.cluster.scale.house import House
from tests.cluster.scale.town import Town
from tests.cluster.scale.witness import CONTROLLER, Account, Watch, load, writes
from tre.errors import Unavailable
from tre.workspaces.kubernetes.apply import Hand
from tre.workspaces.kubernetes.content import CLAIM, ROLE_BINDING
from tre.workspaces.kubernetes.controller import Controller
from tre.workspaces.kubernetes.names import home_of, namespace_of
from tre.workspaces.kubernetes.world import WATCHED, World

QUIET = 30.0
CHANGES = 20
PASSES = 10


@dataclass(frozen=True)
class Passes:
    """Seconds: everything listed anew, the first pass, a later one; and what `first` found to do."""

    listed: float
    first: float
    later: float
    todo: int


def converge(house: House, town: Town, seconds: float = 900) -> tuple[float, dict[str, float]]:
    """From the controller's start to the last part of the last project, the hub's right; and the processor seconds that
    each process took meanwhile, which a busy machine does not change much.
    """
    hubs = Watch(house.api(), ROLE_BINDING)
    begun = time.perf_counter()
    accounts = {name: Account(psutil.Process(each.pid)) for name, each in house.plane.processes.items()}
    accounts["controller"] = Account(house.start("controller"))
    spaces = {namespace_of(house.cluster.control_namespace, slug) for slug in town.slugs}
    wanted = {(space, "hub") for space in spaces}
    if not hubs.wait(lambda seen: wanted <= seen.keys(), seconds):
        raise Unavailable(f"{len(wanted - hubs.first.keys())} projects did not converge.\n{house.tail('controller')}")
    hubs.stop()
    taken = max(hubs.first[each] for each in wanted) - begun
    return taken, {name: account.seconds() for name, account in accounts.items()}


def quiet(house: House, account: Account, seconds: float = QUIET) -> dict[str, Any]:
    """What the controller writes and costs while nothing changes."""
    since = house.plane.audit.stat().st_size
    begun = Account(account.process)
    time.sleep(seconds)
    return {
        "seconds": seconds,
        "writes": dict(writes(house.plane.audit, CONTROLLER, since)),
        "processor": begun.share(),
        "memory": begun.memory(),
    }


def settled(house: House, seconds: float = 120) -> None:
    """Waits until the controller has written nothing but its Lease for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        since = house.plane.audit.stat().st_size
        time.sleep(5)
        if not writes(house.plane.audit, CONTROLLER, since).keys() - {"leases"}:
            return
    raise Unavailable(f"The controller does not come to rest.\n{house.tail('controller')}")


def changes(house: House, town: Town, slugs: list[str]) -> list[float]:
    """Seconds from a person's joining a project, committed, to their home on the API server."""
    homes, found = Watch(house.api(), CLAIM), []
    for slug in slugs:
        time.sleep(random.random() * 1.5)
        place = (namespace_of(house.cluster.control_namespace, slug), home_of(town.join(slug)))
        begun = time.perf_counter()
        if not homes.wait(lambda seen, place=place: place in seen, 60):
            raise Unavailable(f"{slug} was changed and nothing followed.\n{house.tail('controller')}")
        found.append(homes.first[place] - begun)
    homes.stop()
    return found


def passes(house: House) -> Passes:
    def refuse() -> None:
        raise Unavailable("This one only looks.")

    api = house.api()
    world = World(api, house.cluster.control_namespace)
    begun = time.perf_counter()
    for kind in WATCHED:
        world.relist(kind)
    listed = time.perf_counter() - begun
    controller = Controller(house.db, house.cluster, Hand(api, world, refuse))
    taken = []
    for _ in range(PASSES + 1):
        begun = time.perf_counter()
        controller.converge()
        taken.append(time.perf_counter() - begun)
    return Passes(listed, taken[0], statistics.median(taken[1:]), len(controller.trouble))


def measure(house: House, town: Town) -> dict[str, Any]:
    converged, spent = converge(house, town)
    account = Account(psutil.Process(house.processes["controller"].pid))
    settled(house)
    found = {
        "projects": len(town.slugs),
        "converged": converged,
        "spent": spent,
        "load": load(),
        "quiet": quiet(house, account),
    }
    found["passes"] = asdict(passes(house))
    found["changes"] = changes(house, town, random.sample(town.slugs, CHANGES))
    found["memory"] = account.memory()
    return found
