"""Tables of the workspaces' room, its states and the one table of transitions between them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, Float, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from tre.store import Base


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
    """One run of a person's workspace in a project. `lease_id` renews and revokes its login; it opens nothing."""

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


class WorkspacePolicy(Base):
    """The one row of numbers that bound every workspace. Changed by an administrator, audited, read at every start."""

    __tablename__ = "workspace_policy"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    processes: Mapped[int] = mapped_column(Integer)
    cpus: Mapped[float] = mapped_column(Float)
    file_bytes: Mapped[int] = mapped_column(BigInteger)
    home_bytes: Mapped[int] = mapped_column(BigInteger)
    max_age_seconds: Mapped[int] = mapped_column(Integer)
    alarm_bytes_per_day: Mapped[int] = mapped_column(BigInteger)
    suspend_bytes_per_day: Mapped[int] = mapped_column(BigInteger)
    suspend_seconds: Mapped[int] = mapped_column(Integer)
