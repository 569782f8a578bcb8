"""The internal API: what JupyterHub, guard and intake may ask of the control plane (see docs/architecture.md).

The door names a person only after it has authenticated them; this side decides everything else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from tre.api.auth import Client, PlatformHere, only
from tre.api.body import Body, Line, Name
from tre.api.identities import let_in
from tre.api.platform import Platform
from tre.audit import Actor
from tre.data.sources import Places as DataPlaces
from tre.door import tokens
from tre.errors import TreError
from tre.people import renewal, signin
from tre.people import service as people
from tre.people.model import Person
from tre.people.rules import may_enter
from tre.projects import service as projects
from tre.workspaces import gate, routes, traffic
from tre.workspaces import service as workspaces
from tre.workspaces.controller import SYSTEM_STOPS
from tre.workspaces.model import WorkspaceState
from tre.workspaces.places import Places
from tre.workspaces.service import MakeToken

router = APIRouter()
INTAKE_KEY = "intake"


class SignIn(Body):
    username: str = Field(max_length=256)
    password: str = Field(max_length=1024)
    totp: str = Field(max_length=64)


class Bootstrap(Body):
    username: Name
    name: Line
    password: Line
    organisation: Name


class Renewal(Body):
    password: Line
    reason: Line


class Open(Body):
    username: Name
    project: Name


class EventName(StrEnum):
    running = "running"
    stopped = "stopped"
    failed = "failed"


class Event(Body):
    event: EventName
    reason: str = Field(default="", max_length=2000)
    route: str | None = Field(default=None, max_length=16384)


class Known(Body):
    known: list[Name] = Field(max_length=100_000)


class Idle(Body):
    reason: Line


class TrafficBody(Body):
    out_bytes: int = Field(ge=0, le=1 << 50)
    in_bytes: int = Field(ge=0, le=1 << 50)


@router.post("/bootstrap", status_code=201, dependencies=[only(Client.machine)])
def bootstrap(body: Bootstrap, platform: PlatformHere) -> dict[str, Any]:
    """The first administrator: whoever can read the internal token is on the machine as its owner."""
    made = people.bootstrap(platform.db, platform.sealer, **body.model_dump())
    return {"username": made.username, "totp_secret": made.totp_secret, "totp_uri": made.totp_uri}


@router.post("/people/{username}/renew", dependencies=[only(Client.machine)])
def renew(username: str, body: Renewal, platform: PlatformHere) -> dict[str, Any]:
    """An administrator who lost what they sign in with."""
    made = renewal.renew_on_the_machine(platform.db, platform.sealer, username=username, **body.model_dump())
    return {"username": made.username, "totp_secret": made.totp_secret, "totp_uri": made.totp_uri}


@router.post("/sign-in", dependencies=[only(Client.hub)])
def sign_in(body: SignIn, platform: PlatformHere) -> dict[str, Any]:
    keep = platform.settings.local_accounts
    who = signin.sign_in(platform.db, platform.sealer, **body.model_dump(), via="web", local_accounts=keep)
    return let_in(who)


@router.get("/people/{username}", dependencies=[only(Client.hub)])
def person(username: str, platform: PlatformHere) -> dict[str, Any]:
    """Whether the person may be signed in, what the identity provider has left unsaid, and the person's projects, each
    startable or with the reasons why not.
    """
    now = platform.db.clock()
    with platform.db.read() as session:
        found = people.get_person(session, username)
        listed = []
        mine = projects.list_projects(session, member=username)
        gates = gate.obstacles_of(session, [(project.slug, username) for project in mine], now)
        for project in mine:
            obstacles = gates[project.slug, username]
            reason = " ".join(obstacle.message for obstacle in obstacles)
            row = {"slug": project.slug, "title": project.title, "startable": not obstacles, "reason": reason}
            listed.append(row)
        roles = sorted({held.role for held in found.roles})
        lapsed = may_enter(username, found.confirmed_until, found.confirmation_note, now)
        return {
            "username": username,
            "name": found.name,
            "active": found.active and not lapsed,
            "notice": notice_of(found),
            "session_round": found.session_round,
            "roles": roles,
            "projects": listed,
        }


def notice_of(found: Person) -> str:
    """What a person should know while the identity provider is away."""
    if not found.confirmation_note or found.confirmed_until is None:
        return ""
    return f"{found.confirmation_note} Your sign-in and your workspaces hold until {found.confirmed_until:%H:%M} UTC."


def places_of(platform: Platform) -> Places:
    place = platform.settings
    return Places(
        place.homes, place.intake_sockets, place.data_server, DataPlaces.from_settings(place), place.cluster is not None
    )


def token_maker(platform: Platform) -> MakeToken:
    """Makes what a workspace shows to the intake; raises Unavailable where it cannot be signed."""

    def make(workspace_id: str, now: datetime, life: timedelta) -> str:
        sign = partial(platform.secrets.sign, INTAKE_KEY)
        return tokens.make(sign, workspace_id=workspace_id, now=now, life=life)

    return make


@router.get("/intake-key", dependencies=[only(Client.intake)])
def intake_key(platform: PlatformHere) -> dict[str, str]:
    """The public key of intake tokens, every version of it."""
    return {"pem": platform.secrets.public_pems(INTAKE_KEY)}


@router.post("/workspaces", status_code=201, dependencies=[only(Client.hub)])
def open_workspace(body: Open, platform: PlatformHere) -> dict[str, Any]:
    """The launch plan, its intake token included. The gate is evaluated now."""
    with platform.db.read() as session:
        roles = frozenset(held.role for held in people.get_person(session, body.username).roles)
    actor = Actor(body.username, roles, via="web")
    plan = workspaces.start(platform.db, platform.secrets, places_of(platform), actor, body.project)
    try:
        token = workspaces.issue_token(platform.db, token_maker(platform), plan.workspace_id)
    except TreError as error:
        workspaces.end(platform.db, platform.secrets, plan.workspace_id, WorkspaceState.failed, error.message)
        raise
    answer: dict[str, Any] = json.loads(replace(plan, secrets={**plan.secrets, workspaces.TOKEN_FILE: token}).to_json())
    return answer


@router.post("/workspaces/{workspace_id}/events", dependencies=[only(Client.hub)])
def report(workspace_id: str, body: Event, platform: PlatformHere) -> dict[str, Any]:
    state = WorkspaceState(body.event)
    workspaces.report(platform.db, platform.secrets, workspace_id, state, body.reason, body.route)
    return {"workspace": workspace_id, "event": body.event}


@router.post("/routes", dependencies=[only(Client.guard)])
def kept_routes(body: Known, platform: PlatformHere) -> dict[str, Any]:
    """For a guard of a cluster: which workspaces live, and the routes that it does not know."""
    with platform.db.read() as session:
        live, sealed = routes.kept(session, body.known)
    return {"live": live, "routes": sealed}


@router.post("/workspaces/{workspace_id}/idle", dependencies=[only(Client.guard)])
def end_idle(workspace_id: str, body: Idle, platform: PlatformHere) -> dict[str, Any]:
    """Nobody uses it. Its credential is revoked before this answers; the controller ends the sandbox."""
    ended = workspaces.stop(platform.db, platform.secrets, SYSTEM_STOPS, workspace_id, body.reason)
    return {"workspace": workspace_id, "state": ended.state}


@router.post("/workspaces/{workspace_id}/traffic", dependencies=[only(Client.guard)])
def book_traffic(workspace_id: str, body: TrafficBody, platform: PlatformHere) -> dict[str, Any]:
    verdict = traffic.book(platform.db, workspace_id, out_bytes=body.out_bytes, in_bytes=body.in_bytes)
    return {"suspended": verdict.suspended, "reason": verdict.reason}
