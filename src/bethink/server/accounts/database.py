"""Opens the database of accounts: SQLite in the home, or PostgreSQL by URL; brought to the newest form first.

What always holds: a SQLite file is in WAL mode with `synchronous=FULL` (a commit survives a power cut), foreign keys
are checked, and a transaction that writes takes the write lock when it begins, so that it never fails halfway for a
lock. Two processes may open a new database at the same moment. No error and no log shows a password.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from bethink.errors import AccountsError, DatabaseTooNew, ExtraMissing, UsageError

HEAD = "0004"
"""The newest migration; equal to alembic's own head, by a test."""
VERSION_TABLE = "bt_version"
FILE = "accounts.db"
BUSY_S = 20.0
OLDEST_SQLITE = (3, 35)
"""The first that says which rows an insert left alone."""
_MIGRATION_LOCK = 0x6265_7468_696E_6B  # "bethink"
_READS = "bethink_reads"


def open_database(url: str | None, home: Path) -> Engine:
    """An engine whose database has the newest form. `url` None: `accounts.db` in `home`.

    Raises: UsageError: no URL of a database that bethink knows. ExtraMissing. DatabaseTooNew. AccountsError.
    """
    where = _where(url, home)
    name = where.render_as_string(hide_password=True)
    engine = _sqlite(where) if where.get_backend_name() == "sqlite" else _postgresql(where)
    try:
        with database_errors(f"the database {name} cannot be opened"):
            _bring_up(engine, name)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def database_errors(what: str) -> Generator[None]:
    """The database's own errors as ours, without the statement and its values."""
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        hint = "is it there, is it running, has its disk room, and may this user write to it?"
        raise AccountsError(f"{what}: {reason}", hint) from error


def name_of(engine: Engine) -> str:
    """A name for files that belong to this database."""
    return hashlib.sha256(engine.url.render_as_string(hide_password=True).encode()).hexdigest()[:16]


def reading(engine: Engine) -> Engine:
    """The same database, for transactions that only read: they wait for no lock."""
    return engine.execution_options(**{_READS: True})


def _where(url: str | None, home: Path) -> URL:
    if url is None:
        return URL.create("sqlite", database=str(home / FILE))
    try:
        parsed = make_url(url.strip())
        backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    except (ArgumentError, ValueError):  # its text would show the password
        raise UsageError("that is no URL of a database", _URL_HINT) from None
    match backend:
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return URL.create("sqlite", database=str(Path(parsed.database).expanduser().absolute()))
        case "sqlite":
            raise UsageError("a database in memory forgets every key when the program ends", _URL_HINT)
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise UsageError(f"bethink keeps accounts in SQLite or PostgreSQL, not in {backend}", _URL_HINT)


_URL_HINT = "write sqlite:///path/to/accounts.db or postgresql://user:password@host/database"


def _sqlite(where: URL) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise AccountsError(
            f"this Python has SQLite {sqlite3.sqlite_version}; accounts need 3.35 or newer",
            "use a newer Python, or name a PostgreSQL with BETHINK_DATABASE",
        )
    path = Path(where.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise AccountsError(f"{path} cannot be opened: {error.strerror}", "BETHINK_DATABASE names another") from error
    engine = create_engine(where, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        _to_wal(connection)
        for setting in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_reading = connection.get_execution_options().get(_READS, False)
        connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")

    return engine


def _to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for a lock here, so we do: another process may be doing the same."""
    patience_s = BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if patience_s <= 0 or "locked" not in str(error):
                raise
            time.sleep(0.02)
            patience_s -= 0.02


def _postgresql(where: URL) -> Engine:
    try:
        engine = create_engine(where, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "PostgreSQL needs psycopg, which is not installed", "pip install 'bethink[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        """A server may be set to confirm commits that it has not written: not for a ledger."""
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            if cursor.fetchone()[0] == "off":
                cursor.execute("SET synchronous_commit TO on")
        connection.commit()

    return engine


def _bring_up(engine: Engine, name: str) -> None:
    with reading(engine).begin() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        revision = _revision(connection)
        if revision == HEAD:  # another process was faster
            return
        from bethink.server.accounts.migrating import is_known, upgrade

        if revision is not None and not is_known(revision):
            raise DatabaseTooNew(
                f"the database {name} was written by a newer bethink (its form is {revision}, this one knows {HEAD})",
                "upgrade bethink, or name another database with BETHINK_DATABASE",
            )
        upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: object = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)
