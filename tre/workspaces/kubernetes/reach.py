"""What a canary runs: tries to get out at its first instruction and leaves what it saw where the API server shows it.

Only the standard library: `python3 -I -c`, with this file's text. `reach TARGET…` tries all at once; `serve PORT`
answers there. Targets are `tcp://HOST:PORT` and `udp://HOST:PORT`. "open" and "refused" mean that something came back.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import socket
import sys
import threading

SECONDS = 2.0
MESSAGE = "/dev/termination-log"


def reach(target: str) -> str:
    kind, _, where = target.partition("://")
    host, _, port = where.rpartition(":")
    try:
        if kind == "tcp":
            socket.create_connection((host, int(port)), SECONDS).close()
        else:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as packets:
                packets.settimeout(SECONDS)
                packets.connect((host, int(port)))
                packets.send(b"?")
                packets.recv(16)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError as error:
        return f"error {error.errno}"
    return "open"


def serve(port: int) -> None:
    packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    packets.bind(("", port))

    def echo() -> None:
        while True:
            data, sender = packets.recvfrom(64)
            with contextlib.suppress(OSError):
                packets.sendto(data, sender)

    threading.Thread(target=echo, daemon=True).start()
    with socket.create_server(("", port)) as listener:
        while True:
            listener.accept()[0].close()


def main() -> None:
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    targets = sys.argv[2:]
    with concurrent.futures.ThreadPoolExecutor(max(len(targets), 1)) as pool:
        seen = dict(zip(targets, pool.map(reach, targets), strict=True))
    text = json.dumps(seen)
    print(text)
    with contextlib.suppress(OSError), open(MESSAGE, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
