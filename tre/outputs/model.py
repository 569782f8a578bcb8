"""Tables of the outputs' room.

A request has versions, a version has files, a file has findings and votes. What belongs to an earlier version stays as
it was: evidence is never overwritten.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tre.store import Base

MOMENT = DateTime(timezone=True)


class Kind(StrEnum):
    """What the author says a file is; what its bytes are is found by inspection."""

    table = "table"
    figure = "figure"
    model = "model"
    text = "text"


class Evidence(StrEnum):
    """How much stands behind a file: recomputed by the platform, made by output_checks, or only said."""

    verified = "verified"
    attested = "attested"
    claimed = "claimed"


class Choice(StrEnum):
    approve = "approve"
    request_changes = "request_changes"
    reject = "reject"


class FileDecision(StrEnum):
    """All required votes of a file taken together; disagreement is visible and never releases."""

    approved = "approved"
    changes_requested = "changes_requested"
    rejected = "rejected"
    conflicted = "conflicted"


class Audience(StrEnum):
    """For whom a comment is: everybody concerned, or output checkers among themselves."""

    everybody = "everybody"
    checkers = "checkers"


class OutputSettings(Base):
    """The house's own numbers: one row, changed by administrators only. Sizes in bytes."""

    __tablename__ = "output_settings"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("reviewers_required BETWEEN 2 AND 5", name="reviewers"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, default=1)
    reviewers_required: Mapped[int] = mapped_column(Integer)
    profile: Mapped[str] = mapped_column(Text)
    review_days: Mapped[int] = mapped_column(Integer)
    holidays: Mapped[list[str]] = mapped_column(JSONB)
    max_files: Mapped[int] = mapped_column(Integer)
    max_file_bytes: Mapped[int] = mapped_column(BigInteger)
    max_request_bytes: Mapped[int] = mapped_column(BigInteger)
    max_rows: Mapped[int] = mapped_column(Integer)
    max_requests_per_day: Mapped[int] = mapped_column(Integer)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(MOMENT)


class ReleaseRequest(Base):
    """`version` is the newest. `lease_*` and `attempts` belong to the system's steps, `failed_from` to the retry,
    `due_at` to the reviewers.
    """

    __tablename__ = "release_request"
    __table_args__ = (
        Index("ix_release_request_state_id", "state", "id"),
        Index("ix_release_request_project_slug_id", "project_slug", "id"),
        Index("ix_release_request_project_slug_state_id", "project_slug", "state", "id"),
        Index("ix_release_request_author_id", "author", "id"),
        Index("ix_release_request_search", "search", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    project_slug: Mapped[str] = mapped_column(ForeignKey("project.slug"))
    author: Mapped[str] = mapped_column(ForeignKey("person.username"))
    title: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    state_since: Mapped[datetime] = mapped_column(MOMENT)
    reason: Mapped[str] = mapped_column(Text, default="")
    failed_from: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    due_at: Mapped[datetime | None] = mapped_column(MOMENT)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lease: Mapped[str] = mapped_column(Text, default="")
    lease_until: Mapped[datetime | None] = mapped_column(MOMENT)
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', title || ' ' || project_slug || ' ' || author)", persisted=True)
    )


class RequestVersion(Base):
    """One submission. `required` is how many reviewers it needs, pinned from the settings when review begins;
    `opened_at` when all required votes were in, `decided_at` when it was decided or taken back.
    """

    __tablename__ = "request_version"

    request_id: Mapped[int] = mapped_column(ForeignKey("release_request.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text)
    controls: Mapped[str] = mapped_column(Text)
    submitted_at: Mapped[datetime] = mapped_column(MOMENT)
    checked_at: Mapped[datetime | None] = mapped_column(MOMENT)
    checks: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    required: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime | None] = mapped_column(MOMENT)
    decided_at: Mapped[datetime | None] = mapped_column(MOMENT)
    decided_by: Mapped[str] = mapped_column(Text, default="")
    decision: Mapped[str] = mapped_column(Text, default="")
    released_by: Mapped[str] = mapped_column(Text, default="")

    files: Mapped[list[RequestFile]] = relationship(lazy="selectin", order_by="RequestFile.position")


class RequestFile(Base):
    """`digest` is the author's bytes; `cells` and `preview` are digests of what the platform made of them. `record` is
    what output_checks wrote about the file in the workspace, read by nobody but the checking sandbox; `attested` what
    that found in it, if it counts. `status` is the worst finding: pass, review or fail; empty before the checks.
    """

    __tablename__ = "request_file"
    __table_args__ = (
        ForeignKeyConstraint(["request_id", "version"], ["request_version.request_id", "request_version.number"]),
        UniqueConstraint("request_id", "version", "position"),
        UniqueConstraint("request_id", "version", "name"),
        Index("ix_request_file_digest", "digest"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    request_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text)
    controls: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    dataset: Mapped[str | None] = mapped_column(Text)
    spec: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    record: Mapped[str] = mapped_column(Text, default="")
    attested: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    media_type: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[str] = mapped_column(Text, default=Evidence.claimed)
    status: Mapped[str] = mapped_column(Text, default="")
    cells: Mapped[str | None] = mapped_column(Text)
    preview: Mapped[str | None] = mapped_column(Text)
    snapshot: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str] = mapped_column(Text, default="")

    findings: Mapped[list[FileFinding]] = relationship(lazy="selectin", order_by="FileFinding.id")


class FileFinding(Base):
    """What a check has to say about a file, or about one cell of it (`cell`: label per dimension)."""

    __tablename__ = "file_finding"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("request_file.id"), index=True)
    rule: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    remedy: Mapped[str] = mapped_column(Text, default="")
    cell: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


class Review(Base):
    """One checker's work on one version: begun with the first vote, complete when every file has one. `number` is the
    name under which the project and the crate know this checker.
    """

    __tablename__ = "review"
    __table_args__ = (
        ForeignKeyConstraint(["request_id", "version"], ["request_version.request_id", "request_version.number"]),
        UniqueConstraint("request_id", "version", "number"),
        Index("ix_review_reviewer_request_id", "reviewer", "request_id"),
    )

    request_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    reviewer: Mapped[str] = mapped_column(ForeignKey("person.username"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    completed_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Vote(Base):
    """`salt` hides the vote in the audit record until the review is opened (see `review.commitment`)."""

    __tablename__ = "vote"

    file_id: Mapped[int] = mapped_column(ForeignKey("request_file.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(ForeignKey("person.username"), primary_key=True)
    choice: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(MOMENT)
    salt: Mapped[str] = mapped_column(Text)


class Comment(Base):
    """`by_checker` is how the author of the comment stood to the request when they wrote it."""

    __tablename__ = "comment"
    __table_args__ = (Index("ix_comment_request_id_id", "request_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("release_request.id"))
    version: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("request_file.id"))
    author: Mapped[str] = mapped_column(ForeignKey("person.username"))
    by_checker: Mapped[bool] = mapped_column()
    audience: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(MOMENT)


class Release(Base):
    """The crate of a released request. One row per request: the database itself refuses a second release."""

    __tablename__ = "release"

    request_id: Mapped[int] = mapped_column(ForeignKey("release_request.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    crate: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[str] = mapped_column(Text)
    released_by: Mapped[str] = mapped_column(Text)
    released_at: Mapped[datetime] = mapped_column(MOMENT)
    recalled_by: Mapped[str] = mapped_column(Text, default="")
    recalled_at: Mapped[datetime | None] = mapped_column(MOMENT)
    recall_reason: Mapped[str] = mapped_column(Text, default="")


class ReleasedTable(Base):
    """Release memory: what the world knows of a dataset. A recall does not make it forgotten."""

    __tablename__ = "released_table"
    __table_args__ = (Index("ix_released_table_dataset_id", "dataset", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("request_file.id"), unique=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("release_request.id"), index=True)
    project_slug: Mapped[str] = mapped_column(Text)
    dataset: Mapped[str] = mapped_column(Text)
    snapshot: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]] = mapped_column(JSONB)
    cells: Mapped[Any] = mapped_column(JSONB)
    released_at: Mapped[datetime] = mapped_column(MOMENT)
