"""Keeps the cluster as the database says: a pass whenever either changed, every second at the latest.

Decides that a pass with nothing to do writes nothing, that a project that fails holds up no other, and that what was
done is one audit event per project. The world is looked at before the database: what the database allows was allowed
when it was seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import text

from tre.audit import SYSTEM, use_case
from tre.errors import TreError
from tre.store import Database
from tre.workspaces.kubernetes import desired
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.apply import Done, Hand
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.comparison import Todo, compare, pods_to_end
from tre.workspaces.kubernetes.desired import Key, Wanted, Wish
from tre.workspaces.kubernetes.leader import Leader
from tre.workspaces.kubernetes.names import namespace_of
from tre.workspaces.kubernetes.world import Space, World, our_namespaces
from tre.workspaces.plan import Limits

log = logging.getLogger(__name__)

#: Whether whoever began may go on: it leads, and nobody asked it to leave.
GoesOn = Callable[[], bool]
HANDS = 8
PAUSE = 1.0
WORST_PAUSE = 60.0


@dataclass
class Trouble:
    """A project that did not converge: why, how often in a row, and until when the very same is not tried again."""

    reason: str
    times: int
    again: float
    todo: Todo | None


@dataclass
class Controller:
    """One of them acts at a time: `hand.may_act` says whether it is this one."""

    db: Database
    cluster: Cluster
    hand: Hand
    steady: Callable[[], float] = time.monotonic
    trouble: dict[str, Trouble] = field(default_factory=dict)
    _wanted: dict[str, tuple[Wish, dict[Key, Wanted]]] = field(default_factory=dict)

    def run(self, leave: threading.Event, leads: Callable[[], bool]) -> None:
        changed = self.hand.world.changed
        while not leave.is_set():
            changed.wait(PAUSE)
            changed.clear()
            try:
                if leads() and self.hand.world.complete:
                    self.converge()
            except TreError as error:
                log.warning("%s", error.message)
                leave.wait(PAUSE)
            except Exception as error:
                log.error("%s", type(error).__name__, exc_info=True)
                leave.wait(PAUSE)

    def converge(self) -> int:
        """One pass; returns on how many projects it acted. Raises `Unavailable` where the database does not answer."""
        spaces = self.hand.world.spaces()
        with self.db.read() as session:
            wishes = desired.wishes(session, self.db.clock(), timedelta(days=self.cluster.retention_days))
        work = [found for wish in wishes if (found := self._look(wish, spaces))]
        work += self._unknown({wish.slug for wish in wishes}, spaces)
        self._wanted = {wish.slug: self._wanted[wish.slug] for wish in wishes if wish.slug in self._wanted}
        if not work:
            return 0
        with ThreadPoolExecutor(HANDS, "hand") as hands:
            return sum(hands.map(lambda each: self._act(each[0], each[1], each[2], spaces), work))

    def _look(self, wish: Wish, spaces: Mapping[str, Space]) -> tuple[Wish, str, Todo] | None:
        try:
            name = namespace_of(self.cluster.control_namespace, wish.slug)
            todo = compare(wish, name, self._wanted_of(wish), spaces.get(name, {}))
        except TreError as error:
            if not self._waits(wish.slug, None):
                self._failed(wish.slug, None, error)
            return None
        if not todo:
            self.trouble.pop(wish.slug, None)
        return (wish, name, todo) if todo and not self._waits(wish.slug, todo) else None

    def _waits(self, slug: str, todo: Todo | None) -> bool:
        trouble = self.trouble.get(slug)
        return trouble is not None and trouble.todo == todo and self.steady() < trouble.again

    def _wanted_of(self, wish: Wish) -> dict[Key, Wanted]:
        """Worked out once for as long as the objects stay the same: which workspaces live changes none."""
        plain = Wish(wish.slug, wish.open, wish.over, wish.people, wish.homes, wish.limits)
        known = self._wanted.get(wish.slug)
        if known is None or known[0] != plain:
            known = self._wanted[wish.slug] = (plain, desired.wanted(self.cluster, plain))
        return known[1]

    def _unknown(self, slugs: set[str], spaces: Mapping[str, Space]) -> list[tuple[Wish, str, Todo]]:
        """Namespaces of ours whose project the database does not know: their pods end, and nothing of them is lost."""
        found = []
        for slug, name in our_namespaces(spaces).items():
            if slug not in slugs and (pods := pods_to_end(spaces[name])):
                wish = Wish(slug, open=False, over=False, people=0, homes=(), limits=Limits())
                found.append((wish, name, Todo(end=pods)))
        return found

    def _act(self, wish: Wish, name: str, todo: Todo, spaces: Mapping[str, Space]) -> bool:
        needed = todo.make or todo.change or todo.repair
        made = {(kind, each["metadata"]["name"]): each for kind, each in desired.objects(self.cluster, wish) if needed}
        try:
            with use_case(self.db, SYSTEM, "cluster.converge", f"project:{wish.slug}") as case:
                # What cannot be recorded is not done.
                case.session.execute(text("SELECT 1"))
                done = self.hand.carry_out(name, todo, made, spaces.get(name, {}))
                case.action = _action(done)
                case.note(namespace=name, **done.detail())
                if not done.detail():
                    case.nothing_changed()
            if done.error:
                raise done.error
        except TreError as error:
            self._failed(wish.slug, todo, error)
            return False
        self.trouble.pop(wish.slug, None)
        return True

    def _failed(self, slug: str, todo: Todo | None, error: TreError) -> None:
        times = self.trouble[slug].times + 1 if slug in self.trouble else 1
        pause = min(PAUSE * 2**times, WORST_PAUSE)
        self.trouble[slug] = Trouble(error.message, times, self.steady() + pause, todo)
        log.warning("project %s: %s %s", slug, error.message, error.hint)


@dataclass(frozen=True)
class Chore:
    """What else is done while this controller leads, each in a thread of its own, with a rest after each time. What
    takes long asks now and then whether it may go on.
    """

    name: str
    do: Callable[[World, GoesOn], object]
    rest: float

    def run(self, leave: threading.Event, leads: Callable[[], bool], world: World) -> None:
        while not leave.wait(self.rest):
            try:
                if leads():
                    self.do(world, lambda: leads() and not leave.is_set())
            except TreError as error:
                log.warning("%s: %s", self.name, error.message)
            except Exception as error:
                log.error("%s: %s", self.name, type(error).__name__, exc_info=True)


def keep(
    db: Database, cluster: Cluster, api: Api, identity: str, leave: threading.Event, chores: Sequence[Chore] = ()
) -> None:
    """All that one controller process does until `leave` is set: it watches, and acts while it leads."""
    leader = Leader(api, cluster.control_namespace, identity)
    world = World(api, cluster.control_namespace, clock=db.clock)
    world.start(leave)
    threads = [threading.Thread(target=leader.run, args=(leave,), name="leader")]
    for chore in chores:
        threads.append(threading.Thread(target=chore.run, args=(leave, lambda: leader.leads, world), name=chore.name))
    for thread in threads:
        thread.start()
    try:
        Controller(db, cluster, Hand(api, world, leader.check)).run(leave, lambda: leader.leads)
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def _action(done: Done) -> str:
    if done.repaired or done.removed:
        return "cluster.repair"
    return "cluster.remove" if done.deleted else "cluster.converge"
