"""The hub watches the pods of each project by itself: many projects leave it room to ask for other things, and cost the
API server nothing while nothing happens.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from kubernetes_asyncio.client import Configuration, CoreV1Api

from tre.door import pod_spawner
from tre.door.pod_spawner import ProjectPods
from tre.stack.ports import free_ports

#: More than the package's pool has connections.
MANY = 120


class QuietCluster:
    """An API server with no pods, whose streams of changes say nothing."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.watching = 0
        self.end = asyncio.Event()
        self.away = False

    async def pods(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            self.asked["in vain"] += 1
            return web.json_response({}, status=503)
        if "watch" not in request.query:
            self.asked["list"] += 1
            return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []})
        self.asked["watch"] += 1
        self.watching += 1
        response = web.StreamResponse()
        await response.prepare(request)
        await self.end.wait()
        return response


@pytest.fixture
async def cluster() -> AsyncIterator[QuietCluster]:
    found, port = QuietCluster(), free_ports(1)
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{space}/pods", found.pods)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    before = Configuration.get_default_copy()
    Configuration.set_default(Configuration(host=f"http://127.0.0.1:{port}"))
    yield found
    found.end.set()
    Configuration.set_default(before)
    await runner.cleanup()


async def test_watching_many_projects_leaves_room_to_start_a_pod(cluster: QuietCluster):
    projects = [ProjectPods(namespace=f"tre-p{number}", labels={"a": "b"}) for number in range(MANY)]
    await asyncio.gather(*(each.start() for each in projects))
    async with asyncio.timeout(20):
        while cluster.watching < MANY:
            await asyncio.sleep(0.05)
        client = CoreV1Api()
        await client.list_namespaced_pod("tre-other")
    # Once to know what is there, and once where the stream begins.
    assert cluster.asked == {"list": 2 * MANY + 1, "watch": MANY}
    for each in projects:
        each.watch_task.cancel()
    await client.api_client.close()
    await projects[0].api.api_client.close()


def test_a_quiet_project_is_listed_once_in_two_minutes():
    assert ProjectPods.timeout_seconds.default_value == pod_spawner.QUIET_SECONDS == 120
    assert ProjectPods.request_timeout.default_value > pod_spawner.QUIET_SECONDS


async def test_it_goes_on_watching_after_an_api_server_that_was_away_for_long(
    cluster: QuietCluster, monkeypatch: pytest.MonkeyPatch
):
    """The package gives a namespace up after a minute, without a word: nothing would be seen there any more."""
    slept = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *more: slept(min(seconds, 0.01)))
    watched = ProjectPods(namespace="tre-p", labels={"a": "b"})
    await watched.start()
    cluster.away = True
    cluster.end.set()
    async with asyncio.timeout(20):
        while cluster.asked["in vain"] < 30:
            await slept(0.01)
    cluster.away = False
    cluster.end.clear()
    before = cluster.asked["watch"]
    async with asyncio.timeout(20):
        while cluster.asked["watch"] == before:
            await slept(0.01)
    cluster.end.set()
    await watched.stop()
