"""Requests that the walls of a workspace's project be tried on a cluster, and what came of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "verification",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("probe", sa.Text, nullable=False),
        sa.Column("pod_uid", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("report", JSONB, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_verification"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_verification_workspace_id_workspace"),
    )
    op.create_index("ix_verification_state", "verification", ["state"])
    op.create_index(
        "uq_verification_live",
        "verification",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('requested', 'running')"),
    )


def downgrade() -> None:
    op.drop_table("verification")
