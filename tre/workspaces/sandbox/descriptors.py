"""Descriptors that a keeper hands into a sandbox: bytes that exist only in memory, and sockets opened outside.

Decides how: sealed anonymous memory (nobody inside can change what bubblewrap reads), listening sockets bound in a
folder that the inside never sees, so that no symlink, FIFO or other socket can be put in their place.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from tre.errors import InvalidInput

# sockaddr_un.sun_path, with its terminating zero
LONGEST_SOCKET_PATH = 107
F_SEAL_ALL = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def in_memory(name: str, text: bytes) -> int:
    """A descriptor at the start of these bytes; they can no longer be changed."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view) :]
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, F_SEAL_ALL)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def listen(path: Path) -> socket.socket:
    """A listening Unix socket at `path`, 0600; whatever stood there is gone. Raises InvalidInput if the path is too
    long."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise InvalidInput(
            f"the socket path {path} is longer than {LONGEST_SOCKET_PATH} bytes",
            field="run_dir",
            hint="Choose a shorter run folder.",
        )
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(128)
    return listener
