"""Which loopback ports a platform of its own may take: for the demonstration and the tests.

Decides only that they are neighbours, free, and outside the range from which the kernel gives ports to outgoing
connections: from there, one that is free now can be some client's by the time a server wants it.
"""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

from tre.errors import Unavailable

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10240
ATTEMPTS = 200


def free_ports(count: int) -> int:
    """The first of `count` neighbouring loopback ports that nobody uses now. Raises `Unavailable`."""
    end = int(EPHEMERAL.read_text().split()[0])
    chance = random.SystemRandom()
    for _ in range(ATTEMPTS if end - count > LOWEST else 0):
        first = chance.randrange(LOWEST, end - count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise Unavailable(f"There are no {count} free ports.", hint="Stop what listens on loopback ports, or try again.")
