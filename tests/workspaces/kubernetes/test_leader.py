"""Two controllers: one leads; who cannot renew stops before another may begin, whatever the clocks say."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from tre.errors import Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.workspaces.kubernetes.api import SECONDS
from tre.workspaces.kubernetes.leader import DURATION, RENEW_EVERY, Leader


@dataclass
class Steady:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class LeaseStore:
    """The one Lease, with compare-and-swap as the API server does it; `down` fails, `slow` lets time pass."""

    steady: Steady
    lease: dict[str, Any] | None = None
    down: set[str] = field(default_factory=set)
    slow: float = 0.0
    before_swap: Any = None

    def ask(self, method: str, path: str, query: Any) -> dict[str, Any]:
        self._pass("GET")
        if self.lease is None:
            raise NotFound("none")
        return copy.deepcopy(self.lease)

    def create(self, kind: Any, made: dict[str, Any]) -> dict[str, Any]:
        self._pass("POST")
        if self.lease is not None:
            raise Conflict("exists")
        return self._store(made, 1)

    def replace(self, kind: Any, made: dict[str, Any]) -> dict[str, Any]:
        self._pass("PUT")
        if self.before_swap:
            swap, self.before_swap = self.before_swap, None
            swap()
        assert self.lease is not None
        if made["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        return self._store(made, int(self.lease["metadata"]["resourceVersion"]) + 1)

    def _store(self, made: dict[str, Any], version: int) -> dict[str, Any]:
        self.lease = copy.deepcopy(made)
        self.lease["metadata"]["resourceVersion"] = str(version)
        return self.lease

    def _pass(self, method: str) -> None:
        self.steady.now += self.slow
        if method in self.down:
            raise Unavailable("down")


@dataclass
class House:
    steady: Steady
    store: LeaseStore
    one: Leader
    two: Leader


@pytest.fixture
def house() -> House:
    steady = Steady()
    store = LeaseStore(steady)
    one, two = (Leader(store, "tre-system", name, steady=steady) for name in ("one", "two"))  # type: ignore[arg-type]
    return House(steady, store, one, two)


def test_one_leads_and_the_other_waits(house: House):
    assert [house.one.campaign(), house.two.campaign()] == [True, False]
    house.one.check()
    with pytest.raises(Unavailable, match="does not lead"):
        house.two.check()
    for _ in range(100):
        house.steady.now += RENEW_EVERY
        assert [house.one.campaign(), house.two.campaign()] == [True, False]


def test_a_leader_that_cannot_renew_stops_before_another_may_begin(house: House):
    house.one.campaign()
    began = house.steady.now
    house.store.down = {"PUT"}
    stopped = took_over = 0.0
    while not took_over:
        house.steady.now += 0.5
        house.one.campaign()
        if not stopped and not house.one.leads:
            stopped = house.steady.now - began
        # The rival can do all of it.
        house.store.down = set()
        if house.two.campaign():
            took_over = house.steady.now - began
        house.store.down = {"PUT"}
        assert not (house.one.leads and house.two.leads)
    # What it sent in its last moment has been answered or has failed when the other begins.
    assert stopped + SECONDS <= DURATION < took_over


def test_time_counts_from_before_the_question(house: House):
    house.store.slow = DURATION / 2
    assert not house.one.campaign(), "the answer came when the lease was nearly over"
    house.store.slow = 1.0
    assert house.one.campaign()
    house.steady.now += DURATION - SECONDS - 2
    assert not house.one.leads


def test_a_rival_is_silent_only_when_this_process_saw_it_so_for_the_whole_time(house: House):
    house.one.campaign()
    house.steady.now += 1000
    assert not house.two.campaign(), "it looks for the first time"
    house.steady.now += DURATION
    assert not house.two.campaign()
    house.steady.now += 0.1
    assert house.two.campaign()
    assert not house.one.campaign()
    assert house.store.lease["spec"]["leaseTransitions"] == 1  # type: ignore[index]


def test_the_others_clock_decides_nothing(house: House):
    house.one.campaign()
    house.store.lease["spec"]["renewTime"] = "1970-01-01T00:00:00.000000Z"  # type: ignore[index]
    assert not house.two.campaign()


@pytest.mark.parametrize("empty", [True, False])
def test_of_two_that_swap_at_once_one_wins(house: House, empty: bool):
    if not empty:
        house.one.campaign()
        house.two.campaign()
        house.steady.now += DURATION + 1
    house.store.before_swap = house.one.campaign
    won = [house.two.campaign(), house.one.leads]
    assert won == ([True, False] if empty else [False, True])


def test_one_that_leaves_lets_another_begin_at_once(house: House):
    house.one.campaign()
    house.one.resign()
    assert not house.one.leads
    assert house.two.campaign()
    house.one.resign()
    assert house.two.campaign()


@pytest.mark.parametrize("error", [NotFound("x"), Unavailable("x"), Conflict("x"), InvalidInput("x")])
def test_who_cannot_ask_loses_and_nothing_is_raised(house: House, error: TreError, monkeypatch: pytest.MonkeyPatch):
    def fail(*told: object) -> None:
        raise error

    monkeypatch.setattr(house.store, "ask", fail)
    monkeypatch.setattr(house.store, "create", fail)
    assert not house.one.campaign()
    house.one.resign()


def test_a_name_that_no_lease_can_hold_is_refused():
    with pytest.raises(InvalidInput) as refused:
        Leader(None, "tre-system", "One of us")  # type: ignore[arg-type]
    assert refused.value.field == "identity"
