"""The hub's tables. Not responsible for: how they came about (`migrations`), what is written when (`dure.hub.actions`).

A table marked EPHEMERAL holds nothing that matters after some minutes; a write to any other takes an audit entry.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

EPHEMERAL = {"ephemeral": True}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time as microseconds since 1970 (UTC): the same on every database, ordered, no time zone to lose."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


entries = Table(
    "entries",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
)
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)
organisations = Table(
    "organisations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", Moment, nullable=False),
)
users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("organisation", Text, ForeignKey("organisations.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created", Moment, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("revoked", Moment),
)
attempts = Table(
    "attempts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    info=EPHEMERAL,
)
nonces = Table(
    "nonces",
    metadata,
    Column("hospital", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("sent", Moment, nullable=False, index=True),
    info=EPHEMERAL,
)
presence = Table(
    "presence",
    metadata,
    Column("hospital", Text, primary_key=True),
    Column("seen", Moment, nullable=False),
    Column("dataset_version", Text, nullable=False),
    info=EPHEMERAL,
)
directories = Table(
    "directories",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("accepted", Moment, nullable=False),
)
codes = Table(
    "codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("hospital", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("used_by", Text),
)
enrolments = Table(
    "enrolments",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("hospital", Text, nullable=False),
    Column("board_key", Text, nullable=False),
    Column("node_key", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("received", Moment, nullable=False),
)
declarations = Table(
    "declarations",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("hospital", Text, nullable=False, index=True),
    Column("board_key", Text, nullable=False),
    Column("declared", Moment, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("received", Moment, nullable=False),
)
studies = Table(
    "studies",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("asker", Text, nullable=False, index=True),
    Column("submitted_by", Integer, ForeignKey("users.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("closes", Moment, nullable=False),
    Column("ended", Moment),
    Index("ix_studies_state_closes", "state", "closes"),
)
parts = Table(
    "parts",
    metadata,
    Column("study", Text, ForeignKey("studies.digest"), primary_key=True),
    Column("hospital", Text, primary_key=True, index=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision", Text),
    Column("envelope", LargeBinary),
    Column("at", Moment, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("study", Text, ForeignKey("studies.digest"), nullable=False, unique=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("started", Moment, nullable=False),
    Index("ix_runs_active_deadline", "active", "deadline"),
)
populations = Table(
    "populations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Text, ForeignKey("runs.id"), nullable=False, index=True),
    Column("ref", Text, nullable=False, unique=True),
)
progress = Table(
    "progress",
    metadata,
    Column("study", Text, ForeignKey("studies.digest"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
reports = Table(
    "reports",
    metadata,
    Column("study", Text, ForeignKey("studies.digest"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("finished", Moment, nullable=False),
)
deliveries = Table(
    "deliveries",
    metadata,
    Column("study", Text, ForeignKey("studies.digest"), primary_key=True),
    Column("hospital", Text, primary_key=True),
    Column("numbers", Integer, nullable=False),
    Column("delivered", Moment, nullable=False),
)
