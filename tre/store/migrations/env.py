"""Alembic's entry: runs the migrations on the connection that `tre.store.migrate` hands over."""

from alembic import context

from tre.store.database import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
