"""The control plane keeps a route for as long as its workspace lives, and gives it to a guard that does not know it."""

from __future__ import annotations

from tests.fixtures.workspaces import Desk
from tre.workspaces import routes, service
from tre.workspaces.model import Workspace, WorkspaceState


def kept(desk: Desk, *known: str) -> tuple[list[str], dict[str, str]]:
    with desk.people.db.read() as session:
        return routes.kept(session, known)


def run(desk: Desk, workspace_id: str, route: str | None) -> None:
    service.report(desk.people.db, desk.leases, workspace_id, WorkspaceState.running, "", route)


def test_from_running_to_its_end(desk: Desk):
    workspace_id = desk.start().workspace_id
    assert kept(desk) == ([workspace_id], {})
    run(desk, workspace_id, "sealed")
    run(desk, workspace_id, "again")
    assert kept(desk) == ([workspace_id], {workspace_id: "sealed"})
    assert kept(desk, workspace_id, "w-none") == ([workspace_id], {})
    service.stop(desk.people.db, desk.leases, desk.bob, workspace_id, "Enough.")
    assert kept(desk) == ([workspace_id], {workspace_id: "sealed"})
    desk.report(workspace_id, WorkspaceState.stopped)
    assert kept(desk) == ([], {})
    with desk.people.db.read() as session:
        assert session.get_one(Workspace, workspace_id).route is None


def test_on_one_machine_there_is_nothing_to_keep(desk: Desk):
    workspace_id = desk.start().workspace_id
    desk.report(workspace_id, WorkspaceState.running)
    assert kept(desk) == ([workspace_id], {})
