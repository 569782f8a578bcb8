"""What a part may take of the machine whose work strangers decide: memory and turns at the processor.

Decides that one session that asks for too much fails alone. A control group, where there is one, holds the sum; but it
kills a session, and PostgreSQL then ends all others: so each process is bounded below that, by a limit that makes its
statement fail. Which part that is, and its share, is `platform`'s.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping

from tre.stack import cgroups

#: As many processes may fill the share: the sessions that one workspace may have, and the platform's own.
SESSIONS = 12
#: The same as a workspace's own processes have: the platform's other parts come first.
NICENESS = 5


def bound(groups: Mapping[str, str], name: str, pid: int, share: float) -> None:
    """Bound a process that just started, and what it starts from now on."""
    memory = int(share * total_memory())
    cgroups.confine(groups, f"part-{name}", pid, memory)
    each = memory // SESSIONS
    resource.prlimit(pid, resource.RLIMIT_DATA, (each, each))
    # Nobody may give back turns that were given away before, as by `nice tre up`.
    os.setpriority(os.PRIO_PROCESS, pid, max(NICENESS, os.getpriority(os.PRIO_PROCESS, pid)))


def total_memory() -> int:
    """Bytes of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
