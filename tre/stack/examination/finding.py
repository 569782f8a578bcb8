"""One thing that was looked at: right, doubtful or wrong; which value says so, what was found and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tre.errors import InvalidInput, TreError

ADMINISTRATOR = "Ask as an administrator of the cluster."


class Level(StrEnum):
    ok = "ok"
    #: It works, but something is missing that holds on a bad day; or it could not be looked at from here.
    warning = "warning"
    fail = "fail"


@dataclass(frozen=True)
class Finding:
    """`value` is a key of the chart's values. `kind` says which branch of the error tree a failure is."""

    name: str
    level: Level
    value: str
    found: str
    remedy: str = ""
    kind: type[TreError] = InvalidInput

    @property
    def line(self) -> str:
        """As a log says it."""
        return " ".join(f"{self.value}: {self.found} {self.remedy}".split())

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "level": self.level.value,
            "value": self.value,
            "found": self.found,
            "remedy": self.remedy,
        }

    def error(self) -> TreError:
        return self.kind(self.found, field=self.value, hint=self.remedy)


def right(name: str, value: str, found: str) -> Finding:
    return Finding(name, Level.ok, value, found)


def doubtful(name: str, value: str, found: str, remedy: str) -> Finding:
    return Finding(name, Level.warning, value, found, remedy)


def unseen(name: str, value: str, reasons: Mapping[str, str], what: str) -> Finding:
    """Of what the API server did not tell: `reasons` is {what: why not}."""
    return doubtful(name, value, f"Not seen: {reasons.get(what, 'the API server did not tell')}", ADMINISTRATOR)


def wrong(name: str, value: str, found: str, remedy: str, kind: type[TreError] = InvalidInput) -> Finding:
    return Finding(name, Level.fail, value, found, remedy, kind)


def failures(findings: Iterable[Finding]) -> list[Finding]:
    return [one for one in findings if one.level is Level.fail]


def exit_code(findings: Iterable[Finding]) -> int:
    """That of the first failure: things are looked at in the order in which the platform meets them."""
    return next((one.kind.exit_code for one in failures(findings)), 0)
