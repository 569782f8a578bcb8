"""Workspaces and the bytes that pass their guard."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "workspace",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_slug", sa.Text, sa.ForeignKey("project.slug"), nullable=False),
        sa.Column("username", sa.Text, sa.ForeignKey("person.username"), nullable=False, index=True),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("lease_id", sa.Text),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("lease_revoked_at", MOMENT),
    )
    op.create_index("ix_workspace_project_username", "workspace", ["project_slug", "username"])
    op.create_index(
        "uq_workspace_live",
        "workspace",
        ["project_slug", "username"],
        unique=True,
        postgresql_where=sa.text("state IN ('requested', 'starting', 'running', 'stopping')"),
    )
    op.create_table(
        "traffic",
        sa.Column("project_slug", sa.Text, sa.ForeignKey("project.slug"), primary_key=True),
        sa.Column("username", sa.Text, sa.ForeignKey("person.username"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("out_bytes", sa.BigInteger, nullable=False),
        sa.Column("in_bytes", sa.BigInteger, nullable=False),
        sa.Column("alarmed", sa.Boolean, nullable=False),
        sa.Column("suspended_until", MOMENT),
    )
    _policy()


def _policy() -> None:
    big, small = sa.BigInteger, sa.Integer
    columns = {
        "memory_bytes": big,
        "processes": small,
        "cpus": sa.Float,
        "file_bytes": big,
        "home_bytes": big,
        "max_age_seconds": small,
        "alarm_bytes_per_day": big,
        "suspend_bytes_per_day": big,
        "suspend_seconds": small,
    }
    table = op.create_table(
        "workspace_policy",
        sa.Column("id", small, primary_key=True, autoincrement=False),
        *[sa.Column(name, kind, nullable=False) for name, kind in columns.items()],
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    first = {
        "id": 1,
        "memory_bytes": 4 << 30,
        "processes": 512,
        "cpus": 2.0,
        "file_bytes": 4 << 30,
        "home_bytes": 20 << 30,
        "max_age_seconds": 12 * 3600,
        "alarm_bytes_per_day": 200 << 20,
        "suspend_bytes_per_day": 1 << 30,
        "suspend_seconds": 600,
    }
    op.bulk_insert(table, [first])


def downgrade() -> None:
    op.drop_table("workspace_policy")
    op.drop_table("traffic")
    op.drop_table("workspace")
