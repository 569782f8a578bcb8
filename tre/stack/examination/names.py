"""The servers' names: does DNS know them, and do policies open the way to the addresses that it gives?

Decides nothing about what listens there.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from tre.errors import Unavailable
from tre.stack.examination.finding import Finding, right, wrong


@dataclass(frozen=True)
class Named:
    """A name of the values. `cidr` is what policies open, "" where that is not known here; `value` the table's key."""

    value: str
    key: str
    host: str
    cidr: str = ""


def look(host: str) -> tuple[str, ...]:
    """Its addresses; none where DNS knows no such name. A socket's folder is its own."""
    if host.startswith("/"):
        return (host,)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(sorted({str(each[4][0]) for each in found}))


def judge(named: Named, addresses: tuple[str, ...]) -> Finding:
    name, value = f"name {named.host}", f"{named.value}.{named.key}"
    if not addresses:
        told = f"DNS knows no {named.host} here."
        return wrong(name, value, told, "Correct the name, or the DNS that the cluster asks.", Unavailable)
    if named.cidr and (outside := [each for each in addresses if not _inside(each, named.cidr)]):
        told = f"{named.host} is {', '.join(outside)}, and policies open {named.cidr} alone."
        return wrong(name, f"{named.value}.cidr", told, "Set it to a block that holds every address of that server.")
    return right(name, value, ", ".join(addresses))


def _inside(address: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in ipaddress.ip_network(cidr)
    except ValueError:
        return False
