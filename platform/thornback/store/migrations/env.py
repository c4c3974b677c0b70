"""Run by Alembic. The connection and its transaction belong to `store.migrate`."""

from alembic import context

from thornback.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes most things only by making the table anew
    compare_type=True,
    transactional_ddl=True,  # SQLite's too, since our transactions begin before the first statement
)
with context.begin_transaction():
    context.run_migrations()
