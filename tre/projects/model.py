"""Tables of the projects' room, its states and the one table of transitions between them."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Identity, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tre.people.model import Person
from tre.store import Base


class ProjectState(StrEnum):
    proposed = "proposed"
    approved = "approved"
    refused = "refused"
    suspended = "suspended"
    closed = "closed"


# Refused and closed are final: what a refusal asks for goes into a new proposal, so that the record of the old one
# stays.
TRANSITIONS: dict[ProjectState, frozenset[ProjectState]] = {
    ProjectState.proposed: frozenset({ProjectState.approved, ProjectState.refused}),
    ProjectState.approved: frozenset({ProjectState.suspended, ProjectState.closed}),
    ProjectState.suspended: frozenset({ProjectState.approved, ProjectState.closed}),
    ProjectState.refused: frozenset(),
    ProjectState.closed: frozenset(),
}


class RefusalCode(StrEnum):
    """Why a project or a dataset is refused; counted in public statistics."""

    no_public_benefit = "no_public_benefit"
    legal_basis = "legal_basis"
    not_minimal = "not_minimal"
    risk_too_high = "risk_too_high"
    team = "team"
    incomplete = "incomplete"
    other = "other"


class Project(Base):
    __tablename__ = "project"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    public_benefit: Mapped[str] = mapped_column(Text)
    legal_basis: Mapped[str] = mapped_column(Text)
    risk_of_sharing: Mapped[str] = mapped_column(Text)
    cost_of_withholding: Mapped[str] = mapped_column(Text)
    end_date: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(Text, index=True)
    state_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    state_reason: Mapped[str] = mapped_column(Text, default="")
    proposed_by: Mapped[str] = mapped_column(Text)
    proposed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    #: When a closed project's extracts, database and pseudonym key were gone.
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    members: Mapped[list[Member]] = relationship(back_populates="project", lazy="selectin")
    asks: Mapped[list[DatasetAsk]] = relationship(lazy="selectin")
    decisions: Mapped[list[ProjectDecision]] = relationship(lazy="selectin", order_by="ProjectDecision.id")


class Member(Base):
    """A person in the team, until `left_at`. `agreed_at` and `agreement` say which text they accepted, by its
    SHA-256.
    """

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("project_id", "person_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    joined_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    left_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    agreement: Mapped[str | None] = mapped_column(Text)
    agreed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    project: Mapped[Project] = relationship(back_populates="members")
    person: Mapped[Person] = relationship(lazy="joined")


class DatasetAsk(Base):
    """What the proposal asks of one dataset: columns by name, and rows as a typed expression (None: all rows)."""

    __tablename__ = "dataset_ask"
    __table_args__ = (UniqueConstraint("project_id", "dataset"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    dataset: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str]] = mapped_column(JSONB)
    rows: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class ProjectDecision(Base):
    """A decision on the project itself. Each controller's decision on its own data is a grant's (see `tre.data`)."""

    __tablename__ = "project_decision"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    decision: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text)
    would_change: Mapped[str] = mapped_column(Text, default="")
    decided_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
