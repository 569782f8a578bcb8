"""The cluster's network: a node, and an outside world of its own. No packet can leave the machine.

Decides addresses and links. The node's network namespace has one card, `eth0`; at its other end is not the machine but
a second namespace, the outside: a web server, a resolver that answers every name, and a stand-in for the cloud's
metadata service. The machine's own network is connected to neither.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tre.errors import Unavailable

NODE = "node1"
NODE_ADDRESS = "10.90.0.1"
#: A second address of the node, where nothing listens: a closed port of it tells whether it can be reached.
NODE_SECOND = "10.92.0.1"
GATEWAY = "10.90.0.2"
OUTSIDE = "10.91.0.2"
OUTSIDE_PORTS = (8080, 9090)
RESOLVER = "10.91.0.53"
METADATA = "169.254.169.254"
#: What the outside resolver answers to every question (RFC 5737: for documentation).
ANSWER = "203.0.113.7"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
API_PORT = 6443
DOMAIN = "cluster.local"


def facts() -> dict[str, object]:
    """What a test of walls needs to know of this network, as JSON."""
    return {
        "node": {"name": NODE, "address": NODE_ADDRESS, "second": NODE_SECOND, "api_port": API_PORT},
        "outside": {"address": OUTSIDE, "ports": list(OUTSIDE_PORTS), "resolver": RESOLVER, "metadata": METADATA},
        "answer": ANSWER,
        "domain": DOMAIN,
    }


def node_links(outside: int) -> list[list[str]]:
    """Commands that lay the cable between the node (where they run) and the outside, a process's namespace."""
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(outside)],
        ["ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "eth0"],
        ["ip", "address", "add", f"{NODE_SECOND}/32", "dev", "eth0"],
        ["ip", "link", "set", "eth0", "up"],
        ["ip", "route", "add", "default", "via", GATEWAY],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
    ]


def outside_links() -> list[list[str]]:
    """Commands for the outside's own namespace: it holds every address that is not the node's."""
    addresses = [f"{GATEWAY}/24", f"{OUTSIDE}/32", f"{RESOLVER}/32", f"{METADATA}/32"]
    return [
        ["ip", "link", "set", "lo", "up"],
        *(["ip", "address", "add", address, "dev", "eth0"] for address in addresses),
        ["ip", "link", "set", "eth0", "up"],
        ["ip", "route", "add", "default", "via", NODE_ADDRESS],
    ]


def within(process: int) -> list[str]:
    """The beginning of a command that runs in that process's network."""
    return ["nsenter", "--target", str(process), "--net", "--"]


def connect(outside: int) -> None:
    """Lay the links. `outside` is a process that was started with `unshare --net` a moment ago."""
    mine = os.readlink("/proc/self/ns/net")
    until = time.monotonic() + 10
    while Path(f"/proc/{outside}/ns/net").readlink() == Path(mine):
        if time.monotonic() > until:
            raise Unavailable("the outside's network namespace did not come up")
        time.sleep(0.02)
    for command in [*node_links(outside), *([*within(outside), *step] for step in outside_links())]:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")


#: The outside's resolver: every name exists there, so a name that must not be answered would be.
COREFILE = f"""\
.:53 {{
  bind {RESOLVER}
  log
  errors
  template IN A {{
    answer "{{{{ .Name }}}} 60 IN A {ANSWER}"
  }}
}}
"""
