"""Long lists in pages: which part is shown, and the links to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query

PAGE = 25
LAST_PAGE = 1_000_000
T = TypeVar("T")
Number = Annotated[int, Query(alias="page")]


@dataclass(frozen=True)
class Part(Generic[T]):
    """Page `number` (from 1) of a list. `more` says that another follows."""

    rows: Sequence[T]
    number: int
    more: bool


def part_of(rows: Sequence[T], number: int, size: int = PAGE) -> Part[T]:
    """The part of a list that is at hand whole."""
    start = (bounded(number) - 1) * size
    return Part(rows[start : start + size], bounded(number), len(rows) > start + size)


def bounded(number: int) -> int:
    return min(max(number, 1), LAST_PAGE)


def links(part: Part[Any], path: str, **question: str) -> dict[str, Any]:
    """What the pagination component draws; empty when everything fits on one page. Keeps the filters of the list."""
    kept = {name: value for name, value in question.items() if value}

    def address(number: int) -> dict[str, str]:
        return {"href": f"{path}?{urlencode({**kept, 'page': number})}"}

    found: dict[str, Any] = {}
    if part.number > 1:
        found["previous"] = address(part.number - 1)
    if part.more:
        found["next"] = address(part.number + 1)
    return found
