"""Attempts to reach anything by a socket."""

from __future__ import annotations

import os
import socket
from typing import Any

from tre.workspaces.probes.inside.attempt import Given, attempt

NETWORK, FILTER, MOUNTS = "network namespace", "system call filter", "mount namespace"
SECONDS = 2.0
HELLO = b"is anybody there?"


def _stream(family: int, address: Any) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(address)
        return f"connected to {address}"


def _datagram(family: int, address: Any) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(SECONDS)
        connection.sendto(HELLO, address)
        return f"{address} answered {connection.recv(64)!r}"


def _first(addresses: list[list[Any]], reach: Any) -> str | None:
    """The first that is reached; the last refusal where none is."""
    refusal: OSError | None = None
    for host, port in addresses:
        try:
            found: str = reach(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))
            return found
        except OSError as error:
            refusal = error
    if refusal is None:
        raise RuntimeError("there is no target")
    raise refusal


@attempt(NETWORK, "connect by TCP to a service on the host's loopback address", "tcp_loopback")
def tcp_to_host_loopback(given: Given) -> str | None:
    return _first(given["tcp_loopback"], _stream)


@attempt(NETWORK, "send UDP to a service on the host's loopback address and hear its answer", "udp_loopback")
def udp_to_host_loopback(given: Given) -> str | None:
    return _first(given["udp_loopback"], _datagram)


@attempt(NETWORK, "connect by TCP to the host's own addresses", "tcp_host")
def tcp_to_host_addresses(given: Given) -> str | None:
    return _first(given["tcp_host"], _stream)


@attempt(NETWORK, "send UDP to the host's own addresses", "udp_host")
def udp_to_host_addresses(given: Given) -> str | None:
    return _first(given["udp_host"], _datagram)


@attempt(NETWORK, "connect to a host outside", "outside")
def tcp_to_outside(given: Given) -> str | None:
    return _first(given["outside"], _stream)


@attempt(NETWORK, "send UDP to a host outside", "outside_udp")
def udp_to_outside(given: Given) -> str | None:
    return _first(given["outside_udp"], _datagram)


@attempt(NETWORK, "ask a resolver for a name, over UDP", "resolver")
def dns_to_resolver(given: Given) -> str | None:
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01"
    for host, port in given["resolver"]:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(SECONDS)
            connection.sendto(question, (host, port))
            return f"the resolver {host} answered {len(connection.recv(512))} bytes"
    raise RuntimeError("there is no target")


@attempt(NETWORK, "resolve a public name with the system's resolver")
def dns_by_name(given: Given) -> str | None:
    try:
        return f"example.org is {socket.getaddrinfo('example.org', 80)[0][4]}"
    except socket.gaierror:
        return None


@attempt(NETWORK, "fetch from the cloud metadata address", "metadata")
def metadata_address(given: Given) -> str | None:
    return _first(given["metadata"], _stream)


@attempt(NETWORK, "connect to an abstract Unix socket of the host", "abstract")
def abstract_socket(given: Given) -> str | None:
    return _stream(socket.AF_UNIX, "\0" + given["abstract"])


@attempt(NETWORK, "find an interface other than its own loopback")
def other_interfaces(given: Given) -> str | None:
    with open("/proc/net/dev") as stream:
        names = {line.split(":")[0].strip() for line in stream if ":" in line}
    return f"interfaces {sorted(names)}" if names - {"lo"} else None


@attempt(NETWORK, "connect to the services of the platform that listen on TCP", "services")
def platform_services(given: Given) -> str | None:
    return _first(list(given["services"].values()), _stream)


@attempt(MOUNTS, "connect to the platform's Unix sockets", "sockets")
def platform_sockets(given: Given) -> str | None:
    return _any_path(list(given["sockets"].values()))


@attempt(MOUNTS, "connect to another workspace's sockets", "other_sockets")
def other_workspace_sockets(given: Given) -> str | None:
    return _any_path(given["other_sockets"])


@attempt(MOUNTS, "connect to this workspace's own sockets from behind, by their paths on the host", "own_sockets")
def own_sockets_by_host_path(given: Given) -> str | None:
    return _any_path(given["own_sockets"])


@attempt(MOUNTS, "connect to sockets of the host's system: bus, container engine, init, display, agents")
def system_sockets(given: Given) -> str | None:
    engines = ["/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"]
    system = ["/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/journal/stdout", "/run/nscd/socket"]
    return _any_path([*engines, *system, "/tmp/.X11-unix/X0"])  # noqa: S108


def _any_path(paths: list[str]) -> str | None:
    refusal: OSError = FileNotFoundError(2, "none of them is there")
    if not paths:
        raise RuntimeError("there is no target")
    for path in paths:
        try:
            return _stream(socket.AF_UNIX, path)
        except OSError as error:
            refusal = error
    raise refusal


@attempt(FILTER, "open an AF_VSOCK socket to the hypervisor, which no network namespace isolates")
def vsock(given: Given) -> str | None:
    return _family(40, socket.SOCK_STREAM)


@attempt(FILTER, "open an AF_PACKET socket")
def packet_socket(given: Given) -> str | None:
    return _family(17, socket.SOCK_RAW)


@attempt(FILTER, "open an AF_NETLINK socket and ask for its own interfaces to be changed")
def netlink(given: Given) -> str | None:
    return _family(16, socket.SOCK_RAW)


@attempt(FILTER, "open a socket of the kernel's cryptography, AF_ALG")
def kernel_crypto_socket(given: Given) -> str | None:
    return _family(38, socket.SOCK_SEQPACKET)


@attempt(FILTER, "open a raw IP socket")
def raw_socket(given: Given) -> str | None:
    return _family(socket.AF_INET, socket.SOCK_RAW, 1)


@attempt(FILTER, "open a socket of any other family")
def any_other_family(given: Given) -> str | None:
    opened = []
    for family in (number for number in range(64) if number not in (1, 2, 10)):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
                opened.append(family)
            except OSError:
                continue
    return f"families {sorted(set(opened))}" if opened else None


@attempt(FILTER, "slip a family past the filter in the upper half of the argument")
def family_in_upper_half(given: Given) -> str | None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    number = given["calls"]["socket"]
    result = libc.syscall(ctypes.c_long(number), ctypes.c_long((1 << 32) | 40), ctypes.c_long(1), ctypes.c_long(0))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "an AF_VSOCK socket"


def _family(family: int, kind: int, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol):
        return f"a socket of family {family}"
