"""For `tre verify` on the machine: where a running workspace and a neighbour of another project lie, and what came
of the attempts. Where no other project's workspace runs, a token for a workspace of nobody, which opens nothing. In a
pod: asking the controller to try, with what was found in a guard's pod meanwhile, and how far it is.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy.orm import Session

from tre.api.auth import Client, PlatformHere, only
from tre.api.body import Body
from tre.api.internal import INTAKE_KEY, places_of
from tre.api.platform import Platform
from tre.door import tokens
from tre.door.probes.told import taken_in
from tre.errors import Conflict, NotFound
from tre.workspaces import service, verifications
from tre.workspaces.model import Workspace, WorkspaceState
from tre.workspaces.probes.report import Result, Verdict

router = APIRouter(prefix="/workspaces/{workspace_id}", dependencies=[only(Client.machine)])
HOUR = timedelta(hours=1)
Number = Annotated[int, Path(ge=1, le=(1 << 63) - 1)]


class Verified(Body):
    ok: bool
    left_out: list[str]
    refused: int = Field(ge=0)
    reached: list[str] = Field(max_length=1000)
    could_not_run: list[str] = Field(max_length=1000)


class Attempt(Body):
    """One `Result`."""

    name: str = Field(max_length=100)
    workspace_id: str = Field(max_length=100)
    wall: str = Field(max_length=100)
    tries: str = Field(max_length=500)
    verdict: Verdict
    detail: str = Field(max_length=500)


class Door(Body):
    """What a guard's pod printed. Whether it is `ok` is worked out anew."""

    ok: bool
    left_out: list[str] = Field(max_length=10)
    probes: list[Attempt] = Field(max_length=100)


class Asked(Body):
    door: Door | None = None


NOTHING_MORE = Asked()


@router.get("/verification")
def facts(workspace_id: str, platform: PlatformHere) -> dict[str, Any]:
    """Raises `Conflict` when the workspace does not run. The tokens in the answer are there to be refused."""
    if platform.settings.cluster is not None:
        raise Conflict("On a cluster the controller tries.", hint="`tre verify` in a pod of the api asks it.")
    with platform.db.read() as session:
        found = service.get(session, workspace_id)
        verifications.check_runs(found)
        running = [w for w in service.list_workspaces(session, live=True) if w.state == WorkspaceState.running]
        beside = next((w for w in running if w.project_slug != found.project_slug), None)
        outlines = [_outline(session, platform, workspace) for workspace in (found, beside) if workspace]
    return {
        "workspace": outlines[0],
        "neighbour": outlines[1] if beside else None,
        "stranger": None if beside else _stranger(platform),
        "public_key": platform.secrets.public_pem(INTAKE_KEY),
    }


def _outline(session: Session, platform: Platform, workspace: Workspace) -> dict[str, Any]:
    now = platform.db.clock()
    return {
        **service.outline(session, places_of(platform), workspace, now.date()),
        "intake": True,
        "database": workspace.lease_id is not None,
        "own_roles": _roles(platform, workspace.project_slug),
        "expired_token": _token(platform, workspace.id, now - 2 * HOUR),
    }


def _stranger(platform: Platform) -> dict[str, str]:
    name = f"probe-{secrets.token_hex(6)}"
    return {"workspace_id": name, "token": _token(platform, name, platform.db.clock())}


def _token(platform: Platform, workspace_id: str, now: datetime) -> str:
    return tokens.make(
        lambda message: platform.secrets.sign(INTAKE_KEY, message), workspace_id=workspace_id, now=now, life=HOUR
    )


def _roles(platform: Platform, project: str) -> list[str]:
    try:
        return [platform.secrets.project_database(project).group]
    except NotFound:
        return []


@router.post("/verification")
def record(workspace_id: str, body: Verified, platform: PlatformHere) -> dict[str, Any]:
    verifications.record(platform.db, verifications.ON_THE_MACHINE, workspace_id, body.model_dump())
    return {"workspace": workspace_id, "recorded": True}


@router.post("/verifications", status_code=202)
def request(workspace_id: str, platform: PlatformHere, asked: Asked = NOTHING_MORE) -> dict[str, Any]:
    """On a cluster, where the controller tries. Raises `Conflict` where the workspace is being verified."""
    if platform.settings.cluster is None:
        raise Conflict("On one machine nobody tries for others.", hint="`tre verify` tries itself.")
    told = asked.door
    door = (
        taken_in(workspace_id, [Result(**each.model_dump()) for each in told.probes], told.left_out) if told else None
    )
    return asdict(verifications.request(platform.db, workspace_id, door))


@router.get("/verifications/{number}")
def look(workspace_id: str, number: Number, platform: PlatformHere) -> dict[str, Any]:
    """How far it is; in the end its report."""
    return asdict(verifications.look(platform.db, workspace_id, number))
