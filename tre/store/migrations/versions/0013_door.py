"""What was found through the guard of a cluster, until it is part of a verification's report."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verification", sa.Column("door", JSONB, nullable=True))


def downgrade() -> None:
    op.drop_column("verification", "door")
