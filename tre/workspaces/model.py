"""Tables of the workspaces' room, its states and the one table of transitions between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, Float, ForeignKey, Identity, Index, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tre.store import Base

MIB, GIB, DAY = 1 << 20, 1 << 30, 24 * 3600


class WorkspaceState(StrEnum):
    requested = "requested"
    starting = "starting"
    running = "running"
    stopping = "stopping"
    stopped = "stopped"
    failed = "failed"


TRANSITIONS: dict[WorkspaceState, frozenset[WorkspaceState]] = {
    WorkspaceState.requested: frozenset({WorkspaceState.starting, WorkspaceState.failed}),
    WorkspaceState.starting: frozenset({WorkspaceState.running, WorkspaceState.stopping, WorkspaceState.failed}),
    WorkspaceState.running: frozenset({WorkspaceState.stopping, WorkspaceState.stopped, WorkspaceState.failed}),
    WorkspaceState.stopping: frozenset({WorkspaceState.stopped, WorkspaceState.failed}),
    WorkspaceState.stopped: frozenset(),
    WorkspaceState.failed: frozenset(),
}
LIVE = (WorkspaceState.requested, WorkspaceState.starting, WorkspaceState.running, WorkspaceState.stopping)

# How long the system may own a state before the controller ends it with a visible reason.
TIMEOUTS = {
    WorkspaceState.requested: timedelta(seconds=60),
    WorkspaceState.starting: timedelta(seconds=120),
    WorkspaceState.stopping: timedelta(seconds=60),
}


class Workspace(Base):
    """One run of a person's workspace in a project. `lease_id` renews and revokes its login; it opens nothing. `route`:
    what a guard sealed for other guards, while it lives.
    """

    __tablename__ = "workspace"
    __table_args__ = (
        Index("ix_workspace_project_username", "project_slug", "username"),
        # One live workspace per person and project, whatever two hubs believe.
        Index(
            "uq_workspace_live",
            "project_slug",
            "username",
            unique=True,
            postgresql_where="state IN ('requested', 'starting', 'running', 'stopping')",
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    project_slug: Mapped[str] = mapped_column(ForeignKey("project.slug"))
    username: Mapped[str] = mapped_column(ForeignKey("person.username"), index=True)
    state: Mapped[str] = mapped_column(Text, index=True)
    state_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    lease_id: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    token_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    route: Mapped[str | None] = mapped_column(Text)


class Traffic(Base):
    """Bytes that passed the guard for one person in one project on one day (UTC), both directions."""

    __tablename__ = "traffic"

    project_slug: Mapped[str] = mapped_column(ForeignKey("project.slug"), primary_key=True)
    username: Mapped[str] = mapped_column(ForeignKey("person.username"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    out_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    in_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    alarmed: Mapped[bool] = mapped_column(default=False)
    suspended_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class NodeProof(Base):
    """What was last shown of a node: whether the network confines pods there from their first instruction. `uid` is the
    node's own: another one of the same name has to be shown anew.
    """

    __tablename__ = "node_proof"

    node: Mapped[str] = mapped_column(Text, primary_key=True)
    uid: Mapped[str] = mapped_column(Text)
    proven: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    shown_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class VerificationState(StrEnum):
    """How far an attempt at the walls of a workspace's project is, on a cluster."""

    requested = "requested"
    running = "running"
    done = "done"
    failed = "failed"


VERIFICATION_TRANSITIONS: dict[VerificationState, frozenset[VerificationState]] = {
    VerificationState.requested: frozenset({VerificationState.running, VerificationState.failed}),
    VerificationState.running: frozenset({VerificationState.done, VerificationState.failed}),
    VerificationState.done: frozenset(),
    VerificationState.failed: frozenset(),
}
VERIFICATION_TIMEOUTS = {
    VerificationState.requested: timedelta(minutes=10),
    VerificationState.running: timedelta(minutes=15),
}


class Verification(Base):
    """Somebody asked that the walls of a workspace's project be tried: the row is the queue, and keeps the report.
    `probe` names the one pod that tries, among the workspaces of the project, and `pod_uid` is the API server's word
    for it; `progress` is for who waits. `door`: what was found through the guard before, and belongs to the report.
    """

    __tablename__ = "verification"
    __table_args__ = (
        # One at a time for each workspace, whoever asks.
        Index(
            "uq_verification_live",
            "workspace_id",
            unique=True,
            postgresql_where="state IN ('requested', 'running')",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"))
    state: Mapped[str] = mapped_column(Text, index=True)
    state_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    probe: Mapped[str] = mapped_column(Text, default="")
    pod_uid: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[str] = mapped_column(Text, default="")
    door: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


@dataclass(frozen=True)
class Number:
    """What a number of the policy means, and within which bounds (both included) it may be set."""

    lowest: float
    highest: float
    meaning: str


Kind = type[Integer] | type[BigInteger] | type[Float[float]]


def number(kind: Kind, lowest: float, highest: float, meaning: str) -> Any:
    return mapped_column(kind, info={"number": Number(lowest, highest, meaning)})


class WorkspacePolicy(Base):
    """The one row of numbers that bound every workspace, with exceptions for projects in `PolicyException`."""

    __tablename__ = "workspace_policy"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    memory_bytes: Mapped[int] = number(BigInteger, 256 * MIB, 4096 * GIB, "Memory of all its processes.")
    processes: Mapped[int] = number(Integer, 64, 32768, "Processes and threads.")
    cpus: Mapped[float] = number(Float, 0.1, 1024, "Processors, whole or in part.")
    file_bytes: Mapped[int] = number(BigInteger, MIB, 4096 * GIB, "The largest single file.")
    home_bytes: Mapped[int] = number(BigInteger, 16 * MIB, 65536 * GIB, "The home folder, which outlives workspaces.")
    open_files: Mapped[int] = number(Integer, 256, 1048576, "Open files of one process.")
    max_age_seconds: Mapped[int] = number(Integer, 60, 6 * DAY, "Longest life of a workspace, whatever it does.")
    idle_seconds: Mapped[int] = number(Integer, 300, 6 * DAY, "It ends so long after its person last did something.")
    busy_seconds: Mapped[int] = number(
        Integer, 0, 6 * DAY, "For so long after its person's last act, a kernel that computes counts as use."
    )
    alarm_bytes_per_day: Mapped[int] = number(BigInteger, 0, 1024 * GIB, "Bytes out per person and day: an alarm.")
    suspend_bytes_per_day: Mapped[int] = number(
        BigInteger, MIB, 1024 * GIB, "Bytes out per person and day: the door closes, and again at each multiple."
    )
    suspend_seconds: Mapped[int] = number(Integer, 10, DAY, "How long the door stays closed then.")
    unreported_bytes: Mapped[int] = number(
        BigInteger, MIB // 16, GIB, "What may pass before it is booked: a budget is overrun by at most so much."
    )
    grace_seconds: Mapped[int] = number(Integer, 20, 3600, "How long the door stays open while we do not answer.")
    request_bytes: Mapped[int] = number(BigInteger, MIB, 16 * GIB, "One upload.")
    response_bytes: Mapped[int] = number(BigInteger, MIB, 16 * GIB, "One answer.")
    message_in_bytes: Mapped[int] = number(BigInteger, MIB, GIB, "One message to a kernel.")
    message_out_bytes: Mapped[int] = number(BigInteger, MIB, GIB, "One message of a kernel.")


NUMBERS: dict[str, Number] = {
    column.name: column.info["number"] for column in WorkspacePolicy.__table__.columns if "number" in column.info
}
# The first of each pair is at most the second.
ASCENDING = (
    ("alarm_bytes_per_day", "suspend_bytes_per_day"),
    ("idle_seconds", "max_age_seconds"),
    ("busy_seconds", "max_age_seconds"),
)


class PolicyException(Base):
    """A number that is another one for one project."""

    __tablename__ = "workspace_policy_exception"

    project_slug: Mapped[str] = mapped_column(ForeignKey("project.slug"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[float] = mapped_column(Float)
