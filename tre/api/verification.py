"""For `tre verify` on the machine: where a running workspace and a neighbour of another project lie, and what came
of the attempts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.orm import Session

from tre.api.auth import Client, PlatformHere, only
from tre.api.body import Body
from tre.api.internal import INTAKE_KEY, places_of
from tre.api.platform import Platform
from tre.audit import Actor, use_case
from tre.door import tokens
from tre.errors import Conflict, NotFound
from tre.workspaces import service
from tre.workspaces.model import Workspace, WorkspaceState

router = APIRouter(prefix="/workspaces/{workspace_id}/verification", dependencies=[only(Client.machine)])
ON_THE_MACHINE = Actor("machine", via="machine")


class Verified(Body):
    ok: bool
    left_out: list[str]
    refused: int = Field(ge=0)
    reached: list[str] = Field(max_length=1000)
    could_not_run: list[str] = Field(max_length=1000)


@router.get("")
def facts(workspace_id: str, platform: PlatformHere) -> dict[str, Any]:
    """Raises `Conflict` when the workspace does not run. The token in the answer has expired: it is there to be
    refused.
    """
    with platform.db.read() as session:
        found = service.get(session, workspace_id)
        if found.state != WorkspaceState.running:
            raise Conflict(f"The workspace is {found.state}.", hint="Verify a running workspace.")
        running = [w for w in service.list_workspaces(session, live=True) if w.state == WorkspaceState.running]
        beside = next((w for w in running if w.project_slug != found.project_slug), None)
        projects = {found.project_slug} | ({beside.project_slug} if beside else set())
        answer = {
            "workspace": _outline(session, platform, found),
            "neighbour": _outline(session, platform, beside) if beside else None,
        }
    past = platform.db.clock() - timedelta(hours=2)
    expired = tokens.make(
        lambda message: platform.secrets.sign(INTAKE_KEY, message),
        workspace_id=workspace_id,
        now=past,
        life=timedelta(hours=1),
    )
    return {
        **answer,
        "own_roles": _roles(platform, projects),
        "public_key": platform.secrets.public_pem(INTAKE_KEY),
        "expired_token": expired,
    }


def _outline(session: Session, platform: Platform, workspace: Workspace) -> dict[str, Any]:
    return service.outline(session, places_of(platform), workspace, platform.db.clock().date())


def _roles(platform: Platform, projects: set[str]) -> list[str]:
    found = []
    for project in sorted(projects):
        try:
            found.append(platform.secrets.project_database(project).group)
        except NotFound:
            continue
    return found


@router.post("")
def record(workspace_id: str, body: Verified, platform: PlatformHere) -> dict[str, Any]:
    with use_case(platform.db, ON_THE_MACHINE, "workspace.verify", f"workspace:{workspace_id}") as case:
        service.get(case.session, workspace_id)
        case.note(**body.model_dump())
    return {"workspace": workspace_id, "recorded": True}
