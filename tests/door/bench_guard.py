"""The guard's speed and size beside a direct connection, in one run: `python -m tests.door.bench_guard` prints JSON.

Ratios: p50 of a contents request, throughput of a 50 MB kernel stream; then 500 live websockets and the guard's memory
per workspace. The two ways are measured in turns, so that a busy machine slows both.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import nbformat
import psutil

from tests.door.parts import TOKEN, GuardHouse, bare_jupyter, door_settings, route_for
from tests.door.stand_in import InternalApi, StandInHub
from tre.door.places import Places

ROUNDS, REQUESTS = 12, 40
#: What Lab asks for when a person looks around and opens a notebook.
CONTENTS = {
    "list a folder of 30 files": "api/contents/folder?content=1",
    "open a notebook of 40 cells": "api/contents/analysis.ipynb?content=1",
    "open a text of 18 kB": "api/contents/table.csv?content=1",
}
STREAM_BYTES = 50_000_000
SOCKETS, PER_WORKSPACE = 500, 5


async def time_requests(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> list[float]:
    taken = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        async with session.get(url, headers=headers) as answer:
            await answer.read()
            assert answer.status == 200, await answer.text()
        taken.append(time.perf_counter() - begun)
    return taken


async def stream(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> float:
    """Bytes per second of a kernel that prints STREAM_BYTES."""
    async with session.ws_connect(url, headers=headers, max_msg_size=0) as socket:
        header = {"msg_id": "m", "username": "a", "session": "s", "msg_type": "execute_request", "version": "5.3"}
        code = f"line = 'x' * 99_999\nfor _ in range({STREAM_BYTES // 100_000}): print(line)"
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        begun = time.perf_counter()
        await socket.send_str(json.dumps(message | {"buffers": []}))
        received = 0
        async for part in socket:
            received += len(part.data)
            if received >= STREAM_BYTES:
                return received / (time.perf_counter() - begun)
    raise RuntimeError(f"the stream ended after {received} bytes")


async def measure(house: GuardHouse, jupyter: Path) -> dict[str, Any]:
    route = route_for(jupyter)
    house.add_route(route)
    base = f"{house.places.guard_url}{route['base_url']}"
    guarded, bare = house.browser(route), {"Authorization": f"token {TOKEN}"}
    result: dict[str, Any] = {}
    async with (
        aiohttp.ClientSession() as front,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(jupyter / "jupyter.sock"))) as direct,
    ):
        for what, path in CONTENTS.items():
            ways = {"direct": (direct, f"http://localhost/{path}", bare), "guard": (front, base + path, guarded)}
            for way in ways.values():
                await time_requests(*way)
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    taken[name] += await time_requests(*way)
            result[what] = {name: statistics.median(values) * 1000 for name, values in taken.items()}
        async with direct.post("http://localhost/api/kernels", json={"name": "python3"}, headers=bare) as answer:
            kernel = (await answer.json())["id"]
        channels = f"api/kernels/{kernel}/channels?session_id=s"
        socket_headers = guarded | {"Origin": house.places.guard_url}
        speeds: dict[str, list[float]] = {"direct": [], "guard": []}
        for _ in range(4):
            speeds["direct"].append(await stream(direct, f"http://localhost/{channels}", bare))
            speeds["guard"].append(await stream(front, base + channels, socket_headers))
        best = {name: statistics.median(values) / 1e6 for name, values in speeds.items()}
        result["stream_mb_per_s"] = best
        result["stream_ratio"] = best["guard"] / best["direct"]
    result |= await many_sockets(house, jupyter, kernel)
    return result


async def many_sockets(house: GuardHouse, jupyter: Path, kernel: str) -> dict[str, Any]:
    """Live websockets of one hundred workspaces; what the guard grew by with routes, and with websockets on them."""
    process = psutil.Process(house.process.popen.pid)
    start = process.memory_info().rss
    count = SOCKETS // PER_WORKSPACE
    routes = [route_for(jupyter, workspace_id=f"b{n}", user=f"user{n}") for n in range(count)]
    for route in routes:
        house.add_route(route)
    with_routes = process.memory_info().rss
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def open_one(route: dict[str, Any]) -> aiohttp.ClientWebSocketResponse:
            headers = house.browser(route) | {"Origin": house.places.guard_url}
            url = f"{house.places.guard_url}{route['base_url']}api/kernels/{kernel}/channels?session_id=s"
            return await session.ws_connect(url, headers=headers, max_msg_size=0)

        begun = time.perf_counter()
        sockets = []
        for turn in range(PER_WORKSPACE):
            sockets += await asyncio.gather(*(open_one(route) for route in routes))
            print(f"{len(sockets)} websockets, {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)
            del turn
        alive = sum(not socket.closed for socket in sockets)
        used = process.memory_info().rss
        for socket in sockets:
            await socket.close()
    return {
        "live_websockets": alive,
        "guard_rss_mb": {"start": start / 1e6, "with_routes": with_routes / 1e6, "with_websockets": used / 1e6},
        "kb_per_route": (with_routes - start) / count / 1000,
        "kb_per_used_workspace": (used - start) / count / 1000,
        "kb_per_websocket": (used - with_routes) / SOCKETS / 1000,
    }


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark page."""
    found = found_now()
    speed, size = found["stream_mb_per_s"], found["guard_rss_mb"]
    contents = [contents_row(what, found[what]) for what in CONTENTS]
    return [
        *contents,
        {
            "what": "throughput of a 50 MB kernel stream",
            "ours": f"{speed['guard']:.0f} MB/s",
            "other": f"{speed['direct']:.0f} MB/s (direct)",
            "ratio": round(found["stream_ratio"], 2),
            "goal": "≥ 0.8",
            "met": found["stream_ratio"] >= 0.8,
            "detail": found,
        },
        {
            "what": f"live websockets on one guard; its memory {size['start']:.0f} MB without workspaces",
            "ours": f"{found['live_websockets']}, {found['kb_per_used_workspace']:.0f} kB per workspace",
            "goal": str(SOCKETS),
            "met": found["live_websockets"] == SOCKETS,
        },
    ]


def contents_row(what: str, p50: dict[str, float]) -> dict[str, Any]:
    ratio = p50["guard"] / p50["direct"]
    return {
        "what": f"contents request through the guard, p50: {what}",
        "ours": f"{p50['guard']:.2f} ms",
        "other": f"{p50['direct']:.2f} ms (direct)",
        "ratio": round(ratio, 2),
        "goal": "≤ 1.15",
        "met": ratio <= 1.15,
    }


def furnish(home: Path) -> None:
    """A researcher's home: a folder, a notebook with a figure and tables, a text."""
    (home / "folder").mkdir()
    for number in range(30):
        (home / "folder" / f"table-{number}.csv").write_text("a,b\n1,2\n")
    (home / "table.csv").write_text("a,b,c\n" + "1,2,3\n" * 3000)
    cells: list[nbformat.NotebookNode] = []
    for number in range(40):
        cell = nbformat.v4.new_code_cell(f"table = frame.groupby('region').agg('mean')  # {number}\n" * 4)
        cell.outputs = [nbformat.v4.new_output("stream", text="region  count  mean\n" + "north  1234  5.678\n" * 20)]
        if number % 10 == 0:
            cell.outputs.append(nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo" * 3000}))
        cells.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), home / "analysis.ipynb")


def found_now() -> dict[str, Any]:
    settings = door_settings("tre-bench-")
    places = Places(settings)
    places.prepare()
    api, hub = InternalApi(settings.internal_socket), StandInHub(places.hub_port)
    api.start()
    hub.start()
    house = GuardHouse(settings, api, hub)
    house.start()
    jupyter = Path(tempfile.mkdtemp(prefix="tre-bare-", dir="/tmp"))
    server = bare_jupyter(jupyter)
    try:
        furnish(jupyter / "home")
        return asyncio.run(measure(house, jupyter))
    finally:
        server.stop()
        house.stop()
        hub.stop()
        api.stop()


if __name__ == "__main__":
    print(json.dumps(found_now(), indent=2))
