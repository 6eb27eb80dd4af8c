"""The first schema. Frozen: what comes later is a step of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def text(name: str, **options: object) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, **options)  # type: ignore[arg-type]


def moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def data(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def number(name: str, kind: type = sa.Integer) -> sa.Column[int]:
    return sa.Column(name, kind(), autoincrement=False, nullable=False)


def key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}")


def upgrade() -> None:
    """Lay all tables and the row of the empty log."""
    op.create_table(
        "entries", number("number", sa.BigInteger), data("body"), data("leaf"), key("entries", "number")
    )
    head = op.create_table(
        "head", number("id"), number("size", sa.BigInteger), data("peaks"), key("head", "id")
    )
    op.create_table("organisations", text("id"), text("name"), moment("created"), key("organisations", "id"))
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        text("email"),
        text("organisation"),
        text("role"),
        text("password"),
        sa.Column("active", sa.Boolean(), nullable=False),
        moment("created"),
        key("users", "id"),
        refers("users", "organisation", "organisations.id"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "tokens",
        text("hash"),
        number("user"),
        moment("created"),
        moment("expires"),
        moment("revoked", nullable=True),
        key("tokens", "hash"),
        refers("tokens", "user", "users.id"),
    )
    op.create_index("ix_tokens_user", "tokens", ["user"])
    op.create_table("attempts", text("key"), number("failures"), moment("since"), key("attempts", "key"))
    op.create_table(
        "nonces", text("hospital"), text("nonce"), moment("sent"), key("nonces", "hospital", "nonce")
    )
    op.create_index("ix_nonces_sent", "nonces", ["sent"])
    op.create_table(
        "presence", text("hospital"), moment("seen"), text("dataset_version"), key("presence", "hospital")
    )
    op.create_table(
        "directories",
        number("version", sa.BigInteger),
        data("envelope"),
        moment("accepted"),
        key("directories", "version"),
    )
    op.create_table(
        "codes",
        text("hash"),
        text("hospital"),
        moment("created"),
        moment("expires"),
        sa.Column("used_by", sa.Text(), nullable=True),
        key("codes", "hash"),
    )
    op.create_table(
        "enrolments",
        text("digest"),
        text("hospital"),
        text("board_key"),
        text("node_key"),
        data("envelope"),
        moment("received"),
        key("enrolments", "digest"),
    )
    op.create_table(
        "declarations",
        text("digest"),
        text("hospital"),
        text("board_key"),
        moment("declared"),
        data("envelope"),
        moment("received"),
        key("declarations", "digest"),
    )
    op.create_index("ix_declarations_hospital", "declarations", ["hospital"])
    op.create_table(
        "studies",
        text("digest"),
        data("envelope"),
        text("asker"),
        number("submitted_by"),
        text("state"),
        text("reason"),
        moment("created"),
        moment("closes"),
        moment("ended", nullable=True),
        key("studies", "digest"),
        refers("studies", "submitted_by", "users.id"),
    )
    op.create_index("ix_studies_asker", "studies", ["asker"])
    op.create_index("ix_studies_state_closes", "studies", ["state", "closes"])
    op.create_table(
        "parts",
        text("study"),
        text("hospital"),
        text("state"),
        text("reason"),
        sa.Column("decision", sa.Text(), nullable=True),
        data("envelope", nullable=True),
        moment("at"),
        key("parts", "study", "hospital"),
        refers("parts", "study", "studies.digest"),
    )
    op.create_index("ix_parts_hospital", "parts", ["hospital"])
    op.create_table(
        "runs",
        text("id"),
        text("study"),
        data("manifest"),
        data("state"),
        sa.Column("active", sa.Boolean(), nullable=False),
        moment("deadline"),
        moment("started"),
        key("runs", "id"),
        refers("runs", "study", "studies.digest"),
        sa.UniqueConstraint("study", name="uq_runs_study"),
    )
    op.create_index("ix_runs_active_deadline", "runs", ["active", "deadline"])
    op.create_table(
        "progress",
        text("study"),
        number("number"),
        data("body"),
        key("progress", "study", "number"),
        refers("progress", "study", "studies.digest"),
    )
    op.create_table(
        "reports",
        text("study"),
        data("body"),
        data("salt"),
        moment("finished"),
        key("reports", "study"),
        refers("reports", "study", "studies.digest"),
    )
    op.create_table(
        "deliveries",
        text("study"),
        text("hospital"),
        number("numbers"),
        moment("delivered"),
        key("deliveries", "study", "hospital"),
        refers("deliveries", "study", "studies.digest"),
    )
    op.bulk_insert(head, [{"id": 1, "size": 0, "peaks": b""}])
