"""What alembic runs: the migrations, on the connection that the store already holds."""

from __future__ import annotations

from alembic import context

from groundspeed.deploy.store import schema

# The store opened the transaction and commits it: a migration happens whole, or not at all.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
