"""Workspaces that should run and have no pod any more: they end, and with them their credential.

Decides that a workspace is absent only where it was said to run a while before the API server last told of pods: what
somebody did not see who was cut off from it is not gone. So a login dies with its pod also while the hub, which would
notice first, is down, and with its node: there the API server marks the pod for deletion.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select

from tre.errors import TreError
from tre.store import Database
from tre.workspaces import service
from tre.workspaces.kubernetes.content import POD
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.world import Space, World
from tre.workspaces.model import Workspace, WorkspaceState
from tre.workspaces.service import Leases

log = logging.getLogger(__name__)

#: The hub tells of a running workspace after it saw the pod; the stream of changes may be so late.
GRACE = timedelta(seconds=30)
REASON = "Its pod is gone."


def end_absent(db: Database, leases: Leases, world: World, control_namespace: str) -> int:
    """One look; returns how many workspaces it ended. What fails is found again."""
    told_at = world.told_at(POD)
    if told_at is None:
        return 0
    spaces = world.spaces()
    with db.read() as session:
        running = session.scalars(
            select(Workspace)
            .where(Workspace.state == WorkspaceState.running, Workspace.state_since < told_at - GRACE)
            .order_by(Workspace.id)
        ).all()
    ended = 0
    for workspace in running:
        reason = _why_not(spaces, control_namespace, workspace)
        if not reason:
            continue
        try:
            service.end(db, leases, workspace.id, WorkspaceState.failed, reason)
            ended += 1
        except TreError as error:
            log.warning("workspace %s: %s", workspace.id, error.message)
    return ended


def _why_not(spaces: Mapping[str, Space], control_namespace: str, workspace: Workspace) -> str:
    """Nothing where its pod is there and stays."""
    space = spaces.get(namespace_of(control_namespace, workspace.project_slug), {})
    pod = space.get((POD, workspace_of(workspace.id)))
    return pod.why if pod else REASON
