"""Run by alembic, for `bethink.server.accounts.migrating` only: it hands over a connection inside a transaction."""

from __future__ import annotations

from alembic import context

from bethink.server.accounts.database import VERSION_TABLE
from bethink.server.accounts.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # true of SQLite, too, where the transaction is begun by us
)
context.run_migrations()
