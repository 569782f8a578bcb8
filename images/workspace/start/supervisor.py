"""Process 1 of a workspace: applies limits, starts the Jupyter server, runs probes, and ends all when anything ends.

Decides nothing about the workspace: settings come as JSON over one inherited descriptor, limits and descriptor
numbers among them. Everything else inside is its descendant and behind the same walls. It hides itself from the
researcher's processes, which run as the same user, by not being dumpable; as process 1 it cannot be killed from
inside. When the keeper outside goes away, the life line closes, process 1 ends, and the kernel kills every process of
the namespace.

Standard library only: it runs before anything else, with `-I -S`.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys

START = "/opt/tre/start"
PR_SET_DUMPABLE = 4
LARGEST_REQUEST = 64 << 20
# A probe's or bomb's answer is cut, so that process 1 never holds more than this of what the inside wrote.
LARGEST_ANSWER = 16 << 20
# What the interpreter sets to be ignored; a program that it starts must not inherit that.
PYTHON_IGNORES = [signal.SIGPIPE, signal.SIGXFSZ]


def main() -> int:
    """Run until the Jupyter server ends or the keeper goes away; returns the server's exit status."""
    sys.path.insert(0, START)
    from confine import limit

    hide()
    settings = read_settings(int(sys.argv[1]))
    for name, value in settings["limits"].items():
        limit(getattr(resource, name), value)
    os.umask(0o077)
    server = start_server(settings)
    return watch(server, life=settings["life"], probes=settings["probes"])


def hide() -> None:
    """Keep other processes of the same user out of this one's memory and descriptors."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")


def read_settings(descriptor: int) -> dict:
    """The settings; nothing of them stays readable afterwards."""
    with os.fdopen(descriptor, "rb") as stream:
        settings = json.load(stream)
    for name in ("life", "probes"):
        os.set_inheritable(settings[name], False)
    return settings


def start_server(settings: dict, output: int = 1) -> int:
    """Start the Jupyter server with its settings on standard input; returns its process id."""
    server = settings["server"]
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream:
        stream.write(json.dumps(server).encode())
    argv = [sys.executable, "-P", f"{START}/serve.py"]
    keep = [server["listener"], server["ready"]]
    actions = [(os.POSIX_SPAWN_DUP2, here, there) for here, there in ((reading, 0), (output, 1), (output, 2))]
    process = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=actions, setsigdef=PYTHON_IGNORES)
    for descriptor in (reading, *keep):
        os.close(descriptor)
    return process


def watch(server: int, *, life: int, probes: int) -> int:
    """Reap, answer probes, and end when the server or the life line ends."""
    waking, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # With the default action for every other signal, the kernel ignores what the inside sends to process 1.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=probes)
    selector = selectors.DefaultSelector()
    for source in (waking.fileno(), life, listener.fileno()):
        selector.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == life:
                return 0
            if key.fd == waking.fileno():
                waking.recv(4096)
            if key.fd == listener.fileno():
                answer_in_child(listener)
        status = reap(server)
        if status is not None:
            return status


def reap(server: int) -> int | None:
    """Collect every ended child; the server's exit status once it is among them."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1
        if process == 0:
            return None
        if process == server:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def answer_in_child(listener: socket.socket) -> None:
    """Take one connection; a child runs what it asks for and writes the result back."""
    connection, _ = listener.accept()
    try:
        child = os.fork()
    except OSError:
        connection.close()  # no process left: the caller sees a closed connection, and counts it as failed
        return
    if child:
        connection.close()
        return
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        listener.close()
        answer(connection)
    finally:
        os._exit(0)


def answer(connection: socket.socket) -> None:
    """Read one request `{argv, stdin, seconds, env}`, run it, write `{returncode, stdout, stderr}`."""
    request = json.loads(receive(connection))
    environment = dict(os.environ) | request.get("env", {})
    seconds = request["seconds"]
    try:
        done = subprocess.run(
            request["argv"],
            input=base64.b64decode(request["stdin"]),
            capture_output=True,
            timeout=seconds,
            env=environment,
            start_new_session=True,
            check=False,
        )
        result = [done.returncode, done.stdout, done.stderr]
    except subprocess.TimeoutExpired as late:
        result = [124, late.stdout or b"", (late.stderr or b"") + b"\nnot done in time\n"]
    except OSError as error:
        result = [127, b"", str(error).encode()]
    text = [base64.b64encode(part[:LARGEST_ANSWER]).decode() for part in result[1:]]
    send(connection, json.dumps({"returncode": result[0], "stdout": text[0], "stderr": text[1]}).encode())


def receive(connection: socket.socket) -> bytes:
    """One message: four bytes of length, then the text."""
    (length,) = struct.unpack(">I", read_exactly(connection, 4))
    if length > LARGEST_REQUEST:
        raise ValueError("the request is too long")
    return read_exactly(connection, length)


def read_exactly(connection: socket.socket, length: int) -> bytes:
    """Exactly so many bytes; EOFError where the other side ends early."""
    parts = []
    while length:
        part = connection.recv(min(length, 1 << 16))
        if not part:
            raise EOFError("the connection ended early")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def send(connection: socket.socket, text: bytes) -> None:
    """Write one message."""
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(struct.pack(">I", len(text)) + text)


if __name__ == "__main__":
    sys.exit(main())
