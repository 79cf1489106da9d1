"""What is settled is there, once, whatever happens; and what is there adds up."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, text

from bethink.errors import AccountsError, QuotaExhausted
from bethink.server.accounts import LOCAL, Accounts, Limits, UsageLine
from bethink.server.accounts.database import name_of, open_database
from bethink.server.accounts.journal import Journal
from bethink.server.accounts.ledger import Entry
from bethink.server.accounts.tables import ledger, months
from tests.unit.server.accounts import settling_process
from tests.unit.server.accounts.conftest import wait_until

Line = Callable[..., UsageLine]
pytestmark = pytest.mark.anyio


def waiting_lines(home: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (home / "ledger").glob("*/*.jsonl"))


async def test_a_line_is_there_when_settle_returns(accounts: Accounts, url: str, tmp_path: Path, line: Line) -> None:
    made = accounts.directory.create_key("ci", user="Ann")
    ticket = await accounts.admit(accounts.identify(made.secret), "m", 500)
    said = replace(line("r"), trace_id="20261125-120000-abcdef", duration_us=1_234_567)
    ticket.settle(said)
    with Accounts.open(url, tmp_path) as other:
        (row,) = other.rows()
    assert (row.request_id, row.workspace, row.key_id, row.key, row.user) == ("r", "default", made.key.id, "ci", "Ann")
    assert (row.input_tokens, row.cached_tokens, row.thinking_tokens, row.answer_tokens) == (100, 20, 40, 10)
    assert (row.trace_id, str(row.seconds), row.cost, row.status) == (said.trace_id, "1.234567", None, "ok")
    assert int(row.finished.timestamp() * 1e6) == said.finished_us


async def test_a_request_is_counted_once_however_often_it_is_settled(accounts: Accounts, line: Line) -> None:
    accounts.directory.change_workspace("local", limits=Limits(tokens_per_month=10_000))
    ticket = await accounts.admit(LOCAL, "m", 500)
    for _ in range(5):
        ticket.settle(line("r"))
    ticket.release()
    again = await accounts.admit(LOCAL, "m", 500)
    again.settle(line("r"))
    both = [await accounts.admit(LOCAL, "m", 500) for _ in range(2)]
    for ticket in both:
        ticket.settle(line("s"))
    (total,) = accounts.usage("workspace")
    assert (total.n_requests, total.total_tokens) == (2, 300)
    with pytest.raises(Exception, match="has used 300 of"):
        await accounts.admit(LOCAL, "m", 10_000)


async def test_what_is_released_or_never_ends_is_not_used(accounts: Accounts) -> None:
    (await accounts.admit(LOCAL, "m", 500)).release()
    await accounts.admit(LOCAL, "m", 500)
    assert accounts.usage("day") == []


async def test_closing_writes_what_waits_and_refuses_the_rest(url: str, tmp_path: Path, line: Line) -> None:
    accounts = Accounts.open(url, tmp_path)
    waiting = [accounts.record(LOCAL, line()) for _ in range(1500)]
    late = await accounts.admit(LOCAL, "m", 1)
    accounts.close()
    accounts.close()
    assert all(future.done() and future.exception() is None for future in waiting)
    with pytest.raises(AccountsError, match="the ledger is closed"):
        late.settle(line())
    with Accounts.open(url, tmp_path) as again:
        assert again.usage("workspace")[0].n_requests == 1500


async def test_a_line_that_the_database_refuses_fails_alone(
    accounts: Accounts, tmp_path: Path, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = replace(LOCAL, workspace_id="nowhere")
    with caplog.at_level(logging.ERROR, "bethink"):
        futures = [accounts.record(stranger if n == 3 else LOCAL, line(f"r{n}")) for n in range(8)]
        results = await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    assert [type(result) for result in results] == [AccountsError if n == 3 else type(None) for n in range(8)]
    assert accounts.usage("workspace")[0].n_requests == 7
    assert "r3" in caplog.text
    assert waiting_lines(tmp_path) == 0


async def test_a_database_that_is_busy_for_a_while_makes_no_request_wait(tmp_path: Path, line: Line) -> None:
    with Accounts.open(None, tmp_path) as accounts:
        with sqlite3.connect(tmp_path / "accounts.db", isolation_level=None) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            (await accounts.admit(LOCAL, "m", 1)).settle(line("r"))
            assert waiting_lines(tmp_path) == 1
            blocker.execute("ROLLBACK")
        blocker.close()
        assert [row.request_id for row in accounts.rows()] == ["r"]
        assert waiting_lines(tmp_path) == 0


async def test_a_journal_that_cannot_be_written_fails_the_request(
    accounts: Accounts, tmp_path: Path, line: Line
) -> None:
    (tmp_path / "ledger").write_text("a file where the folder should be")
    ticket = await accounts.admit(LOCAL, "m", 1)
    with pytest.raises(AccountsError, match=r"^the usage cannot be written down: [^\n]+$"):
        ticket.settle(line("r"))
    (tmp_path / "ledger").unlink()
    ticket.settle(line("r"))
    assert [row.request_id for row in accounts.rows()] == ["r"]


async def test_a_server_that_drops_its_connections_costs_no_line(
    postgresql_url: str, tmp_path: Path, line: Line
) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with Accounts.open(postgresql_url, tmp_path) as accounts:
        engine = open_database(postgresql_url, tmp_path)
        for n in range(10):
            with engine.begin() as connection:
                connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
            (await accounts.admit(LOCAL, "m", 1)).settle(line(f"r{n}"))
        engine.dispose()
        assert accounts.usage("workspace")[0].n_requests == 10


async def test_what_a_database_that_stays_away_has_not_heard_is_taken_up_later(
    cluster: Path, postgresql_url: str, tmp_path: Path, line: Line
) -> None:
    with psycopg.connect(host=str(cluster), user="bethink", dbname="template1", autocommit=True) as admin:
        with Accounts.open(postgresql_url, tmp_path, refresh_s=0.05, patience_s=0.3) as accounts:
            made = accounts.directory.create_key("ci", limits=Limits(tokens_per_month=1000))
            admin.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
            try:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")
                (await accounts.admit(accounts.identify(made.secret), "m", 900)).settle(line("away", input_tokens=900))
                with pytest.raises(QuotaExhausted):  # it counts, although the database does not know
                    await accounts.admit(accounts.identify(made.secret), "m", 900)
                accounts.close()
            finally:
                admin.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
        assert waiting_lines(tmp_path) == 1
        with Accounts.open(postgresql_url, tmp_path) as again:
            assert [row.request_id for row in again.rows()] == ["away"]
        assert waiting_lines(tmp_path) == 0


async def test_a_server_takes_up_what_another_left_when_it_was_killed(url: str, tmp_path: Path, line: Line) -> None:
    with Accounts.open(url, tmp_path, refresh_s=0.05) as living:
        assert not (tmp_path / "ledger").exists()
        dead = Journal(tmp_path / "ledger" / name_of(living.engine))
        for request_id in ("a", "b", "b"):
            dead.add(Entry("local", "", line(request_id), None))
        (half,) = dead.folder.glob("*.jsonl")
        with half.open("ab") as file:
            file.write(b'{"workspace_id":"local","key_id":"","li')
        assert living.usage("workspace") == []
        dead.close()  # as a death does: the lock is let go, the lines stay
        wait_until(lambda: {row.request_id for row in living.rows()} == {"a", "b"})
    assert not any(dead.folder.iterdir())


def test_a_journal_starts_a_new_file_when_one_is_full_and_removes_what_is_done(tmp_path: Path, line: Line) -> None:
    journal = Journal(tmp_path)
    entry = Entry("local", "", line("r"), None)
    segments = [journal.add(entry) for _ in range(8000)]
    files = {segment.path for segment in segments}
    assert {*tmp_path.glob("*.jsonl")} == files
    assert 2 <= len(files) <= 4
    journal.drop(segments)
    (left,) = tmp_path.glob("*.jsonl")
    assert left.stat().st_size == 0
    journal.close()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("round_", range(2))
async def test_a_kill_loses_no_settled_request(url: str, tmp_path: Path, round_: int) -> None:
    """Killed with -9 at a random moment; what the process had said was settled must be there, and must add up."""
    luck = random.Random(round_)
    said: set[str] = set()
    for attempt in range(3):
        command = [sys.executable, settling_process.__file__, url, str(tmp_path), f"{round_}-{attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said.add(process.stdout.readline().strip())
            time.sleep(luck.uniform(0, 0.3))
            process.kill()
            said |= {line.strip() for line in process.stdout if line.endswith("\n")}
    with Accounts.open(url, tmp_path) as accounts:
        rows = [row.request_id for row in accounts.rows()]
        assert said <= set(rows)
        assert len(rows) == len(set(rows))
        assert len(said) >= 8
    engine = open_database(url, tmp_path)
    with engine.begin() as connection:
        sums = connection.execute(select(func.sum(months.c.tokens), func.sum(months.c.requests))).one()
        assert tuple(map(int, sums)) == (7 * len(rows), len(rows))
        assert connection.execute(select(func.sum(ledger.c.input_tokens))).scalar_one() == 7 * len(rows)
    engine.dispose()


async def test_two_servers_write_one_ledger(url: str, tmp_path: Path, line: Line) -> None:
    with Accounts.open(url, tmp_path) as first, Accounts.open(url, tmp_path) as second:

        async def client(accounts: Accounts, name: str) -> None:
            for n in range(10):
                (await accounts.admit(LOCAL, "m", 1)).settle(line(f"{name}-{n}", input_tokens=3))

        everybody = [client(server, f"{at}-{n}") for at, server in enumerate((first, second)) for n in range(10)]
        await asyncio.gather(*everybody)
        assert first.usage("workspace")[0].input_tokens == second.usage("workspace")[0].input_tokens == 600


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"input_tokens": -1}, "input_tokens is -1"),
        ({"answer_tokens": 2**60}, "answer_tokens is"),
        ({"input_tokens": 1, "cached_tokens": 2}, "more than input_tokens"),
        ({"duration_us": -5}, "duration_us"),
        ({"request_id": ""}, "request_id is empty"),
        ({"request_id": "a\x00b"}, "cannot be written down"),
        ({"model": "\ud800"}, "cannot be written down"),
        ({"status": "x" * 501}, "501 characters"),
    ],
)
async def test_a_line_that_means_nothing_cannot_be_made(values: dict[str, object], words: str) -> None:
    usual: dict[str, object] = {"request_id": "r", "model": "m", "dialect": "openai", "status": "ok", "finished_us": 1}
    with pytest.raises(ValueError, match=words):
        UsageLine(**(usual | values))  # pyright: ignore[reportArgumentType]  # wrong values are the point
