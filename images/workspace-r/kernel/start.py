"""Becomes the R kernel for one connection file.

Decides where its sockets are found: Jupyter connects to `<address>-<port>`, IRkernel binds `<address>:<port>`, also
where the address is a path of a Unix socket. A link of the one name to the other brings them together.
"""

from __future__ import annotations

import json
import os
import sys

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
R = "/usr/bin/R"


def links(connection: dict[str, object]) -> dict[str, str]:
    """{link: what it leads to}; none where the kernel is reached by TCP."""
    if connection.get("transport") != "ipc":
        return {}
    address = str(connection["ip"])
    return {f"{address}-{connection[port]}": f"{address}:{connection[port]}" for port in PORTS}


def command(file: str) -> list[str]:
    return [R, "--no-echo", "--no-save", "--no-restore", "-e", "IRkernel::main()", "--args", file]


def main(file: str) -> None:
    with open(file, encoding="utf-8") as stream:
        connection = json.load(stream)
    for link, target in links(connection).items():
        if not os.path.lexists(link):
            os.symlink(target, link)
    os.execv(R, command(file))  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
