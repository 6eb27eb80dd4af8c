"""The schema's history: one file a step under `versions`, applied in order. Steps only add until all hubs are new."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, func, select

LOCK = 4_739_112
"""Of all hub processes that start at once on one PostgreSQL, one migrates and the others wait."""


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest schema; nothing happens if it is there already."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
