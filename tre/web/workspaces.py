"""Stopping one's workspace. Starting and opening one is the Hub's business, so that a person meets one spawn page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tre.outputs.access import looking
from tre.web.form import Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, page, see_other
from tre.web.session import SignedIn, Visit
from tre.workspaces import rules, service

router = APIRouter()
BY_OWNER = "Stopped by its owner."


@router.get("/workspaces/{workspace_id}/stop")
def stop_page(workspace_id: str, visit: SignedIn) -> Response:
    return show_stop(visit, workspace_id, NOTHING_SENT)


def show_stop(visit: Visit, workspace_id: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "workspace.see", f"workspace:{workspace_id}") as session:
        workspace = service.get(session, workspace_id)
        rules.check_stop(visit.actor, workspace)
        return page(visit.request, "stop.html", sent=sent, workspace=workspace)


@router.post("/workspaces/{workspace_id}/stop")
def stop(workspace_id: str, visit: SignedIn, form: Submitted) -> Response:
    platform = visit.platform
    return answer(
        form,
        lambda: service.stop(platform.db, platform.secrets, visit.actor, workspace_id, BY_OWNER),
        lambda: see_other(done="stopped"),
        lambda sent: show_stop(visit, workspace_id, sent),
    )
