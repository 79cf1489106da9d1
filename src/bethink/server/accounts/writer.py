"""The one thread that writes the ledger: what waits is committed together, and who waits is told after the commit.

What always holds: an entry whose future is done is on the disk; entries are written in the order in which they came; a
commit whose end was not heard of (a lost connection) is tried again and never counts twice; an entry that the database
refuses fails alone, not with those beside it. Between batches the same thread reads what others changed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bethink.errors import AccountsError
from bethink.server.accounts.admission import MonthlyUse
from bethink.server.accounts.database import database_errors, is_transient
from bethink.server.accounts.ledger import Entry, write_entries

LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    done: Future[None] = field(default_factory=Future[None])


class LedgerWriter:
    """`refresh` is called on the writer's thread at least every `refresh_s`; its errors of the database are logged. A
    database that is away is waited for during `patience_s`; then the requests that wait fail."""

    def __init__(
        self, engine: Engine, use: MonthlyUse, refresh: Callable[[], None], *, refresh_s: float, patience_s: float
    ) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self._use = use
        self._refresh = refresh
        self._refresh_s = refresh_s
        self._refreshed_s = time.monotonic()
        self._is_failing = False
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="bethink-ledger", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry) -> Future[None]:
        """The future is done when the entry is on the disk, or holds an `AccountsError`; it cannot be cancelled.

        Raises: AccountsError: closed.
        """
        waiting = _Waiting(entry)
        waiting.done.set_running_or_notify_cancel()
        with self._closing:
            if self._is_closed:
                raise AccountsError("the ledger is closed", "the server is stopping")
            self._use.submitted(entry.scope_ids, entry.month, entry.line.total_tokens)
            self._queue.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Write what waits, then end. A second time does nothing."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                try:
                    self._write(batch)
                except Exception as error:
                    logging.getLogger("bethink").exception("the ledger failed")
                    self._tell(batch, set(), AccountsError(f"the ledger failed: {type(error).__name__}"))
            if is_open and time.monotonic() - self._refreshed_s >= self._refresh_s:
                self._look_around()

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Whatever waits, or nothing after a while; and whether more may come."""
        batch: list[_Waiting] = []
        try:
            found = self._queue.get(timeout=max(self._refreshed_s + self._refresh_s - time.monotonic(), 0.001))
            while found is not None:
                batch.append(found)
                if len(batch) == LARGEST_BATCH:
                    return batch, True
                found = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            self._tell(batch, self._commit(batch))
        except AccountsError as error:
            if len(batch) == 1 or (isinstance(error.__cause__, DBAPIError) and is_transient(error.__cause__)):
                self._tell(batch, set(), error)
                return
            for waiting in batch:
                self._write([waiting])

    def _commit(self, batch: Sequence[_Waiting]) -> set[str]:
        ends_s = time.monotonic() + self._patience_s
        pause_s = 0.05
        while True:
            try:
                with database_errors("the usage cannot be written down"), self._engine.begin() as connection:
                    return write_entries(connection, (waiting.entry for waiting in batch))
            except AccountsError as error:
                cause = error.__cause__
                if cause is None or not is_transient(cause) or time.monotonic() + pause_s > ends_s:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def _tell(self, batch: Sequence[_Waiting], written: set[str], error: AccountsError | None = None) -> None:
        counted: set[str] = set()
        for waiting in batch:
            line = waiting.entry.line
            is_kept = line.request_id in written and line.request_id not in counted
            counted.add(line.request_id)
            self._use.committed(waiting.entry.scope_ids, waiting.entry.month, line.total_tokens, is_kept=is_kept)
        for waiting in batch:
            if error is None:
                waiting.done.set_result(None)
            else:
                waiting.done.set_exception(error)

    def _look_around(self) -> None:
        self._refreshed_s = time.monotonic()
        try:
            self._refresh()
            self._is_failing = False
        except AccountsError as error:
            if not self._is_failing:
                logging.getLogger("bethink").warning("%s; keys and limits stay as they were", error)
            self._is_failing = True
