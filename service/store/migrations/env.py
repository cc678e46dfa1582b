"""Alembic's entry: runs on the connection that `service.store.migrate` hands over, never on one of its own."""

from alembic import context
from sqlmodel import SQLModel

import service.store.tables  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
