"""People who sign in through an identity provider: who they are there, invitations, and until when its word holds. An
account may be without a password. And terminals that wait for their owner to say yes in a browser.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("person", "password_hash", nullable=True)
    op.alter_column("person", "sealed_totp", nullable=True)
    op.add_column("person", sa.Column("confirmed_until", sa.DateTime(timezone=True)))
    op.add_column("person", sa.Column("confirmation_note", sa.Text, nullable=False, server_default=""))
    op.add_column("person", sa.Column("sign_in_lost", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "person_identity",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("person_id", sa.BigInteger, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("linked_by", sa.Text, nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person_identity"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_person_identity_person_id_person"),
        sa.UniqueConstraint("issuer", "subject", name="uq_person_identity_issuer_subject"),
    )
    op.create_index("ix_person_identity_person_id", "person_identity", ["person_id"])
    op.create_table(
        "identity_invitation",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("person_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_identity_invitation"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_identity_invitation_person_id_person"),
        sa.UniqueConstraint("digest", name="uq_identity_invitation_digest"),
    )
    op.create_index("ix_identity_invitation_person_id", "identity_invitation", ["person_id"])
    op.create_table(
        "terminal_sign_in",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_terminal_sign_in"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_terminal_sign_in_person_id_person"),
        sa.UniqueConstraint("digest", name="uq_terminal_sign_in_digest"),
        sa.UniqueConstraint("code", name="uq_terminal_sign_in_code"),
    )


def downgrade() -> None:
    """Only while every account has a password: an account without one has nowhere to go."""
    op.drop_table("terminal_sign_in")
    op.drop_table("identity_invitation")
    op.drop_table("person_identity")
    op.drop_column("person", "sign_in_lost")
    op.drop_column("person", "confirmation_note")
    op.drop_column("person", "confirmed_until")
    op.alter_column("person", "sealed_totp", nullable=False)
    op.alter_column("person", "password_hash", nullable=False)
