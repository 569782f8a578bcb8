"""The route of a live workspace, sealed by a guard, for the guards that begin after all others are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workspace", sa.Column("route", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("workspace", "route")
