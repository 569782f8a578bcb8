"""Release requests: versions, files, findings, reviews, votes, comments, releases, release memory."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
TABLES = (
    "released_table",
    "release",
    "comment",
    "vote",
    "review",
    "file_finding",
    "request_file",
    "request_version",
    "release_request",
    "output_settings",
)
# A crate that is out stays on record for ever; only its recall may be added.
RELEASE_STAYS = """
CREATE FUNCTION refuse_unrelease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE'
     AND (NEW.request_id, NEW.version, NEW.crate, NEW.digest, NEW.size, NEW.signature, NEW.released_by, NEW.released_at)
         IS NOT DISTINCT FROM
         (OLD.request_id, OLD.version, OLD.crate, OLD.digest, OLD.size, OLD.signature, OLD.released_by, OLD.released_at)
     AND OLD.recalled_at IS NULL
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a release is recalled, never changed or forgotten' USING ERRCODE = 'insufficient_privilege';
END $$
"""


def _identity() -> sa.Column:
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def _texts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _of_version() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["request_id", "version"],
        ["request_version.request_id", "request_version.number"],
    )


def upgrade() -> None:
    _settings()
    _requests()
    _files()
    _review()
    _release()


def _settings() -> None:
    op.create_table(
        "output_settings",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reviewers_required", sa.Integer, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("review_hours", sa.Integer, nullable=False),
        sa.Column("max_files", sa.Integer, nullable=False),
        sa.Column("max_file_bytes", sa.BigInteger, nullable=False),
        sa.Column("max_request_bytes", sa.BigInteger, nullable=False),
        sa.Column("max_rows", sa.Integer, nullable=False),
        sa.Column("max_requests_per_day", sa.Integer, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.CheckConstraint("reviewers_required BETWEEN 2 AND 5", name="reviewers"),
    )
    op.execute(
        "INSERT INTO output_settings VALUES (1, 2, 'sacro', 72, 100, 16777216, 67108864, 5000, 50, 'migration', now())"
    )


def _requests() -> None:
    search = "to_tsvector('simple', title || ' ' || project_slug || ' ' || author)"
    op.create_table(
        "release_request",
        _identity(),
        sa.Column("project_slug", sa.Text, sa.ForeignKey("project.slug"), nullable=False),
        sa.Column("author", sa.Text, sa.ForeignKey("person.username"), nullable=False),
        *_texts("title", "state", "reason", "failed_from"),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease", sa.Text, nullable=False),
        sa.Column("lease_until", MOMENT),
        sa.Column("search", TSVECTOR, sa.Computed(search, persisted=True), nullable=False),
    )
    for columns in (["state", "id"], ["project_slug", "id"], ["project_slug", "state", "id"], ["author", "id"]):
        op.create_index(f"ix_release_request_{'_'.join(columns)}", "release_request", columns)
    op.create_index("ix_release_request_search", "release_request", ["search"], postgresql_using="gin")
    op.create_table(
        "request_version",
        sa.Column("request_id", sa.BigInteger, sa.ForeignKey("release_request.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *_texts("title", "context", "controls", "decided_by", "decision", "released_by"),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT),
        sa.Column("checks", JSONB, nullable=False),
        sa.Column("required", sa.Integer, nullable=False),
        sa.Column("opened_at", MOMENT),
        sa.Column("decided_at", MOMENT),
    )


def _files() -> None:
    op.create_table(
        "request_file",
        _identity(),
        sa.Column("request_id", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *_texts("name", "kind", "title", "context", "controls", "digest"),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("dataset", sa.Text),
        sa.Column("spec", JSONB),
        sa.Column("receipt", JSONB),
        *_texts("media_type", "evidence", "status", "decision"),
        sa.Column("cells", sa.Text),
        sa.Column("preview", sa.Text),
        sa.Column("snapshot", sa.Text),
        _of_version(),
        sa.UniqueConstraint("request_id", "version", "position"),
        sa.UniqueConstraint("request_id", "version", "name"),
    )
    op.create_index("ix_request_file_digest", "request_file", ["digest"])
    op.create_table(
        "file_finding",
        _identity(),
        sa.Column("file_id", sa.BigInteger, sa.ForeignKey("request_file.id"), nullable=False, index=True),
        *_texts("rule", "severity", "why", "remedy"),
        sa.Column("cell", JSONB, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
    )


def _review() -> None:
    op.create_table(
        "review",
        sa.Column("request_id", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("reviewer", sa.Text, sa.ForeignKey("person.username"), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("completed_at", MOMENT),
        _of_version(),
        sa.UniqueConstraint("request_id", "version", "number"),
    )
    op.create_index("ix_review_reviewer_request_id", "review", ["reviewer", "request_id"])
    op.create_table(
        "vote",
        sa.Column("file_id", sa.BigInteger, sa.ForeignKey("request_file.id"), primary_key=True),
        sa.Column("reviewer", sa.Text, sa.ForeignKey("person.username"), primary_key=True),
        *_texts("choice", "comment", "salt"),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_table(
        "comment",
        _identity(),
        sa.Column("request_id", sa.BigInteger, sa.ForeignKey("release_request.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("file_id", sa.BigInteger, sa.ForeignKey("request_file.id")),
        sa.Column("author", sa.Text, sa.ForeignKey("person.username"), nullable=False),
        sa.Column("by_checker", sa.Boolean, nullable=False),
        *_texts("audience", "text"),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_comment_request_id_id", "comment", ["request_id", "id"])


def _release() -> None:
    op.create_table(
        "release",
        sa.Column("request_id", sa.BigInteger, sa.ForeignKey("release_request.id"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("crate", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        *_texts("signature", "released_by", "recalled_by", "recall_reason"),
        sa.Column("released_at", MOMENT, nullable=False),
        sa.Column("recalled_at", MOMENT),
    )
    op.execute(RELEASE_STAYS)
    op.execute(
        "CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON release FOR EACH ROW EXECUTE FUNCTION refuse_unrelease()"
    )
    op.create_table(
        "released_table",
        _identity(),
        sa.Column("file_id", sa.BigInteger, sa.ForeignKey("request_file.id"), nullable=False, unique=True),
        sa.Column("request_id", sa.BigInteger, sa.ForeignKey("release_request.id"), nullable=False, index=True),
        *_texts("project_slug", "dataset", "snapshot"),
        sa.Column("spec", JSONB, nullable=False),
        sa.Column("cells", JSONB, nullable=False),
        sa.Column("released_at", MOMENT, nullable=False),
    )
    op.create_index("ix_released_table_dataset_id", "released_table", ["dataset", "id"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_unrelease()")
