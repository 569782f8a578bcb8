"""`python -m tre.door.guard`: the guard of this host, as the settings in the environment say.

Decides what is listened on: a port for the proxy, and for the spawner a Unix socket, or on a cluster a port that asks
for a token; and that on a cluster people may come when the routes are known, or when waiting for them was in vain. Ends
on SIGTERM and SIGINT; open websockets end with it, routes do not.
"""

from __future__ import annotations

import asyncio
import gc

from aiohttp import web

from tre.door.guard.admin import admin_app
from tre.door.guard.app import Guard
from tre.door.guard.front import Front
from tre.door.guard.hub import Hub
from tre.door.guard.keeper import Keeper, Rhythm
from tre.door.guard.kept import Kept, Seal
from tre.door.guard.table import Workspaces
from tre.door.internal_api import InternalApi, read_secret
from tre.door.listening import open_private_site, run, until_signal
from tre.door.places import Places


async def serve(places: Places, rhythm: Rhythm = Rhythm()) -> None:
    """Run until a signal comes. Raises InvalidInput where a secret or a route cannot be used."""
    api = InternalApi(places.internal, read_secret(places.secret("internal-guard.token")))
    hub = Hub(places.hub_api_url)
    cookie_secret = read_secret(places.secret("guard-cookie")).encode()
    workspaces = Workspaces(places, api, cookie_secret)
    workspaces.load()
    guard = Guard(workspaces, places.lab_settings)
    front = Front(guard)
    seal = Seal(cookie_secret) if places.settings.cluster else None
    token = read_secret(places.secret("guard-admin.token")) if seal else ""
    back = web.AppRunner(admin_app(workspaces, token, seal), access_log=None)
    await back.setup()
    ended = asyncio.create_task(until_signal())
    running = [asyncio.create_task(Keeper(workspaces.all, hub, api, rhythm).run())]
    try:
        if seal:
            workspaces.complete = False
            kept = Kept(api, seal, workspaces, rhythm.learn)
            running.append(asyncio.create_task(kept.run()))
            known = asyncio.create_task(kept.wait())
            running.append(known)
            await asyncio.wait((known, ended), timeout=rhythm.begin, return_when=asyncio.FIRST_COMPLETED)
        await front.listen(places.listen, places.guard_port)
        if places.settings.cluster:
            await web.TCPSite(back, places.listen, places.guard_admin_port).start()
        else:
            await open_private_site(back, places.settings.guard_socket)
        gc.freeze()
        await ended
    finally:
        for task in (*running, ended):
            task.cancel()
        for workspace in workspaces.all():
            workspace.end_sockets("The guard is restarting; your kernel goes on.")
            await workspace.meter.report()
        await front.close()
        await back.cleanup()
        await hub.close()
        await api.close()


if __name__ == "__main__":
    raise SystemExit(run(serve))
