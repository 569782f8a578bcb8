"""Tables of the data room: the register, each controller's decisions, the extracts and their table of transitions."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tre.projects.model import Project
from tre.store import Base


class Sensitivity(StrEnum):
    """HDR UK's words for what a dataset can tell about a person."""

    personally_identifiable = "personally identifiable"
    de_personalised = "de-personalised"
    anonymous = "anonymous"


class SourceKind(StrEnum):
    postgres = "postgres"  # a table of the data server's shared database
    parquet = "parquet"  # a folder of files that the custodian placed in the organisation's part of the intake folder


class Delivery(StrEnum):
    """How a project's extract reaches its workspaces."""

    files = "files"
    database = "database"
    both = "both"


class Decision(StrEnum):
    granted = "granted"
    refused = "refused"


class ExtractState(StrEnum):
    queued = "queued"
    building = "building"
    ready = "ready"
    failed = "failed"
    removed = "removed"


# Building goes back to queued when its worker was lost; failed goes back when a person asks again. Removed is final.
TRANSITIONS: dict[ExtractState, frozenset[ExtractState]] = {
    ExtractState.queued: frozenset({ExtractState.building, ExtractState.removed}),
    ExtractState.building: frozenset(
        {ExtractState.building, ExtractState.queued, ExtractState.ready, ExtractState.failed, ExtractState.removed}
    ),
    ExtractState.ready: frozenset({ExtractState.removed}),
    ExtractState.failed: frozenset({ExtractState.queued, ExtractState.removed}),
    ExtractState.removed: frozenset(),
}


class Dataset(Base):
    """One dataset of one controller (`organisation_slug`). `source` is {"table"} or {"folder"}, inside what is the
    organisation's.

    `row_count`, `unit_count` and everything in `variables` is what the catalogue shows: already disclosure-controlled.
    """

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    organisation_slug: Mapped[str] = mapped_column(ForeignKey("organisation.slug"), index=True)
    legal_basis: Mapped[str] = mapped_column(Text)
    terms: Mapped[str] = mapped_column(Text)
    sensitivity: Mapped[str] = mapped_column(Text)
    source_kind: Mapped[str] = mapped_column(Text)
    source: Mapped[dict[str, str]] = mapped_column(JSONB)
    registered_by: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    profiled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    unit_count: Mapped[int | None] = mapped_column(BigInteger)
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    variables: Mapped[list[Variable]] = relationship(lazy="selectin", order_by="Variable.position")


class Variable(Base):
    """One column. `kind` is text, int, float, bool, date or time; `identifier` says that it names a person directly,
    `unit` that it is part of what names the protected unit. Equal `scheme` (for example "nhs-number") gives equal
    pseudonyms within one project; empty means that the column is a scheme of its own.
    """

    __tablename__ = "variable"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    position: Mapped[int] = mapped_column()
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    identifier: Mapped[bool] = mapped_column(default=False)
    unit: Mapped[bool] = mapped_column(default=False)
    scheme: Mapped[str] = mapped_column(Text, default="")
    missing: Mapped[str] = mapped_column(Text, default="")
    lowest: Mapped[str | None] = mapped_column(Text)
    highest: Mapped[str | None] = mapped_column(Text)
    categories: Mapped[list[str] | None] = mapped_column(JSONB)
    categories_hidden: Mapped[bool] = mapped_column(default=False)

    @property
    def protected(self) -> bool:
        """Never delivered as it is: pseudonymised or left out. Unit numbers would join two projects as names do."""
        return self.identifier or self.unit


class Grant(Base):
    """One controller's decision on one dataset for one project; the newest counts. A refusal carries `code`, `reason`
    and `would_change`. `rows` is a filter in force beside the one that the project asked for.
    """

    __tablename__ = "data_grant"
    __table_args__ = (
        Index(
            "uq_data_grant_standing",
            "project_id",
            "dataset_id",
            unique=True,
            postgresql_where=text("decision = 'granted' AND ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), index=True)
    decision: Mapped[str] = mapped_column(Text)
    columns: Mapped[list[str]] = mapped_column(JSONB)
    pseudonymised: Mapped[list[str]] = mapped_column(JSONB)
    rows: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    delivery: Mapped[str | None] = mapped_column(Text)
    until: Mapped[date | None] = mapped_column(Date)
    code: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text)
    would_change: Mapped[str] = mapped_column(Text, default="")
    decided_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None] = mapped_column(Text)
    end_reason: Mapped[str] = mapped_column(Text, default="")

    project: Mapped[Project] = relationship(lazy="joined")
    dataset: Mapped[Dataset] = relationship(lazy="joined")


class Extract(Base):
    """The data of one grant, pinned. `name` is random: nothing that others may see says which project or dataset.

    `attempt` and `lease_until` belong to the worker that builds; `manifest` is what it wrote, `digest` its SHA-256.
    """

    __tablename__ = "extract"
    __table_args__ = (
        Index("uq_extract_live", "grant_id", unique=True, postgresql_where=text("state <> 'removed'")),
        Index("ix_extract_queue", "id", postgresql_where=text("state IN ('queued', 'building')")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("data_grant.id"))
    name: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[str] = mapped_column(Text)
    state_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    manifest: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    digest: Mapped[str | None] = mapped_column(Text)

    grant: Mapped[Grant] = relationship(lazy="joined")


class CarriageState(StrEnum):
    """Where an extract's files are on a cluster."""

    offered = "offered"
    placed = "placed"
    gone = "gone"


class Carriage(Base):
    """An extract's way to its project's volume on a cluster, where our files are not a workspace's: `offered` in the
    project's database, `placed` in the volume, `gone` from it again. `cleared_at` says since when no file of it is in
    the database; `lease_id` is the login of whoever carries it now.
    """

    __tablename__ = "carriage"

    extract_id: Mapped[int] = mapped_column(ForeignKey("extract.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    state_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    lease_id: Mapped[str | None] = mapped_column(Text)
    cleared_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    extract: Mapped[Extract] = relationship(lazy="joined")
