"""The first program of a workspace's pod: it confines itself (`confine`), then runs the Jupyter server on its port.

Decides only where the settings and the socket come from: the pod's Secret and a port. Server and supervisor are those
of the embedded sandbox; the life line, there a keeper's, is here the pod itself, which ends all when it ends.
Standard library only, with `-I -S`.
"""

from __future__ import annotations

import json
import os
import socket
import sys

START = "/opt/tre/start"
SETTINGS = "/run/server/settings.json"
PROBES = "/run/jupyter/probes.sock"
BACKLOG = 128


def main() -> int:
    """Run until the Jupyter server ends; returns its exit status. A missing or unknown setting ends it at once."""
    sys.path.insert(0, START)
    from confine import confine
    from log import Log
    from supervisor import hide, start_server, watch

    hide()
    with open(SETTINGS, "rb") as stream:
        settings = json.load(stream)
    confine(settings)
    # Where the API server is tells a researcher nothing that they need.
    for name in [name for name in os.environ if name.startswith("KUBERNETES_")]:
        del os.environ[name]
    server = {"listener": listener(settings["port"]), "ready": os.open(os.devnull, os.O_WRONLY)}
    for descriptor in server.values():
        os.set_inheritable(descriptor, True)
    life, _held = os.pipe()
    log = Log(sys.stdout.fileno())
    given = {**server, "base_url": settings["base_url"], "token_hash": settings["token_hash"]}
    try:
        return watch(start_server({"server": given}, log.writing), life=life, probes=nobody())
    finally:
        log.end()


def listener(port: int) -> int:
    """Every address of the pod: who may come is for the project's policies."""
    opened = socket.socket(socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(("0.0.0.0", port))  # noqa: S104
    opened.listen(BACKLOG)
    return opened.detach()


def nobody() -> int:
    """A listener without a name: what the supervisor runs for a keeper outside, the kubelet runs here."""
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(PROBES)
    os.unlink(PROBES)
    opened.listen(1)
    return opened.detach()


if __name__ == "__main__":
    sys.exit(main())
