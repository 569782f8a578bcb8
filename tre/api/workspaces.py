"""Workspaces over HTTP: look, stop. Opening one is the Hub's business, so that a person meets one spawn page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Line, Name, Text
from tre.people.model import Role
from tre.people.rules import has_role
from tre.workspaces import policy, rules, service
from tre.workspaces.model import Workspace

router = APIRouter(tags=["workspaces"])


class Stop(Body):
    reason: Line = "Stopped by its owner."


class Numbers(Body):
    project: str = Field(default="", max_length=64)
    numbers: dict[Name, Annotated[float, Field(allow_inf_nan=False)] | None] = Field(min_length=1, max_length=50)
    reason: Text


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


@router.get("/workspace-policy")
def show_policy(platform: PlatformHere, actor: CurrentActor, project: str = "") -> list[dict[str, Any]]:
    with platform.db.read() as session:
        return policy.show(session, actor, project)


@router.post("/workspace-policy")
def set_policy(body: Numbers, platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    """The numbers as they are afterwards. Limits hold from a workspace's next start, budgets at once."""
    policy.set_numbers(platform.db, actor, body.numbers, project=body.project, reason=body.reason)
    return show_policy(platform, actor, body.project)
