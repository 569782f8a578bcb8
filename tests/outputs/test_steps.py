"""Leases, timeouts, failures that pass and failures that stay."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from tests.outputs.house import House, png, unwalled
from tre.errors import Broken, LimitExceeded, Refusal, TreError, Unavailable
from tre.outputs import access, checking, release, steps
from tre.outputs.model import ReleaseRequest
from tre.outputs.states import TIMEOUTS


def reason(house: House, request: int = 1) -> str:
    with house.db.read() as session:
        return access.get(session, request).reason


def test_nothing_to_do_writes_nothing(house: House) -> None:
    before = len(house.events())
    assert not checking.step(house.db, house.desk())
    assert not release.step(house.db, house.release_desk())
    assert not steps.expire(house.db)
    assert len(house.events()) == before


def test_two_workers_share_the_work(house: House, at_once: Callable[..., list[object]]) -> None:
    sent = [house.submit() for _ in range(4)]
    results = at_once(*[lambda: checking.step(house.db, house.desk()) for _ in range(4)])
    assert all(result is True for result in results), results
    assert {house.state(one) for one in sent} == {"in_review"}
    assert len(house.events("request.checked")) == 4


@pytest.mark.parametrize("state", TIMEOUTS)
def test_a_state_of_the_systems_ends_with_a_reason(house: House, state: str) -> None:
    sent = house.submit()
    with house.db.transaction() as session:
        session.execute(update(ReleaseRequest).values(state=state))
    assert not steps.expire(house.db)
    house.clock.forward(seconds=TIMEOUTS[state].total_seconds() + 1)
    assert steps.expire(house.db)
    assert house.state(sent) == "failed"
    assert f"It was {state} for longer" in reason(house)


def test_a_clock_that_jumps_back_stops_nothing(house: House) -> None:
    sent = house.submit()
    house.clock.forward(days=-30)
    house.check()
    assert house.state(sent) == "in_review"


def fails(error: Exception) -> Callable[..., bytes]:
    def run(**_: Any) -> bytes:
        raise error

    return run


def test_no_sandbox_for_a_moment_is_only_a_delay(house: House) -> None:
    sent = house.submit()
    house.run = fails(Unavailable("No sandbox can be made."))
    house.check()
    assert (house.state(sent), reason(house)) == ("checking", "Waiting: No sandbox can be made.")
    house.run = unwalled
    house.clock.forward(seconds=30)
    house.check()
    assert house.state(sent) == "in_review"


@pytest.mark.parametrize("error", [Broken("Gone."), TreError("Odd."), RuntimeError("secret words")])
def test_what_does_not_pass_fails_with_a_reason(house: House, error: Exception) -> None:
    sent = house.submit()
    house.run = fails(error)
    house.check()
    assert house.state(sent) == "failed"
    assert "secret words" not in reason(house)
    assert bool(house.events("content.alarm")) == isinstance(error, Broken)


def test_one_bad_file_does_not_hide_the_others(house: House) -> None:
    """A file that takes the sandbox down is found by itself."""

    def run(*, stdin: bytes, **rest: Any) -> bytes:
        if b"boom" in stdin:
            raise LimitExceeded("More memory than there is.")
        return unwalled(stdin=stdin)

    house.run = run
    sent = house.submit(house.file(), house.file("bad.csv", b"a,b\nboom,20\n"), house.file("p.png", png(), "figure"))
    house.check()
    assert house.state(sent) == "returned"
    assert house.events("request.checked")[0]["detail"]["blocked"] == [2]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b'{"files": []}',
        b'{"files": [{"media_type": "text/html", "findings": []}]}',
        b'{"files": [{"media_type": "text/csv", "findings": [], "approved": true}]}',
        b'{"files": [{"media_type": "image/png", "findings": [], "preview": "PHNjcmlwdD4="}]}',
        b'{"files": [{"media_type": "image/png", "findings": [], "preview": "!"}]}',
        json.dumps({"files": [{"media_type": "text/csv", "findings": [{"rule": "x", "severity": "none"}]}]}).encode(),
    ],
)
def test_a_sandbox_that_was_taken_over_says_nothing_we_believe(house: House, said: bytes) -> None:
    house.run = lambda **_: said
    sent = house.submit()
    house.check()
    assert house.state(sent) == "returned"


def test_pictures_cannot_speak_for_tables(house: House) -> None:
    """They are read in a sandbox of their own."""
    batches: list[list[str]] = []

    def run(*, stdin: bytes, **rest: Any) -> bytes:
        batches.append([file["name"] for file in json.loads(stdin.partition(b"\n")[0])["files"]])
        return unwalled(stdin=stdin)

    house.run = run
    house.in_review(house.file("p.png", png(), "figure"), house.file())
    assert batches == [["table.csv"], ["p.png"]]


def test_a_batch_that_takes_too_long_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from tre.outputs import sandboxed

    monkeypatch.setattr(sandboxed, "TOTAL_SECONDS", -1.0)
    house.run = fails(Refusal("No."))
    sent = house.submit(house.file(), house.file("b.csv"))
    house.check()
    assert house.state(sent) == "returned"


def test_bytes_altered_before_the_checks_raise_the_alarm(house: House) -> None:
    file = house.file()
    sent = house.submit(file)
    path = house.store.shelf.path(file.digest)
    path.chmod(0o600)
    path.write_bytes(b"sex,value\nF,31\n")
    house.check()
    assert house.state(sent) == "failed"
    assert house.events("content.alarm")[0]["subject"] == "request:1"


def test_long_steps_keep_their_lease(house: House) -> None:
    sent = house.submit()
    taken = steps.claim(house.db, "checking", waiting="submitted")
    beat = steps.heartbeat(house.db, taken, "checking")
    for _ in range(20):
        house.clock.forward(seconds=30)
        beat()
    assert not checking.step(house.db, house.desk()), "nobody else takes it"
    house.clock.forward(minutes=3)
    house.check()
    assert house.state(sent) == "in_review"
    with pytest.raises(steps.LeaseLost):
        beat()
