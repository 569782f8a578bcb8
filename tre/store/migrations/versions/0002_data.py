"""Datasets, the controllers' decisions, and extracts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _register()
    _grants()
    _extracts()


def _register() -> None:
    texts = ("title", "description", "legal_basis", "terms", "sensitivity", "source_kind", "registered_by")
    op.create_table(
        "dataset",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        sa.Column("organisation_slug", sa.Text, sa.ForeignKey("organisation.slug"), nullable=False, index=True),
        *[sa.Column(name, sa.Text, nullable=False) for name in texts],
        sa.Column("source", JSONB, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("profiled_at", MOMENT, nullable=False),
        sa.Column("row_count", sa.BigInteger),
        sa.Column("unit_count", sa.BigInteger),
        sa.Column("withdrawn_at", MOMENT),
    )
    op.create_table(
        "variable",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("dataset_id", sa.BigInteger, sa.ForeignKey("dataset.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *[sa.Column(name, sa.Text, nullable=False) for name in ("name", "kind", "description", "scheme", "missing")],
        *[sa.Column(name, sa.Boolean, nullable=False) for name in ("identifier", "unit", "categories_hidden")],
        sa.Column("lowest", sa.Text),
        sa.Column("highest", sa.Text),
        sa.Column("categories", JSONB),
        sa.UniqueConstraint("dataset_id", "name"),
    )


def _grants() -> None:
    texts = ("decision", "code", "reason", "would_change", "decided_by", "end_reason")
    op.create_table(
        "data_grant",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("project.id"), nullable=False),
        sa.Column("dataset_id", sa.BigInteger, sa.ForeignKey("dataset.id"), nullable=False, index=True),
        *[sa.Column(name, sa.Text, nullable=False) for name in texts],
        *[sa.Column(name, JSONB, nullable=False) for name in ("columns", "pseudonymised")],
        sa.Column("rows", JSONB),
        sa.Column("delivery", sa.Text),
        sa.Column("until", sa.Date),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("ended_by", sa.Text),
    )
    op.create_index(
        "uq_data_grant_standing",
        "data_grant",
        ["project_id", "dataset_id"],
        unique=True,
        postgresql_where=sa.text("decision = 'granted' AND ended_at IS NULL"),
    )


def _extracts() -> None:
    op.create_table(
        "extract",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("grant_id", sa.BigInteger, sa.ForeignKey("data_grant.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Text),
        sa.Column("lease_until", MOMENT),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("manifest", JSONB),
        sa.Column("digest", sa.Text),
    )
    live, queue = sa.text("state <> 'removed'"), sa.text("state IN ('queued', 'building')")
    op.create_index("uq_extract_live", "extract", ["grant_id"], unique=True, postgresql_where=live)
    op.create_index("ix_extract_queue", "extract", ["id"], postgresql_where=queue)


def downgrade() -> None:
    for table in ("extract", "data_grant", "variable", "dataset"):
        op.drop_table(table)
