"""The guard's numbers beside the others, exceptions for projects, the intake token's end, a project's erasure."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NUMBERS = {
    "open_files": (sa.Integer, 4096),
    "idle_seconds": (sa.Integer, 4 * 3600),
    "busy_seconds": (sa.Integer, 16 * 3600),
    "unreported_bytes": (sa.BigInteger, 8 << 20),
    "grace_seconds": (sa.Integer, 60),
    "request_bytes": (sa.BigInteger, 64 << 20),
    "response_bytes": (sa.BigInteger, 128 << 20),
    "message_in_bytes": (sa.BigInteger, 16 << 20),
    "message_out_bytes": (sa.BigInteger, 64 << 20),
}


def upgrade() -> None:
    for name, (kind, first) in NUMBERS.items():
        op.add_column("workspace_policy", sa.Column(name, kind, nullable=False, server_default=str(first)))
        op.alter_column("workspace_policy", name, server_default=None)
    op.execute("UPDATE workspace_policy SET max_age_seconds = 86400 WHERE max_age_seconds = 43200")
    op.create_table(
        "workspace_policy_exception",
        sa.Column("project_slug", sa.Text, sa.ForeignKey("project.slug"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.add_column("workspace", sa.Column("token_expires_at", MOMENT))
    op.add_column("project", sa.Column("erased_at", MOMENT))


def downgrade() -> None:
    op.drop_column("project", "erased_at")
    op.drop_column("workspace", "token_expires_at")
    op.drop_table("workspace_policy_exception")
    op.execute("UPDATE workspace_policy SET max_age_seconds = 43200 WHERE max_age_seconds = 86400")
    for name in NUMBERS:
        op.drop_column("workspace_policy", name)
