"""Release requests: records of output_checks carried as text, reviews due by working days and holidays."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FILE, SETTINGS = "request_file", "output_settings"


def upgrade() -> None:
    op.drop_column(FILE, "receipt")
    op.add_column(FILE, sa.Column("record", sa.Text, nullable=False, server_default=""))
    op.add_column(FILE, sa.Column("attested", JSONB))
    op.alter_column(FILE, "record", server_default=None)
    op.add_column(SETTINGS, sa.Column("review_days", sa.Integer, nullable=False, server_default="3"))
    op.add_column(SETTINGS, sa.Column("holidays", JSONB, nullable=False, server_default="[]"))
    op.execute("UPDATE output_settings SET review_days = greatest(1, (review_hours + 12) / 24)")
    op.drop_column(SETTINGS, "review_hours")
    for name in ("review_days", "holidays"):
        op.alter_column(SETTINGS, name, server_default=None)


def downgrade() -> None:
    op.add_column(SETTINGS, sa.Column("review_hours", sa.Integer, nullable=False, server_default="72"))
    op.execute("UPDATE output_settings SET review_hours = review_days * 24")
    op.alter_column(SETTINGS, "review_hours", server_default=None)
    op.drop_column(SETTINGS, "holidays")
    op.drop_column(SETTINGS, "review_days")
    op.drop_column(FILE, "attested")
    op.drop_column(FILE, "record")
    op.add_column(FILE, sa.Column("receipt", JSONB))
