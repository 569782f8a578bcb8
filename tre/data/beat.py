"""A heartbeat: renews a lease beside long work, until the work ends, the lease is lost, or the work takes too long.

Decides nothing about the lease itself. A renewal that fails (the database is away) is tried again at the next beat: the
lease outlives a few of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

from tre.errors import TreError

log = logging.getLogger(__name__)


class Beat:
    """`renew` says whether the lease is still ours; after `longest` nobody asks any more, and the lease runs out."""

    def __init__(self, renew: Callable[[], bool], *, every: timedelta, longest: timedelta) -> None:
        self._renew, self._every, self._longest = renew, every.total_seconds(), longest.total_seconds()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        until = time.monotonic() + self._longest
        while not self._end.wait(self._every) and time.monotonic() < until:
            try:
                if not self._renew():
                    return
            except TreError as problem:
                log.warning("the lease could not be renewed: %s", problem.message)
