"""Which nodes of a cluster were shown to enforce the walls, lately: only there may a workspace run.

Decides how long a proof holds and what a person is told where there is none. Leaves the proving to
`tre.workspaces.kubernetes.canary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.errors import GateClosed
from tre.workspaces.model import NodeProof

#: Twice as long as until it is shown again, and some more for the showing.
HOLDS = timedelta(minutes=25)


def proven(session: Session, now: datetime) -> tuple[str, ...]:
    """Names of nodes, at least one. Raises `GateClosed` with the reason where no workspace can be confined."""
    found = session.scalars(select(NodeProof).order_by(NodeProof.node)).all()
    good = tuple(proof.node for proof in found if proof.proven and now - HOLDS < proof.shown_at <= now + HOLDS)
    if not good:
        raise GateClosed(
            f"No workspace is started: {_reason(found)}",
            hint="An administrator must look at the cluster's network (docs/kubernetes.md).",
            code="walls_not_proven",
        )
    return good


def _reason(found: Sequence[NodeProof]) -> str:
    bad = [proof for proof in found if not proof.proven]
    if bad:
        return " ".join(f"Node {proof.node}: {proof.reason}" for proof in bad[:3])
    if found:
        return "it was not shown lately that the cluster's network keeps workspaces apart."
    return "it was not shown yet that the cluster's network keeps workspaces apart."
