"""What Alembic runs: the connection that `upgrade` hands over, inside its transaction."""

from alembic import context

from dure.hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
