"""What the guards of a cluster find again when all of them were gone: the routes of live workspaces.

Decides that a route is kept from the moment its workspace runs until it ends. It cannot be read here: a guard sealed it
(`tre.door.guard.kept`).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.workspaces.model import LIVE, Workspace


def kept(session: Session, known: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """All live workspaces, and the sealed routes of those among them that are not known yet."""
    served = frozenset(known)
    found = session.execute(select(Workspace.id, Workspace.route).where(Workspace.state.in_(LIVE))).all()
    unknown = {workspace_id: route for workspace_id, route in found if route and workspace_id not in served}
    return [workspace_id for workspace_id, _ in found], unknown
