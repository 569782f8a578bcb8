"""A network of its own for a command: an outside host, its resolver and a metadata address live on its loopback.

`python -m tests.workspaces.outside COMMAND…` makes a user and a network namespace, gives the loopback interface the
addresses below and runs the command there as the same user. With a wall removed, attempts reach these, and no packet
leaves the machine.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

OUTSIDE, METADATA, PORT, RESOLVER_PORT = "203.0.113.1", "169.254.169.254", 8080, 5353
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8913, 0x8914, 0x8916, 1


def main() -> None:
    uid, gid = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        set_up(asking, "lo")
        for number, address in enumerate((OUTSIDE, METADATA), 1):
            packed = struct.pack("16sHH4s8x", f"lo:{number}".encode(), socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(asking, SIOCSIFADDR, packed)
    os.execvp(sys.argv[1], sys.argv[1:])


def set_up(asking: socket.socket, name: str) -> None:
    request = fcntl.ioctl(asking, SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
    flags = struct.unpack("16sH22x", request)[1]
    fcntl.ioctl(asking, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | IFF_UP))


if __name__ == "__main__":
    main()
