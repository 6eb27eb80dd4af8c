"""The schema's history ends in the tables that the code uses."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dure.hub.store.database import open_store
from dure.hub.store.migrations import upgrade
from dure.hub.store.tables import metadata


def test_the_history_ends_in_the_tables_and_may_be_applied_again(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    upgrade(store.engine)
    upgrade(store.engine)
    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    store.close()
    assert differences == []
