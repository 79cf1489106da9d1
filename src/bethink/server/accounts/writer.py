"""The one thread that brings the ledger's lines from the journal into the database; what waits is committed together.

What always holds: a line that was submitted is in the journal, and leaves it when it is in the database; lines are
written in the order in which they came; a commit whose end was not heard of (a lost connection) is tried again and
never counts twice; a database that is away costs time and no line; a line that the database refuses is logged, and
takes none of those beside it along. Between batches the same thread reads what others changed, and takes up what the
dead left.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError

from bethink.errors import AccountsError
from bethink.server.accounts.admission import MonthlyUse
from bethink.server.accounts.database import database_errors
from bethink.server.accounts.journal import Journal, Segment, left_behind
from bethink.server.accounts.ledger import Entry, write_entries

LARGEST_BATCH = 500
MOST_WAITING = 200_000
"""Lines that may wait for a database that is away; some hundred megabytes."""
GATHER_S = 0.005
"""Before a commit, for others to join it, and for the request that brought it to be answered meanwhile."""
OTHERS_S = 0.3
"""A busy process always has lines that wait; those that were told before one asked are in the database by then."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    segment: Segment
    done: Future[None] = field(default_factory=Future[None])


class LedgerWriter:
    """`refresh` is called on the writer's thread at least every `refresh_s`; its errors of the database are logged. At
    its end a database that is away is waited for during `patience_s`; then the lines stay in the journal."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        use: MonthlyUse,
        refresh: Callable[[], None],
        *,
        refresh_s: float,
        patience_s: float,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._patience_s = patience_s
        self._use = use
        self._refresh = refresh
        self._refresh_s = refresh_s
        self._refreshed_s = time.monotonic()
        self._is_failing = False
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed_s: float | None = None
        self._last = Future[None]()
        self._last.set_result(None)
        self._thread = threading.Thread(target=self._run, name="bethink-ledger", daemon=True)
        self.take_up()
        self._thread.start()

    def submit(self, entry: Entry) -> Future[None]:
        """Returns when the line outlives this process. The future is done when it is in the database, or holds an
        `AccountsError`; it cannot be cancelled.

        Raises: AccountsError: closed; it cannot be written; the database has been away for too many lines.
        """
        if self._queue.qsize() >= MOST_WAITING:
            raise AccountsError(
                f"{MOST_WAITING:,} finished requests wait for the database", "is it there, and is it running?"
            )
        return self._submit(entry)

    def _submit(self, entry: Entry) -> Future[None]:
        with self._closing:
            if self._closed_s is not None:
                raise AccountsError("the ledger is closed", "the server is stopping")
            waiting = _Waiting(entry, self._journal.add(entry))
            waiting.done.set_running_or_notify_cancel()
            self._use.submitted(entry.scope_ids, entry.month, entry.line.total_tokens)
            self._last = waiting.done
            self._queue.put(waiting)
        return waiting.done

    def take_up(self) -> None:
        """What processes that have ended left in their journals."""
        with left_behind(self._journal.folder) as entries:
            for entry in entries:
                self._submit(entry)

    def flush(self) -> None:
        """Wait until what was submitted before is in the database, or has been refused; not longer than `patience_s`,
        since a database that is away says so itself to whoever reads it. For other processes a moment, too."""
        with contextlib.suppress(AccountsError, FutureTimeout):
            self._last.result(self._patience_s)
        ends_s = time.monotonic() + OTHERS_S
        while self._journal.others_wait() and time.monotonic() < ends_s:
            time.sleep(0.005)

    def close(self) -> None:
        """Write what waits, then end. A second time does nothing."""
        with self._closing:
            if self._closed_s is None:
                self._closed_s = time.monotonic()
                self._queue.put(None)
        self._thread.join()
        self._journal.close()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                try:
                    self._write(batch)
                except Exception as error:
                    logging.getLogger("bethink").exception("the ledger failed; its lines stay in the journal")
                    self._tell(batch, set(), AccountsError(f"the ledger failed: {type(error).__name__}"))
            if is_open and time.monotonic() - self._refreshed_s >= self._refresh_s:
                self._look_around()

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Whatever waits, or nothing after a while; and whether more may come."""
        batch: list[_Waiting] = []
        try:
            found = self._queue.get(timeout=max(self._refreshed_s + self._refresh_s - time.monotonic(), 0.001))
            if found is not None:
                time.sleep(GATHER_S)
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
            written, error = self._commit(batch), None
        except AccountsError as failed:
            written, error = set[str](), failed
            if _is_refused(failed):
                if len(batch) > 1:
                    for waiting in batch:
                        self._write([waiting])
                    return
                logging.getLogger("bethink").error("%s, and is lost: %s", failed, batch[0].entry)
        if error is None or _is_refused(error):
            self._journal.drop(waiting.segment for waiting in batch)
        self._tell(batch, written, error)

    def _commit(self, batch: Sequence[_Waiting]) -> set[str]:
        """Raises: AccountsError: the database refuses it, or is still away after the end."""
        pause_s = 0.05
        while True:
            try:
                with database_errors("the usage cannot be written down"), self._engine.begin() as connection:
                    return write_entries(connection, (waiting.entry for waiting in batch))
            except AccountsError as error:
                closed_s = self._closed_s
                is_over = closed_s is not None and time.monotonic() + pause_s > closed_s + self._patience_s
                if is_over or _is_refused(error):
                    raise
                self._say_once(error, "finished requests wait in the journal")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def _tell(self, batch: Sequence[_Waiting], written: set[str], error: AccountsError | None) -> None:
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
            self.take_up()
            self._is_failing = False
        except AccountsError as error:
            self._say_once(error, "keys and limits stay as they were")

    def _say_once(self, error: AccountsError, what_follows: str) -> None:
        if not self._is_failing:
            logging.getLogger("bethink").warning("%s; %s", error, what_follows)
        self._is_failing = True


def _is_refused(error: AccountsError) -> bool:
    """Whether it would be refused again: all else may pass when it is tried again."""
    return isinstance(error.__cause__, IntegrityError | DataError)
