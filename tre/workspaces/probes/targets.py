"""What the attempts aim at: listeners, a file and a process on the host, opened by the verifier itself.

Decides that every target is real and was reached from the host before any attempt counts: a refusal by something that
was never there proves nothing. Each contact is noted, so that an attempt that got through is seen even where it
denies it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tre.errors import Unavailable

SIOCGIFADDR = 0x8915
LOOPBACK = ("127.0.0.1", "::1")
LABELS = {"tcp_loopback", "tcp_host", "udp_loopback", "udp_host", "abstract", "sockets"}
NAMESPACES = ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup")


@dataclass
class Targets:
    """Addresses and paths of what was opened, and the labels of those that were contacted since `armed`."""

    given: dict[str, Any] = field(default_factory=dict)
    contacts: set[str] = field(default_factory=set)


def host_addresses() -> list[str]:
    """This machine's IPv4 addresses other than 127.0.0.1; a second loopback address where there is no other."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(request[20:24]))
    return sorted(set(found) - {"127.0.0.1"}) or ["127.0.0.2"]


class _Listeners:
    """Sockets that answer in a thread of their own and note who came."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []
        self.ending = threading.Event()

    def add(self, label: str, family: int, kind: int, address: Any) -> Any:
        """Open one; its address as bound, or None where this machine lacks the family or address."""
        opened = socket.socket(family, kind)
        try:
            opened.bind(address)
        except OSError:
            opened.close()
            return None
        if kind == socket.SOCK_STREAM:
            opened.listen(16)
        opened.setblocking(False)
        self.selector.register(opened, selectors.EVENT_READ, label)
        self.sockets.append(opened)
        return opened.getsockname()

    def answer(self) -> None:
        """Until told to end."""
        while not self.ending.is_set():
            for key, _ in self.selector.select(0.05):
                with contextlib.suppress(OSError):
                    self._one(key.fileobj, key.data)  # type: ignore[arg-type]

    def _one(self, opened: socket.socket, label: str) -> None:
        self.targets.contacts.add(label)
        if opened.type == socket.SOCK_STREAM:
            opened.accept()[0].close()
        else:
            text, sender = opened.recvfrom(2048)
            opened.sendto(text, sender)


@contextlib.contextmanager
def opened() -> Iterator[Targets]:
    """Open every target, reach each from here, then forget those contacts. Raises Unavailable where one stays
    silent."""
    targets = Targets()
    listeners = _Listeners(targets)
    with tempfile.TemporaryDirectory(prefix="tre-probe-") as folder, contextlib.ExitStack() as stack:
        _listen(listeners, targets.given, Path(folder))
        thread = threading.Thread(target=listeners.answer, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(listeners.ending.set)
        _place(targets.given, Path(folder), stack)
        _reach_all(targets.given)
        _wait_noted(targets)
        targets.contacts.clear()
        yield targets
    for one in listeners.sockets:
        one.close()


def _listen(listeners: _Listeners, given: dict[str, Any], folder: Path) -> None:
    places = {"loopback": LOOPBACK, "host": host_addresses()}
    for label, hosts in places.items():
        for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
            key = f"{name}_{label}"
            bound = [
                listeners.add(key, socket.AF_INET6 if ":" in host else socket.AF_INET, kind, (host, 0))
                for host in hosts
            ]
            given[key] = [list(address[:2]) for address in bound if address is not None]
    name = f"tre-probe-{secrets.token_hex(8)}"
    listeners.add("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}")
    given["abstract"] = name
    given["sockets"] = {"canary": str(folder / "canary.sock")}
    listeners.add("sockets", socket.AF_UNIX, socket.SOCK_STREAM, given["sockets"]["canary"])


def _place(given: dict[str, Any], folder: Path, stack: contextlib.ExitStack) -> None:
    canary = folder / "canary.txt"
    canary.write_text("this file is the host's\n")
    given["canary_file"] = str(canary)
    given["platform_folders"] = [str(folder)]
    given["marker"] = f"tre-probe-{secrets.token_hex(16)}"
    waiting = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()", given["marker"]]
    process = stack.enter_context(subprocess.Popen(waiting, stdin=subprocess.PIPE))
    stack.callback(process.kill)
    given["namespaces"] = {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}


def _reach_all(given: dict[str, Any]) -> None:
    try:
        for label in ("tcp_loopback", "tcp_host"):
            for host, port in given[label]:
                socket.create_connection((host, port), 2).close()
        for label in ("udp_loopback", "udp_host"):
            for host, port in given[label]:
                _echo(host, port)
        for path in (f"\0{given['abstract']}", given["sockets"]["canary"]):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(path)
    except OSError as error:
        raise Unavailable(f"a target of the probes does not answer on the host itself: {error}") from error


def _wait_noted(targets: Targets) -> None:
    """Until the thread has noted every contact made from here, so that none is taken for one of the attempts'."""
    end = time.monotonic() + 5
    while targets.contacts != LABELS:
        if time.monotonic() > end:
            raise Unavailable(f"targets of the probes do not answer: {sorted(LABELS - targets.contacts)}")
        time.sleep(0.01)


def _echo(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.sendto(b"hello", (host, port))
        asking.recv(64)
