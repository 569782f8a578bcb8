"""One thing done with a reason, on a page of its own: its words and the service that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from tre.errors import NotFound
from tre.web.page import Sent, page


@dataclass(frozen=True)
class Words:
    """What the page says before somebody does it."""

    title: str
    explanation: str
    button: str


@dataclass(frozen=True)
class Act(Words):
    """`do` takes the database, the actor, the thing and `reason`; `done` names the words for afterwards."""

    do: Callable[..., None]
    done: str


def known_act(acts: Mapping[str, Act], name: str) -> Act:
    """Raises `NotFound`."""
    if name not in acts:
        raise NotFound("There is no such page.")
    return acts[name]


def ask_reason(request: Request, act: Words, sent: Sent, *, thing: str, detail: str, back: str) -> Response:
    """The page with its one form. `thing` is what it is done to, `detail` says which one, `back` leads to its page."""
    return page(request, "act.html", sent=sent, act=act, thing=thing, detail=detail, back=back)
