"""`Accounts`: who may ask a server what, and what they used. The one thing that the rest of the server holds.

Knows no HTTP. A request is identified and admitted from memory, in microseconds, and written into a journal before it
is said to be finished: a kill at any moment loses no finished request, and one that had not finished was not used. The
database has it within milliseconds; whoever reads through here waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from bethink.errors import UnknownKey
from bethink.server.accounts.admission import Admission, Hold, Holder, MonthlyUse
from bethink.server.accounts.database import database_errors, name_of, open_database, reading
from bethink.server.accounts.directory import Directory
from bethink.server.accounts.journal import Journal
from bethink.server.accounts.ledger import Entry, limited_totals, month_totals
from bethink.server.accounts.passwords import Passwords
from bethink.server.accounts.prices import PriceList, Prices, load_prices
from bethink.server.accounts.reconcile import Reconciliation, reconcile
from bethink.server.accounts.registry import Registry, check_holds, load_registry, read_revision
from bethink.server.accounts.usage import By, LedgerRow, Span, UsageRow, ledger_rows, usage_rows
from bethink.server.accounts.values import (
    LOCAL,
    LOCAL_WORKSPACE,
    Clock,
    Limits,
    Principal,
    UsageLine,
    Workspace,
    month_of,
)
from bethink.server.accounts.writer import LedgerWriter

JOURNALS = "ledger"
"""The folder in the home for what the database does not have yet, one in it for each database."""
REFRESH_S = 0.5
PATIENCE_S = 10.0
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last read of the database."""

    registry: Registry
    prices: PriceList


class Accounts:
    """Open it with `Accounts.open`, and close it. `identify`, `admit` and tickets are for any thread and any loop."""

    def __init__(self, engine: Engine, journal: Journal, clock: Clock, *, refresh_s: float, patience_s: float) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._clock = clock
        self._use = MonthlyUse(clock)
        self._admission = Admission(clock, self._use)
        self._known = _Known(Registry(), PriceList())
        self._refreshing = threading.Lock()
        self.directory = Directory(engine, clock, on_change=self.refresh)
        self.passwords = Passwords(engine, clock, on_change=self.refresh)
        self.prices = Prices(engine, on_change=self.refresh)
        self._refresh_all()
        self._writer = LedgerWriter(
            engine, journal, self._use, self._refresh_all, refresh_s=refresh_s, patience_s=patience_s
        )

    @classmethod
    def open(
        cls,
        url: str | None,
        home: Path,
        *,
        clock: Clock | None = None,
        refresh_s: float = REFRESH_S,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Blocks while the database is opened, and brought to the newest form where it is older.

        `refresh_s`: how often what other processes changed (a key revoked on the command line) is looked for.
        `patience_s`: how long `close` and whoever reads wait for a database that is away. What is not written by then
        stays in the journal, in `home`.

        Raises: UsageError, ExtraMissing, DatabaseTooNew, AccountsError.
        """
        engine = open_database(url, home)
        try:
            journal = Journal(home / JOURNALS / name_of(engine))
            return cls(engine, journal, clock or Clock(), refresh_s=refresh_s, patience_s=patience_s)
        except BaseException:
            engine.dispose()
            raise

    @property
    def engine(self) -> Engine:
        """The database, for rooms that keep tables of their own in it."""
        return self._engine

    def close(self) -> None:
        """Blocks until what waits is written. A second time does nothing."""
        self._writer.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _: BaseException | None, _at: TracebackType | None) -> None:
        self.close()

    # ---- who asks

    def identify(self, secret: str) -> Principal:
        """Raises: UnknownKey, ExpiredKey, RevokedKey."""
        return self._known.registry.identify(secret, self._clock.now_us())

    def principal(self, key_id: str) -> Principal:
        """Whoever has that key, for what goes on without them (a batch). Empty: `LOCAL`.

        Raises: UnknownKey, ExpiredKey, RevokedKey.
        """
        if not key_id:
            return self.local()
        known = self._known.registry.keys.get(key_id)
        if known is None:
            raise UnknownKey("this key is not valid", "ask whoever runs this server")
        check_holds(known.key, self._clock.now_us())
        return known.principal

    def local(self) -> Principal:
        """`LOCAL`, with what its workspace says today about keeping content."""
        return replace(LOCAL, logs_content=self.workspace(LOCAL_WORKSPACE).logs_content)

    def workspace(self, workspace_id: str) -> Workspace:
        """As it was within the last `refresh_s`."""
        return self._known.registry.workspaces[workspace_id]

    def has_admin_key(self) -> bool:
        """Whether a key with the scope `admin` is in use: without one, a server listens to its own machine only."""
        return self._known.registry.has_admin(self._clock.now_us())

    # ---- what a request may take, and took

    async def admit(self, principal: Principal, model: str, estimated_tokens: int) -> Ticket:
        """Let a request begin. `estimated_tokens` is the most it may read and sample; `model` its canonical name.

        Raises: ModelNotAllowed, RevokedKey, ExpiredKey, RateLimited, TooManyAtOnce, QuotaExhausted.
        """
        return self.admit_now(principal, model, estimated_tokens)

    def admit_now(self, principal: Principal, model: str, estimated_tokens: int) -> Ticket:
        """What `admit` does, which never waits."""
        registry = self._known.registry
        holders: list[Holder] = []
        if principal.key_id:
            known = registry.keys.get(principal.key_id)
            if known is None:
                raise UnknownKey("this key is not valid", "ask whoever runs this server")
            check_holds(known.key, self._clock.now_us())
            principal = known.principal
            holders.append(Holder(principal.key_id, f"the key {principal.key!r}", known.key.limits))
        principal.require_model(model)
        workspace = registry.workspaces.get(principal.workspace_id)
        limits = workspace.limits if workspace else NO_LIMITS
        holders.append(Holder(principal.workspace_id, f"the workspace {principal.workspace!r}", limits))
        return Ticket(self, principal, self._admission.admit(holders, estimated_tokens))

    def end(self, hold: Hold, used_tokens: int) -> None:
        """For tickets."""
        self._admission.end(hold, used_tokens)

    def record(self, principal: Principal, line: UsageLine) -> Future[None]:
        """Have a line written; for tickets. The future is done when the database has it.

        Raises: AccountsError: it could not be written.
        """
        cost_nano = self._known.prices.cost_nano(line)
        return self._writer.submit(Entry(principal.workspace_id, principal.key_id, line, cost_nano))

    # ---- looking back

    def usage(
        self,
        by: By = "day",
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        workspace: str | None = None,
        key: str | None = None,
        model: str | None = None,
        owner_of: str | None = None,
        most: int | None = None,
    ) -> list[UsageRow]:
        """Sums, from `since` (included) to `until` (not). `workspace` and `key` are ids; `owner_of` a key:
        of all keys of its user. `most` keeps the newest groups only. Blocks: use a thread."""
        span = Span(since, until, workspace, key, model, owner_of)
        self._writer.flush()
        return usage_rows(self._reading, by, span, most=most)

    def used_this_month(self) -> dict[str, int]:
        """Tokens of this month (UTC) by the id of each key and workspace that used any. Blocks for a moment."""
        self._writer.flush()
        with database_errors("the usage cannot be read"), self._reading.begin() as connection:
            return month_totals(connection, month_of(self._clock.now_us()))

    def rows(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        workspace: str | None = None,
        key: str | None = None,
    ) -> Iterator[LedgerRow]:
        """The ledger row by row, oldest first, however long it is. Blocks."""
        self._writer.flush()
        return ledger_rows(self._reading, Span(since, until, workspace, key))

    def reconcile(self, traces: Path, since: datetime | None = None, until: datetime | None = None) -> Reconciliation:
        """Hold every row against the trace it names. Blocks, and reads every trace."""
        return reconcile(self.rows(since, until), traces)

    # ---- what others changed

    def refresh(self) -> None:
        """See at once what was changed. Blocks for a moment."""
        errors = database_errors("the accounts cannot be read")
        with self._refreshing, errors, self._reading.begin() as connection:
            if read_revision(connection) != self._known.registry.revision:
                self._known = _Known(load_registry(connection), load_prices(connection))

    def _refresh_all(self) -> None:
        """On the thread of the ledger only: see `MonthlyUse`."""
        self.refresh()
        month = self._use.month
        with database_errors("the accounts cannot be read"), self._reading.begin() as connection:
            totals = limited_totals(connection, month)
        self._use.replace(month, totals)


class Ticket:
    """The right to one request. `settle` it when it is finished, `release` it when it came to nothing."""

    __slots__ = ("_accounts", "_hold", "_is_settled", "principal")

    def __init__(self, accounts: Accounts, principal: Principal, hold: Hold) -> None:
        self.principal = principal
        self._accounts = accounts
        self._hold = hold
        self._is_settled = False

    def settle(self, line: UsageLine) -> None:
        """Returns when the line outlives this process. Settling again does nothing.

        Raises: AccountsError: it could not be written.
        """
        if not self._is_settled:
            self._accounts.record(self.principal, line)
            self._is_settled = True
            self._accounts.end(self._hold, line.total_tokens)

    def release(self) -> None:
        """Give back what was reserved. After `settle`, or a second time, it does nothing."""
        self._accounts.end(self._hold, 0)
