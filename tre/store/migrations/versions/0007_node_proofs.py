"""Nodes of a cluster that were shown to enforce the walls of workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node_proof",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_node_proof"),
    )


def downgrade() -> None:
    op.drop_table("node_proof")
