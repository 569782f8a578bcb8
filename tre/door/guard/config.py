"""How the guard is set: places from the settings, limits from an optional file.

`guard.json` in the door's folder may name any of `LIMITS`; unknown names and values that are no positive numbers are
refused, so that a mistyped limit is never without effect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tre.door.guard.budget import Limits
from tre.door.places import Places
from tre.errors import InvalidInput


@dataclass(frozen=True)
class Lifetimes:
    """Seconds. A workspace ends `idle` seconds after its person last did something, and `age` after its start."""

    idle: float = 4 * 3600.0
    age: float = 72 * 3600.0
    recheck: float = 30.0  # how often the sign-in behind an open websocket is checked
    tell_hub: float = 60.0
    tick: float = 1.0


@dataclass(frozen=True)
class GuardConfig:
    places: Places
    limits: Limits
    lifetimes: Lifetimes


LIMITS = {field.name for field in fields(Limits)} | {field.name for field in fields(Lifetimes)}


def load(places: Places) -> GuardConfig:
    """Raises InvalidInput naming the limit that cannot be used."""
    given = read(places.guard_limits)
    for name, value in given.items():
        if name not in LIMITS:
            raise InvalidInput(f"{places.guard_limits} names an unknown limit {name!r}", field=name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise InvalidInput(f"limit {name} is not a positive number", field=name)
    return GuardConfig(places, pick(Limits, given), pick(Lifetimes, given))


def read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON", field=str(path)) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is not a JSON object", field=str(path))
    return found


def pick(kind: type[Any], given: dict[str, Any]) -> Any:
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in given.items() if name in names})
