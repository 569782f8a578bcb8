"""Audit record, people and projects."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)

# The application's login may do everything to rows but alter what the audit record says; the triggers hold even for
# the owner.
GRANTS = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tre_app') THEN
    GRANT USAGE ON SCHEMA public TO tre_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tre_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO tre_app;
  END IF;
END $$
"""
AUDIT_ONLY_GROWS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit record only grows' USING ERRCODE = 'insufficient_privilege';
END $$
"""
REVOKE = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tre_app') THEN
    REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM tre_app;
  END IF;
END $$
"""


def upgrade() -> None:
    op.execute(GRANTS)
    _audit()
    _people()
    _projects()


def _audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
    )
    op.create_index("ix_audit_event_subject_seq", "audit_event", ["subject", "seq"])
    op.create_index("ix_audit_event_actor_seq", "audit_event", ["actor", "seq"])
    op.create_table(
        "audit_head",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
    op.execute(AUDIT_ONLY_GROWS)
    for table in ("audit_event", "audit_head"):
        op.execute(REVOKE.format(table=table))
        op.execute(
            f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _people() -> None:
    op.create_table(
        "organisation",
        sa.Column("slug", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("username", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("organisation_slug", sa.Text, sa.ForeignKey("organisation.slug"), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("sealed_totp", sa.Text, nullable=False),
        sa.Column("totp_counter", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "role_held",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("person_id", sa.BigInteger, sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("organisation_slug", sa.Text, sa.ForeignKey("organisation.slug")),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("granted_at", MOMENT, nullable=False),
        sa.UniqueConstraint("person_id", "role", "organisation_slug", postgresql_nulls_not_distinct=True),
    )
    op.create_table(
        "standing_held",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("person_id", sa.BigInteger, sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("awarded_on", sa.Date, nullable=False),
        sa.Column("expires_on", sa.Date, nullable=False),
        sa.Column("recorded_by", sa.Text, nullable=False),
    )
    op.create_table(
        "conflict_of_interest",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("person_id", sa.BigInteger, sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("declared_at", MOMENT, nullable=False),
        sa.UniqueConstraint("person_id", "object"),
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_sign_in_failure_username_at", "sign_in_failure", ["username", "at"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("person_id", sa.BigInteger, sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
    )


def _projects() -> None:
    texts = ("title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        *[sa.Column(name, sa.Text, nullable=False) for name in texts],
        sa.Column("end_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("state_reason", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("project.id"), nullable=False),
        sa.Column("person_id", sa.BigInteger, sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.Column("agreement", sa.Text),
        sa.Column("agreed_at", MOMENT),
        sa.UniqueConstraint("project_id", "person_id"),
    )
    op.create_table(
        "dataset_ask",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("project.id"), nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("rows", JSONB),
        sa.UniqueConstraint("project_id", "dataset"),
    )
    op.create_table(
        "project_decision",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("project_id", sa.BigInteger, sa.ForeignKey("project.id"), nullable=False, index=True),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("would_change", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    projects = ("project_decision", "dataset_ask", "member", "project")
    people = (
        "api_token",
        "sign_in_failure",
        "conflict_of_interest",
        "standing_held",
        "role_held",
        "person",
        "organisation",
    )
    for table in (*projects, *people, "audit_head", "audit_event"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change()")
