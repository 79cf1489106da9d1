"""Brings a database to the newest form, or back. Imported only when that is needed: alembic takes its time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, to: str = "head") -> None:
    """Within the transaction of `connection`."""
    command.upgrade(_config(connection), to)


def downgrade(connection: Connection, to: str = "base") -> None:
    """Within the transaction of `connection`; what the newer form alone can hold is lost."""
    command.downgrade(_config(connection), to)


def is_known(revision: str) -> bool:
    """Whether this bethink has the migration that left a database in that form."""
    try:
        return bool(ScriptDirectory(str(MIGRATIONS)).get_revision(revision))
    except CommandError:
        return False


def newest() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
