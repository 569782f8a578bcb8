"""A guard that begins on a cluster learns its routes from the guards that serve already: the hub tells each route once.

Decides that it asks before people may come to it, and for a while afterwards, since a route that is told meanwhile goes
to those that are ready; and that what it knows already stays as it is. Where nobody serves there is nothing to learn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tre.door.guard.routes import Route
from tre.door.guard.table import Workspaces
from tre.door.neighbours import Neighbours
from tre.errors import TreError

log = logging.getLogger(__name__)
#: How often it asks after it began to serve, and how many seconds lie between.
TIMES, PAUSE = 6, 5.0


async def learn(guards: Neighbours, workspaces: Workspaces) -> int:
    """How many routes were new."""
    try:
        answers = await guards.read("/routes")
    except TreError:
        return 0
    found = 0
    for answer in answers:
        with contextlib.suppress(TreError, TypeError):
            for each in answer:
                route = Route.from_json(each)
                if workspaces.by_id(route.workspace_id) is None and workspaces.find(route.base_url) is None:
                    workspaces.put(route)
                    found += 1
    return found


async def go_on_learning(guards: Neighbours, workspaces: Workspaces) -> None:
    for _ in range(TIMES):
        await asyncio.sleep(PAUSE)
        if found := await learn(guards, workspaces):
            log.info("%d routes learnt from another guard", found)
