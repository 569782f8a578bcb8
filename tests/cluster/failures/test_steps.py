"""Our pods are killed at each step of a request: as it is submitted, checked, reviewed twice, decided, released and
fetched. People try again where they are told that a part is missing, and the request is released once, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from tests.cluster.chart.researcher import NAME
from tre.demo.release_stage import ReleaseStage
from tre.errors import TreError
from tre.outputs.steps import LEASE

from .scene import Scene, succeeds, within

#: Whoever has to do with a request, and who keeps its workspace.
PARTS = ("api", "worker", "checker", "intake", "guard", "hub", "controller", "proxy")
STEPS = ("submitted", "checked", "first vote", "second vote", "decided", "released", "fetched")
LONG = os.environ.get("TRE_TEST_LONG") == "1"
#: Until a container that was killed has really ended.
A_MOMENT = 2
HASHES = """
import hashlib, json
print(json.dumps({n: hashlib.sha256(open(n, "rb").read()).hexdigest() for n in ("visits.csv", "visits.png")}))
"""
WAIT = LEASE.total_seconds() + 120


def rounds() -> Iterator[Any]:
    """Which parts are killed as each step begins: all of them at every step; then one at each, another at the next; at
    their full count, each at every step.
    """
    yield pytest.param([PARTS] * len(STEPS), id="all")
    for shift in range(len(PARTS) if LONG else 1):
        yield pytest.param([(PARTS[(number + shift) % len(PARTS)],) for number in range(len(STEPS))], id=f"one-{shift}")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("killed", rounds())
def test_a_request_outlives_them_at_every_step(scene: Scene, killed: list[tuple[str, ...]], tmp_path: Path) -> None:
    request = Request(scene, tmp_path)
    steps = dict(zip(STEPS, request.steps(), strict=True))
    for (name, step), parts in zip(steps.items(), killed, strict=True):
        for part in parts:
            for pod in scene.pods(part):
                scene.kill(pod)
        time.sleep(A_MOMENT)
        step()
        print(f"{name}: {', '.join(parts)} killed")
    scene.nothing_is_lost()
    assert request.told("request.submit") == 1
    assert request.told("request.released") == 1
    assert scene.researcher.stage.tre("ada", "audit", "verify")["events"] > 0


@dataclass
class Request:
    """A request from the kernel to the researcher's own machine."""

    scene: Scene
    folder: Path
    number: str = ""

    @property
    def stage(self) -> ReleaseStage:
        return self.scene.researcher.stage

    def steps(self) -> list[Callable[[], None]]:
        return [
            self.submit,
            self.check,
            self.vote_of("chen"),
            self.vote_of("dana"),
            self.decide,
            self.release,
            self.fetch,
        ]

    def submit(self) -> None:
        before = {each["id"] for each in within(120, self.listed, lambda _: True)}
        tried(self._submitted, lambda: {each["id"] for each in self.listed()} - before)
        (found,) = {each["id"] for each in self.listed()} - before
        self.number = str(found)

    def _submitted(self) -> None:
        self.scene.researcher.kernel.connect()
        self.scene.researcher.submit()

    def listed(self) -> list[dict[str, Any]]:
        return list(self.stage.tre(NAME, "request", "list", "--project", self.scene.researcher.project))

    def check(self) -> None:
        """Where a worker had begun, another begins when its lease is over."""
        within(WAIT, self.state, lambda state: state not in ("submitted", "checking"))
        assert self.state() == "in_review"

    def state(self) -> str:
        return str(self.stage.tre(NAME, "request", "show", self.number)["state"])

    def vote_of(self, checker: str) -> Callable[[], None]:
        def vote() -> None:
            before = self.reviews()
            succeeds(120, partial(self.stage.login, checker))
            for position in ("1", "2"):
                succeeds(120, partial(self.stage.tre, checker, "request", "view", self.number, position))
            tried(
                lambda: self.stage.tre(checker, "request", "vote", self.number, "--choice", "approve"),
                lambda: self.reviews() == before + 1,
            )

        return vote

    def reviews(self) -> int:
        return int(within(120, lambda: self.stage.tre(NAME, "request", "show", self.number), bool)["reviews"])

    def decide(self) -> None:
        tried(
            lambda: self.stage.tre("dana", "request", "decide", self.number, "approve"),
            lambda: self.state() == "approved",
        )

    def release(self) -> None:
        """The worker does it; whoever asked for it need not wait."""
        tried(
            lambda: self.stage.tre("dana", "request", "release", self.number),
            lambda: self.state() in ("releasing", "released"),
        )
        within(WAIT, self.state, lambda state: state == "released")

    def fetch(self) -> None:
        made = json.loads(self.scene.researcher.says_again(HASHES))
        for position, name in enumerate(sorted(made), 1):
            target = self.folder / name
            succeeds(120, partial(self.download, position, target))
            assert hashlib.sha256(target.read_bytes()).hexdigest() == made[name], name

    def download(self, position: int, target: Path) -> Any:
        return self.stage.tre(NAME, "request", "download", self.number, str(target), "--file", str(position))

    def told(self, action: str) -> int:
        """How often the record says that it was done."""
        options = ("--action", action, "--subject", f"request:{self.number}")
        events = self.stage.tre("ada", "audit", "list", *options)
        return sum(each["action"] == action and each["outcome"] != "refused" for each in events)


def tried(act: Callable[[], object], done: Callable[[], object], seconds: float = 150) -> None:
    """Until it is seen to be done: what was refused is tried again, and an answer that was lost is no reason to."""
    until, said = time.monotonic() + seconds, ""
    while True:
        try:
            act()
        except (TreError, OSError, WebSocketException) as error:
            said = str(error)
        if within(seconds, done, lambda answer: answer is not None):
            return
        assert time.monotonic() < until, said
        time.sleep(1)
