"""Attempts that only a pod can make: at the cluster's own parts, at its neighbours, at what a pod may be left holding.

Aims are lists of `tcp://HOST:PORT` and `udp://HOST:PORT` in `given["aims"]`; the verifier has shown that each answers
somebody. "Refused" tells a sender that somebody is there: it counts as reached.
"""

from __future__ import annotations

import concurrent.futures
import os
import secrets
import socket
from pathlib import Path

from tre.workspaces.probes.inside.attempt import ATTEMPTS, SECONDS, Attempt, Given, attempt

POLICY, POD, NAMES = "network policy", "pod security", "name resolution"
PATIENCE = 2.0
#: Aim → what reaching it would be.
AIMS = {
    "api-server": "talk to the API server",
    "kubelet": "talk to the kubelet of a node",
    "etcd": "talk to the cluster's etcd",
    "nodes": "reach a node's address, be it a closed port",
    "metadata": "fetch from the cloud's metadata address",
    "outside": "reach a host outside of the cluster",
    "foreign-resolver": "ask a resolver outside of the cluster",
    "other-pods": "reach pods of other namespaces",
    "other-services": "reach services of other namespaces",
    "node-ports": "reach a service through a port of a node",
    "neighbour": "reach the server of a workspace of the same project past the guard",
    "stranger": "reach the server of another project's workspace",
    "guard": "reach the guard from behind",
    "servers": "reach the servers of the platform itself",
}


def reach(target: str) -> str:
    """What came back, or nothing."""
    kind, _, where = target.partition("://")
    host, _, port = where.rpartition(":")
    try:
        if kind == "tcp":
            socket.create_connection((host, int(port)), PATIENCE).close()
            return f"{target} is open"
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.settimeout(PATIENCE)
            packets.connect((host, int(port)))
            packets.send(_question("example.org"))
            packets.recv(512)
            return f"{target} answered"
    except ConnectionRefusedError:
        return f"{target} refused"
    except OSError:
        return ""


def _aimed(name: str, tries: str) -> Attempt:
    def run(given: Given) -> str | None:
        targets = given["aims"][name]
        with concurrent.futures.ThreadPoolExecutor(min(len(targets), 32)) as pool:
            return ", ".join(filter(None, pool.map(reach, targets))) or None

    return Attempt(f"pod-{name}", POLICY, tries, run, f"aim-{name}", SECONDS)


ATTEMPTS.update({f"pod-{name}": _aimed(name, tries) for name, tries in AIMS.items()})


def _question(name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return secrets.token_bytes(2) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x10\x00\x01"


@attempt(NAMES, "resolve a name of the internet")
def pod_foreign_name(given: Given) -> str | None:
    try:
        return f"example.org is {socket.getaddrinfo('example.org', 80)[0][4]}"
    except socket.gaierror:
        return None


@attempt(NAMES, "send words out in the names that the pod's own resolver is asked for")
def pod_dns_tunnel(given: Given) -> str | None:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    for server in (line.split()[1] for line in lines if line.startswith("nameserver")):
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.settimeout(PATIENCE)
            packets.connect((server, 53))
            packets.send(_question(f"{secrets.token_hex(24)}.tunnel.example.org"))
            answer = packets.recv(512)
            if answer[3] & 15 == 0 and answer[6:8] != b"\x00\x00":
                return f"{server} fetched an answer from outside"
    return None


@attempt(POD, "find a service account's token, or anything else where secrets are mounted")
def pod_service_account(given: Given) -> str | None:
    for folder in ("/var/run/secrets", "/run/secrets"):
        if found := [str(path) for path in Path(folder).rglob("*") if path.is_file()]:
            return f"{found[0]} is there"
    return None


@attempt(POD, "find a folder of the node")
def pod_node_folders(given: Given) -> str | None:
    places = ("/var/lib/kubelet", "/var/lib/containerd", "/etc/kubernetes", "/run/containerd", "/var/log/pods", "/host")
    found = [place for place in places if os.path.lexists(place)]
    return f"{found} are there" if found else None


@attempt(POD, "write to the root file system")
def pod_root_file_system(given: Given) -> str | None:
    Path("/written").write_text("x")
    return "a file in /"


@attempt(POD, "change its own control group, or see another pod's")
def pod_control_groups(given: Given) -> str | None:
    root = Path("/sys/fs/cgroup")
    for folder in [root, *(path for path in root.glob("*") if path.is_dir())]:
        if others := [path.name for path in folder.glob("kubepods*")]:
            return f"{folder} shows {others}"
        for name in ("memory.limit_in_bytes", "memory.max", "pids.max", "cgroup.procs"):
            if (folder / name).exists():
                try:
                    with open(folder / name, "r+") as file:
                        file.write("0")
                    return f"{folder / name} was written"
                except OSError:
                    continue
    return None


@attempt(POD, "see processes of somebody else")
def pod_processes(given: Given) -> str | None:
    own = os.getuid()
    numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    others = [name for name in numbers if os.stat(f"/proc/{name}").st_uid != own]
    return f"processes {others}" if others else None


@attempt(POD, "read what the kernel says of the whole node")
def pod_kernel_words(given: Given) -> str | None:
    for name in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/dev/kmsg", "/dev/mem"):
        try:
            with open(name, "rb") as file:
                if file.read(16):
                    return f"{name} can be read"
        except OSError:
            continue
    return None


@attempt(POD, "open a raw socket")
def pod_raw_socket(given: Given) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1):
        return "a raw socket"


@attempt(POD, "have a capability, or get one by a program")
def pod_capabilities(given: Given) -> str | None:
    lines = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = {name: lines[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb") if int(lines[name], 16)}
    if held or lines["NoNewPrivs"].strip() != "1":
        return f"{held}, NoNewPrivs {lines['NoNewPrivs']}"
    return None
