"""Extracts on their way to the projects' volumes of a cluster, and away from them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "carriage",
        sa.Column("extract_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_id", sa.Text, nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("extract_id", name="pk_carriage"),
        sa.ForeignKeyConstraint(["extract_id"], ["extract.id"], name="fk_carriage_extract_id_extract"),
    )


def downgrade() -> None:
    op.drop_table("carriage")
