"""What can happen to the cluster's own servers: each is a process of this machine, below the cluster's first one.

Decides how a process is found (by its program, in the cluster's control groups) and that whatever was stopped goes on
at the end of the block, however the block ends. A server that is killed is started again by that first process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.machine import groups, network
from tests.cluster.machine.journal import Journal
from tests.cluster.machine.place import Place
from tre.errors import NotFound

#: A table of netfilter that nobody else has.
CUT = "tests_cut"


@dataclass(frozen=True)
class Machine:
    place: Place

    def process(self, program: str, argument: str = "") -> int:
        """As this machine counts them; with an argument that says which of several. Raises `NotFound`."""
        entries = Journal(self.place.journal).read()
        everybody = {pid for each in entries if each.kind == "group" for pid in groups.members(Path(each.path))}
        for pid in sorted(everybody):
            words = command_of(pid)
            if os.path.basename(words[0]) == program and (not argument or argument in words):
                return pid
        raise NotFound(f"{program} does not run")

    def kill(self, program: str, argument: str = "") -> int:
        """At once; returns who it was."""
        pid = self.process(program, argument)
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextlib.contextmanager
    def stopped(self, program: str) -> Iterator[None]:
        """It is there, and does nothing: connections to it stay open, and nobody answers."""
        pid = self.process(program)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def slow(self, program: str, *, runs: float, stands: float) -> Iterator[None]:
        """By turns it runs and stands still, for so many seconds each."""
        pid, over = self.process(program), threading.Event()

        def turns() -> None:
            while not over.wait(runs):
                os.kill(pid, signal.SIGSTOP)
                over.wait(stands)
                os.kill(pid, signal.SIGCONT)

        thread = threading.Thread(target=turns, name=f"slow {program}")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            os.kill(pid, signal.SIGCONT)

    def on_the_node(self, code: str, feed: str) -> str:
        """What a program of Python prints that is connected as the node is."""
        command = [*network.within(self.process("kubelet")), sys.executable, "-c", code]
        done = subprocess.run(command, input=feed, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    @contextlib.contextmanager
    def cut_off(self, address: str) -> Iterator[None]:
        """What that pod sends to the API server is dropped, without a word; everything else of it goes on."""
        nft = [*network.within(self.process("kubelet")), "nft"]
        servers, ports = f"{network.API_SERVICE}, {network.NODE_ADDRESS}", f"443, {network.API_PORT}"
        rule = f"ip saddr {address} ip daddr {{ {servers} }} tcp dport {{ {ports} }} drop"
        chain = f"chain cut {{\ntype filter hook prerouting priority -310\n{rule}\n}}"
        subprocess.run([*nft, "--file", "-"], input=f"table ip {CUT} {{\n{chain}\n}}\n", text=True, check=True)
        try:
            yield
        finally:
            subprocess.run([*nft, "delete", "table", "ip", CUT], check=True)

    @contextlib.contextmanager
    def held(self, folder: str) -> Iterator[None]:
        """Somebody stands in a folder of the node: whatever is mounted there cannot be unmounted."""
        command = ["nsenter", "--target", str(self.process("kubelet")), "--mount", f"--wdns={folder}", "--", "cat"]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            holder.kill()
            holder.communicate()

    @contextlib.contextmanager
    def way_in(self, port: int, target: str) -> Iterator[None]:
        """From a port of this machine's loopback to an address as the node reaches it. Neither the API server nor the
        kubelet is between, as they are with a forwarded port.
        """
        probe = str(self.place.programs / "probe")
        with socket.create_server(("127.0.0.1", port)) as listener:
            number = listener.fileno()
            command = [*network.within(self.process("kubelet")), probe, "relay", str(number), target]
            relay = subprocess.Popen(command, pass_fds=(number,), stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            relay.kill()
            relay.wait()


def command_of(pid: int) -> list[str]:
    """Program and arguments; one empty word where the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return [""]
