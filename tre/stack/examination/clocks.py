"""How far clocks are apart: tokens, one-time codes and leases all hang on them.

Decides what difference is too large. Whose clock is wrong nobody here can know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from tre.stack.examination.finding import Finding, doubtful, right, wrong

#: An `iat` or `nbf` in the future is refused at once by some; a one-time code holds for 30 s.
DOUBTFUL, WRONG = 2.0, 20.0


@dataclass(frozen=True)
class Clock:
    """`ahead` of ours in seconds, give or take `within`."""

    ahead: float
    within: float

    @classmethod
    def between(cls, before: float, theirs: float, after: float) -> Clock:
        """Theirs was read at some moment between two of ours."""
        return cls(theirs - (before + after) / 2, (after - before) / 2)

    @classmethod
    def of_date(cls, before: float, header: str, after: float) -> Clock | None:
        """HTTP's Date tells whole seconds."""
        try:
            theirs = parsedate_to_datetime(header).timestamp() + 0.5
        except (TypeError, ValueError):
            return None
        found = cls.between(before, theirs, after)
        return cls(found.ahead, found.within + 0.5)

    @property
    def least(self) -> float:
        """What the clocks are apart at least."""
        return max(abs(self.ahead) - self.within, 0.0)


def judge(clocks: Mapping[str, Clock | None]) -> list[Finding]:
    """{value of the server: its clock}."""
    return [_judge(value, clock) for value, clock in clocks.items() if clock]


def _judge(value: str, clock: Clock) -> Finding:
    name, remedy = f"clock ({value})", "Let both keep time (NTP): look at each with `date -u`."
    side = "ahead of" if clock.ahead > 0 else "behind"
    told = f"Its clock is {clock.least:.0f} s {side} ours."
    if clock.least > WRONG:
        return wrong(name, value, told, remedy)
    if clock.least > DOUBTFUL:
        return doubtful(name, value, told, remedy)
    return right(name, value, "Its clock and ours agree.")
