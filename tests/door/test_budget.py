"""When bytes may pass: the clock and the answers are arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.door.guard.budget import (
    SILENT,
    Account,
    Passage,
    answered,
    asked,
    count,
    passage,
    why_closed,
)
from tre.workspaces.plan import DoorLimits

LIMITS = DoorLimits(grace_seconds=60, unreported_bytes=1000)


def test_a_report_takes_only_what_it_told():
    account = count(Account(), out_bytes=100, in_bytes=5)
    account = asked(account, now=1.0)
    account = count(account, out_bytes=7)
    account = answered(account, now=2.0, out_bytes=100, in_bytes=5, suspended=False, reason="")
    assert account == Account(out_bytes=7, in_bytes=0, answered_at=2.0, asked_at=1.0)


@pytest.mark.parametrize(
    ("account", "now", "expected"),
    [
        (Account(), 0.0, Passage.ASK),
        (Account(asked_at=0.0), 1.0, Passage.CLOSED),
        (Account(asked_at=0.0), 2.0, Passage.ASK),
        (Account(asked_at=0.0, answered_at=0.0), 1.0, Passage.OPEN),
        (Account(asked_at=0.0, answered_at=0.0), 15.0, Passage.ASK),
        (Account(asked_at=20.0, answered_at=0.0), 21.0, Passage.OPEN),
        (Account(asked_at=59.0, answered_at=0.0), 60.0, Passage.CLOSED),
        (Account(asked_at=58.0, answered_at=0.0), 60.0, Passage.ASK),
        (Account(asked_at=0.0, answered_at=0.0, suspended=True), 1.0, Passage.CLOSED),
        (Account(asked_at=0.0, answered_at=0.0, suspended=True), 2.0, Passage.ASK),
        (Account(out_bytes=1001, asked_at=0.0, answered_at=0.0), 1.0, Passage.ASK),
        (Account(out_bytes=1001, asked_at=5.0, answered_at=0.0), 6.0, Passage.CLOSED),
        (Account(asked_at=10.0, answered_at=10.0), 5.0, Passage.CLOSED),
    ],
)
def test_passage(account, now, expected):
    assert passage(account, LIMITS, now=now) is expected


def test_words():
    assert why_closed(Account()) == SILENT
    assert why_closed(Account(suspended=True, reason="Too much.")) == "Too much."
    assert why_closed(Account(suspended=True)) != ""


@given(
    st.lists(
        st.tuples(st.sampled_from(["count", "ask", "answer", "wait"]), st.integers(0, 2000), st.floats(0, 100)),
        max_size=40,
    )
)
def test_never_open_in_silence(steps):
    """Whatever happens: open implies an answer within the grace, not suspended, and few unreported bytes."""
    account, now = Account(), 0.0
    for what, size, seconds in steps:
        if what == "count":
            account = count(account, out_bytes=size)
        elif what == "ask":
            account = asked(account, now=now)
        elif what == "answer":
            account = answered(
                account, now=now, out_bytes=account.out_bytes, in_bytes=0, suspended=size % 7 == 0, reason="x"
            )
        else:
            now += seconds
        if passage(account, LIMITS, now=now) is Passage.OPEN:
            assert account.answered_at is not None
            assert now - account.answered_at < LIMITS.grace_seconds
            assert not account.suspended
            assert account.out_bytes <= LIMITS.unreported_bytes
