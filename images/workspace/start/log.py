"""What a workspace says on its output: a pipe, and of what is written into it so much at a time reaches the log.

Decides how much: the log lies on the node's disk, and who is inside may write without end. What is more is left out,
and how much that was is said: nobody inside waits for the log, the Jupyter server least of all. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time

#: Bytes in so many seconds.
MOST, SECONDS = 1 << 16, 1.0
LAST_SECONDS = 1.0


class Log:
    """`writing` is for whoever is inside."""

    def __init__(self, out: int) -> None:
        self.out, self.left, self.lost, self.until = out, MOST, 0, 0.0
        self.reading, self.writing = os.pipe()
        self.over, self.going_on = os.pipe()
        self.thread = threading.Thread(target=self.pass_on, daemon=True)
        self.thread.start()

    def pass_on(self) -> None:
        while True:
            ready, _, _ = select.select([self.reading, self.over], [], [])
            if time.monotonic() >= self.until:
                self.begin()
            if self.reading in ready:
                self.keep(os.read(self.reading, MOST))
            if self.over in ready:
                self.begin()
                return

    def begin(self) -> None:
        """The next seconds; says what was left out of those before."""
        if self.lost:
            self.tell(b"\n[%d bytes were left out]\n" % self.lost)
        self.left, self.lost, self.until = MOST, 0, time.monotonic() + SECONDS

    def keep(self, part: bytes) -> None:
        self.tell(part[: self.left])
        self.lost += max(0, len(part) - self.left)
        self.left -= min(self.left, len(part))

    def tell(self, part: bytes) -> None:
        """Where nobody takes it any more, it is read all the same: or whoever writes would wait for ever."""
        with contextlib.suppress(OSError):
            os.write(self.out, part)

    def end(self) -> None:
        """The last words are told."""
        os.close(self.going_on)
        self.thread.join(LAST_SECONDS)
