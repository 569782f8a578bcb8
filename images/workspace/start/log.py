"""What a workspace says on its output: a pipe, and of what is written into it so much at a time reaches the log.

Decides how much: the log lies on the node's disk, and who is inside may write without end. They wait. The last words
are told before the end. Standard library only.
"""

from __future__ import annotations

import os
import select
import threading

#: A pipe's fill, in so many seconds.
PIECE, PAUSE = 1 << 16, 1.0
LAST_SECONDS = 1.0


class Log:
    """`writing` is for whoever is inside."""

    def __init__(self, out: int) -> None:
        self.reading, self.writing = os.pipe()
        self.over, self.going_on = os.pipe()
        self.thread = threading.Thread(target=self.pass_on, args=(out,), daemon=True)
        self.thread.start()

    def pass_on(self, out: int) -> None:
        while True:
            ready, _, _ = select.select([self.reading, self.over], [], [])
            if self.reading in ready:
                os.write(out, os.read(self.reading, PIECE))
            if self.over in ready:
                return
            select.select([self.over], [], [], PAUSE)

    def end(self) -> None:
        os.close(self.going_on)
        self.thread.join(LAST_SECONDS)
