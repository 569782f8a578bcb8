"""May bytes of this workspace pass now?

Decides, from what was counted and what the control plane answered last, whether a workspace is open, closed, or has to
ask first. Pure: the clock is an argument. The daily budget itself and its exceptions are the control plane's; here is
only what holds when it is silent. Fails closed:

- never answered, or not for `grace_seconds`: closed until it answers;
- more than `unreported_bytes` counted and not yet reported: nothing passes before the report is answered, so that a
  budget can be overrun by at most that many bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from tre.workspaces.plan import DoorLimits

#: How old an answer may be before a new one is asked for, and the pause between failures; seconds.
FRESH, RETRY = 15.0, 2.0
SILENT = "The platform that keeps this workspace's account does not answer, so the workspace is closed for now."


@dataclass(frozen=True)
class Account:
    """One workspace. `out_bytes` leave the workspace, `in_bytes` enter it; both not yet reported."""

    out_bytes: int = 0
    in_bytes: int = 0
    answered_at: float | None = None
    asked_at: float | None = None
    suspended: bool = False
    reason: str = ""


class Passage(Enum):
    OPEN = "open"
    ASK = "ask"  # open again only after the control plane was asked
    CLOSED = "closed"


def count(account: Account, *, out_bytes: int = 0, in_bytes: int = 0) -> Account:
    # Asked for every piece that passes; `replace` takes several times as long.
    return Account(
        account.out_bytes + out_bytes,
        account.in_bytes + in_bytes,
        account.answered_at,
        account.asked_at,
        account.suspended,
        account.reason,
    )


def asked(account: Account, *, now: float) -> Account:
    return replace(account, asked_at=now)


def answered(account: Account, *, now: float, out_bytes: int, in_bytes: int, suspended: bool, reason: str) -> Account:
    """The control plane took this report into its books; what was counted meanwhile stays for the next one."""
    return replace(
        account,
        out_bytes=account.out_bytes - out_bytes,
        in_bytes=account.in_bytes - in_bytes,
        answered_at=now,
        suspended=suspended,
        reason=reason,
    )


def passage(account: Account, limits: DoorLimits, *, now: float) -> Passage:
    """OPEN, ASK or CLOSED. Closed workspaces are asked for again too, at most every `RETRY` seconds."""
    may_ask = account.asked_at is None or now - account.asked_at >= RETRY
    if account.answered_at is None:
        return Passage.ASK if may_ask else Passage.CLOSED
    age = now - account.answered_at
    if account.suspended or age >= limits.grace_seconds or age < 0:
        return Passage.ASK if may_ask else Passage.CLOSED
    if account.out_bytes + account.in_bytes > limits.unreported_bytes:
        return Passage.ASK if may_ask or account.answered_at >= (account.asked_at or 0.0) else Passage.CLOSED
    return Passage.ASK if age >= FRESH and may_ask else Passage.OPEN


def why_closed(account: Account) -> str:
    """The words for the person."""
    return (account.reason or "This workspace is suspended.") if account.suspended else SILENT
