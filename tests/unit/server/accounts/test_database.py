"""Databases are made, brought up, brought back and refused as they should be, by several processes at once."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Table, inspect, text

from bethink.errors import AccountsError, DatabaseTooNew, UsageError
from bethink.server.accounts import Accounts
from bethink.server.accounts.database import HEAD, VERSION_TABLE, open_database, reading
from bethink.server.accounts.migrating import downgrade, newest, upgrade
from bethink.server.accounts.tables import metadata
from bethink.server.conversations.tables import runs
from tests.unit.server.accounts import opening_process


def test_the_newest_migration_is_the_one_that_opening_looks_for() -> None:
    assert newest() == HEAD


def test_migrations_make_the_tables_that_the_program_uses(url: str, tmp_path: Path) -> None:
    engine = open_database(url, tmp_path)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert runs.metadata is metadata
        differences = [one for one in compare_metadata(context, metadata) if not _is_of_search(one)]
        assert differences == []
    engine.dispose()


def _is_of_search(difference: object) -> bool:
    """SQLite's index of words is made of tables of its own."""
    match difference:
        case ("remove_table", Table(name=name)):
            return name.startswith("bt_search")
        case _:
            return False


def test_down_and_up_again_leaves_nothing_and_then_everything(url: str, tmp_path: Path) -> None:
    engine = open_database(url, tmp_path)
    with engine.begin() as connection:
        downgrade(connection)
        assert [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE] == []
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with Accounts.open(url, tmp_path) as accounts:
        assert [workspace.name for workspace in accounts.directory.workspaces()] == ["default", "local"]


def test_several_processes_may_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    start = tmp_path / "start"
    command = [sys.executable, opening_process.__file__, url, str(tmp_path), str(start)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start.touch()
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "open\n"), err
    with Accounts.open(url, tmp_path) as accounts:
        assert len(accounts.directory.workspaces()) == 2 + 4


def test_a_database_of_a_newer_bethink_is_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    engine = open_database(url, tmp_path)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match=r"newer bethink \(its form is 9999"):
        Accounts.open(url, tmp_path)
    with engine.begin() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "9999"
    engine.dispose()


def test_without_a_url_it_is_a_file_in_the_home_that_others_cannot_read(tmp_path: Path) -> None:
    Accounts.open(None, tmp_path / "new" / "home").close()
    file = tmp_path / "new" / "home" / "accounts.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_sqlite_writes_ahead_and_to_the_disk_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    with reading(engine).begin() as connection:
        said = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}
        assert said == {"journal_mode": "wal", "synchronous": 2}
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_who_reads_does_not_wait_for_who_writes(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    with engine.begin() as writing, reading(engine).begin() as other:
        writing.execute(text("UPDATE bt_state SET value = 77"))
        assert other.execute(text("SELECT value FROM bt_state")).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("mysql://me:hunter2@host/db", "not in mysql"),
        ("no url at all: hunter2", "no URL of a database"),
        ("sqlite://", "in memory forgets"),
        ("sqlite:///:memory:", "in memory forgets"),
        ("postgresql://me:hunter2@host:port/db", "no URL of a database"),
    ],
)
def test_what_is_no_database_of_ours_is_refused_without_its_password(wrong: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        Accounts.open(wrong, tmp_path)
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"
    assert refused.value.hint


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(AccountsError, match="cannot be opened") as refused:
        Accounts.open(f"postgres://me:hunter2@/db?host={tmp_path}", tmp_path)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "accounts.db").write_bytes(b"this is no database, but a letter to the editor" * 100)
    with pytest.raises(AccountsError, match="cannot be opened: file is not a database"):
        Accounts.open(None, tmp_path)


def test_a_home_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(AccountsError, match=r"cannot be opened: (Not a directory|File exists)"):
        Accounts.open(None, tmp_path / "home")
