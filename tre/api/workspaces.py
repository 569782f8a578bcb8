"""Workspaces over HTTP: look, stop. Opening one is the Hub's business, so that a person meets one spawn page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Line
from tre.people.model import Role
from tre.people.rules import has_role
from tre.workspaces import rules, service
from tre.workspaces.model import Workspace

router = APIRouter(tags=["workspaces"])


class Stop(Body):
    reason: Line = "Stopped by its owner."


def view(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "project": workspace.project_slug,
        "username": workspace.username,
        "state": workspace.state,
        "since": workspace.state_since,
        "reason": workspace.reason,
        "requested_at": workspace.requested_at,
        "expires_at": workspace.expires_at,
        "credential": _credential(workspace),
    }


def _credential(workspace: Workspace) -> str:
    if workspace.lease_id is None:
        return "none"
    return "revoked" if workspace.lease_revoked_at else "leased"


@router.get("/workspaces")
def workspaces(
    platform: PlatformHere, actor: CurrentActor, project: str = "", live: bool = False
) -> list[dict[str, Any]]:
    everybody = has_role(actor, Role.administrator, Role.auditor)
    with platform.db.read() as session:
        username = "" if everybody else actor.username
        return [view(w) for w in service.list_workspaces(session, username=username, project=project, live=live)]


@router.get("/workspaces/{workspace_id}")
def workspace(workspace_id: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    with platform.db.read() as session:
        found = service.get(session, workspace_id)
        rules.check_see(actor, found)
        return view(found)


@router.post("/workspaces/{workspace_id}/stop")
def stop(workspace_id: str, body: Stop, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """The credential is revoked before this answers; the sandbox ends within seconds."""
    return view(service.stop(platform.db, platform.secrets, actor, workspace_id, body.reason))
