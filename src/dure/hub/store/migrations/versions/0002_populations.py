"""Populations that totals were given of, by the name under which hospitals know them. Frozen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table; a hub that ran before has none to name, and hospitals refuse small differences with what they gave then."""
    op.create_table(
        "populations",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_populations"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_populations_run"),
        sa.UniqueConstraint("ref", name="uq_populations_ref"),
    )
    op.create_index("ix_populations_run", "populations", ["run"])
