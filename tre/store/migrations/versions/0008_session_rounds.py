"""How often everything that was signed in as a person was ended."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("session_round", sa.BigInteger, nullable=False, server_default="0"))
    op.alter_column("person", "session_round", server_default=None)


def downgrade() -> None:
    op.drop_column("person", "session_round")
