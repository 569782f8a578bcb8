"""What a signed-in browser does at the guard."""

import json

import httpx
from websockets.sync.client import connect

from tests.door.parts import GuardHouse


def channels(front: httpx.Client, house: GuardHouse, kernel: str, **changes):
    headers = {"Cookie": front.headers["Cookie"], "Origin": house.places.guard_url} | changes
    address = f"ws://127.0.0.1:{house.places.guard_port}{front.route['base_url']}api/kernels/{kernel}/channels"
    return connect(
        f"{address}?session_id=s1",
        additional_headers={name: value for name, value in headers.items() if value},
        compression=None,
        max_size=None,
        open_timeout=60,
    )


def request(code: str) -> str:
    """The message that asks a kernel to run code."""
    header = {"msg_id": "m1", "username": "a", "session": "s1", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    return json.dumps(message | {"buffers": []})


def execute(socket, code: str) -> str:
    """Run code over the kernel's websocket; the text it printed."""
    socket.send(request(code))
    text = ""
    while True:
        answer = json.loads(socket.recv(timeout=60))
        if answer["parent_header"].get("msg_id") != "m1":
            continue
        if answer["msg_type"] == "stream":
            text += answer["content"]["text"]
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            return text


def drain(socket, seconds: float) -> None:
    """Read until the other side closes; raises ConnectionClosed."""
    while True:
        socket.recv(timeout=seconds)


def suspended_run(socket) -> None:
    execute(socket, "print('y' * 1_000_000)")
    drain(socket, 30)
