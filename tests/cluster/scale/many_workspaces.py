"""Five hundred workspaces, started by five hundred people in their browsers, beside a thousand projects.

Decides what is real: proxy, hub, guard, api, controller, PostgreSQL, OpenBao, API server, scheduler and the
controller's own canaries; and what is told: nodes and pods (kwok), so nothing answers behind the guard; and volumes.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import psycopg
from sqlalchemy import func, select

from tests.cluster.scale.control import bind, node
from tests.cluster.scale.house import House
from tests.cluster.scale.many_projects import changes
from tests.cluster.scale.town import TEAM, Town
from tests.cluster.scale.witness import CONTROLLER, HUB, Account, ended_by, load, writes
from tests.fixtures.people import PASSWORD
from tre.demo.browser import Browser
from tre.demo.cast import Account as Signing
from tre.demo.cast import Part
from tre.errors import Unavailable
from tre.workspaces.kubernetes.names import home_of, namespace_of
from tre.workspaces.model import LIVE, NodeProof, Workspace, WorkspaceState

NODES = 10
#: People who sign in and start at the same time.
AT_ONCE = 12
#: Pages asked for per second while all run: everybody looks at one about every hundred seconds.
RATE = 5.0
LOOKING_SECONDS = 60
STARTING_SECONDS = 900
CHANGES = 10
HANDS = 8
PARTS = ("hub", "api", "guard", "controller")
RUNNING = WorkspaceState.running


def prepare(house: House, town: Town, count: int) -> list[tuple[str, str]]:
    """Data, volumes, nodes that were shown to confine, our processes. Returns (person, project) for each workspace."""
    slugs = town.slugs[: count // TEAM]
    wanted = [(name, slug) for number, slug in enumerate(slugs) for name in town.team_of(number)]
    town.deliver(slugs)
    claims = [(slug, "data") for slug in slugs] + [(slug, home_of(name)) for name, slug in wanted]
    api, control = house.api(), house.cluster.control_namespace
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(lambda claim: bind(api, namespace_of(control, claim[0]), claim[1]), claims))
    house.plane.kubectl().apply([node(number) for number in range(NODES)])
    for name in ("api", "guard", "hub"):
        house.start(name)
    house.start_proxy()
    house.wait("the hub", house.answers("/hub/login"))
    house.wait("the api", house.answers("/tre/"))
    house.wait("proven nodes", lambda: proven(house) == NODES, 180)
    return wanted


def proven(house: House) -> int:
    with house.db.read() as session:
        return session.scalar(select(func.count()).where(NodeProof.proven)) or 0


def sign_in(house: House, town: Town, name: str) -> Browser:
    account = Signing(Part(name, name, "uni", "researcher"), PASSWORD, town.people.secrets[name])
    browser = Browser(house.url, account)
    browser.sign_in()
    return browser


def start(browsers: dict[str, Browser], wanted: Sequence[tuple[str, str]]) -> None:
    """Returns when the Hub has taken the requests; it answers before a workspace runs where that takes a while."""
    with ThreadPoolExecutor(AT_ONCE) as hands:
        list(hands.map(lambda each: browsers[each[0]]._start(each[1]), wanted))


def run_all(house: House, browsers: dict[str, Browser], wanted: Sequence[tuple[str, str]], seconds: float) -> int:
    """Until every workspace runs. Who was refused asks again, as people do; returns how often."""
    again, until = -len(wanted), time.monotonic() + seconds
    while time.monotonic() < until:
        with house.db.read() as session:
            rows = session.execute(
                select(Workspace.username, Workspace.project_slug, Workspace.state).where(Workspace.state.in_(LIVE))
            ).all()
        if sum(row.state == RUNNING for row in rows) == len(wanted):
            return again
        if all(row.state == RUNNING for row in rows):
            there = {(row.username, row.project_slug) for row in rows}
            left = [each for each in wanted if each not in there]
            again += len(left)
            start(browsers, left)
        time.sleep(0.5)
    raise Unavailable(f"Not all workspaces run: {states(house)}\n{house.tail('hub')}")


def start_all(house: House, town: Town, wanted: Sequence[tuple[str, str]]) -> tuple[dict[str, Browser], dict[str, Any]]:
    begun, events, accounts = time.perf_counter(), house.events(), accounts_of(house)
    since = house.plane.audit.stat().st_size
    with ThreadPoolExecutor(AT_ONCE) as hands:
        browsers = dict(zip(town.names, hands.map(lambda name: sign_in(house, town, name), town.names), strict=True))
        signed_in = time.perf_counter()
    again = run_all(house, browsers, wanted, STARTING_SECONDS)
    over = time.perf_counter()
    with house.db.read() as session:
        took = select(Workspace.state_since - Workspace.requested_at).where(Workspace.state == RUNNING)
        each = sorted(delta.total_seconds() for delta in session.scalars(took))
    found: dict[str, Any] = {
        "started_again": again,
        "failed": failed(house),
        "pods_ended_by": dict(ended_by(house.plane.audit, since)),
        "sign_in_all": signed_in - begun,
        "start_all": over - signed_in,
        "start": quantiles(each),
    }
    found["events_per_second"] = (house.events() - events) / (over - begun)
    found |= {"start_spent": {name: one.seconds() for name, one in accounts.items()}, "start_load": load()}
    return browsers, found


def states(house: House) -> dict[str, int]:
    with house.db.read() as session:
        rows = session.execute(select(Workspace.state, func.count()).group_by(Workspace.state))
        return {row[0]: row[1] for row in rows}


def failed(house: House) -> dict[str, int]:
    """Why those did that were asked for again."""
    with house.db.read() as session:
        asked = select(Workspace.reason, func.count()).where(Workspace.state == WorkspaceState.failed)
        return {row[0]: row[1] for row in session.execute(asked.group_by(Workspace.reason))}


def look(browsers: dict[str, Browser], town: Town, seconds: float = LOOKING_SECONDS) -> dict[str, Any]:
    """People ask for pages at moments of their own; returns the quantiles of each page and of all."""
    taken: dict[str, list[float]] = {"/hub/home": [], "/tre/": [], "/tre/projects/PROJECT": []}
    chance = random.Random(1)

    def ask(page: str, browser: Browser) -> None:
        slug = chance.choice(slugs[browser.account.part.username])
        begun = time.perf_counter()
        browser.page(page.replace("PROJECT", slug))
        taken[page].append(time.perf_counter() - begun)

    slugs: dict[str, list[str]] = {name: [] for name in town.names}
    for number, slug in enumerate(town.slugs):
        for name in town.team_of(number):
            slugs[name].append(slug)
    with ThreadPoolExecutor(64) as people:
        asked, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            asked.append(people.submit(ask, chance.choice(list(taken)), chance.choice(list(browsers.values()))))
            time.sleep(chance.expovariate(RATE))
        for each in asked:
            each.result()
    whole = [one for each in taken.values() for one in each]
    return {page: quantiles(each) for page, each in taken.items()} | {"all": quantiles(whole)}


def quantiles(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"count": len(values)}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"count": len(values), "p50": cuts[49], "p95": cuts[94], "most": max(values)}


def accounts_of(house: House) -> dict[str, Account]:
    return {name: Account(psutil.Process(house.processes[name].pid)) for name in PARTS}


def costs(house: House, seconds: float = 30) -> dict[str, Any]:
    """What each process takes while nobody does anything, and what is written on the cluster meanwhile."""
    since = house.plane.audit.stat().st_size
    accounts = accounts_of(house)
    time.sleep(seconds)
    each = {name: {"processor": one.share(), "memory": one.memory()} for name, one in accounts.items()}
    users = {"controller": CONTROLLER, "hub": HUB}
    told = {name: dict(writes(house.plane.audit, user, since)) for name, user in users.items()}
    return {"parts": each, "writes": told}


def sizes(house: House) -> dict[str, int]:
    """Bytes of the databases. Each role sees its own."""
    found = {}
    for role, database in {"tre_app": "tre", "tre_hub": "tre_hub"}.items():
        with psycopg.connect(house.settings.state_conninfo(role, database)) as connection:
            (found[database],) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    return found


def measure(house: House, town: Town, count: int) -> dict[str, Any]:
    wanted = prepare(house, town, count)
    before = sizes(house)
    browsers, found = start_all(house, town, wanted)
    found |= {"workspaces": count, "projects_with_workspaces": count // TEAM}
    found["idle"] = costs(house)
    accounts = accounts_of(house)
    found |= {"pages": look(browsers, town), "pages_load": load()}
    found["pages_spent"] = {name: one.seconds() for name, one in accounts.items()}
    found["changes"] = changes(house, town, random.sample(town.slugs, CHANGES))
    found["after"] = states(house)
    found["bytes"] = {"before": before, "after": sizes(house)}
    for browser in browsers.values():
        browser.close()
    return found
