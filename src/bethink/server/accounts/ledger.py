"""The ledger: one row for each finished request, written once whatever happens, with its sums by month beside it.

Owns the statements; when they are run is the writer's business. A `request_id` that is there already is left alone, so
that a write whose end nobody heard of may be tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Connection, Insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.dml import ReturningInsert

from bethink.server.accounts.tables import keys, ledger, months, workspaces
from bethink.server.accounts.values import UsageLine, month_of

_LINE = tuple(field.name for field in fields(UsageLine))


@dataclass(frozen=True)
class Entry:
    """A line with who is to answer for it. `key_id` is empty for the person on this machine."""

    workspace_id: str
    key_id: str
    line: UsageLine
    cost_nano: int | None

    @cached_property
    def scope_ids(self) -> tuple[str, ...]:
        return (self.workspace_id, self.key_id) if self.key_id else (self.workspace_id,)

    @cached_property
    def month(self) -> str:
        return month_of(self.line.finished_us)


def write_entries(connection: Connection, entries: Iterable[Entry]) -> set[str]:
    """Those that are not there yet, within the transaction of `connection`. Returns their request ids."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.line.request_id, entry)
    rows = [_row(entry) for entry in first.values()]
    inserted = connection.execute(_insert_rows(connection.dialect.name), rows)
    written = {str(request_id) for request_id in inserted.scalars()}
    _add_up(connection, [entry for entry in first.values() if entry.line.request_id in written])
    return written


def _add_up(connection: Connection, entries: Sequence[Entry]) -> None:
    tokens, requests = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for entry in entries:
        for scope_id in entry.scope_ids:
            tokens[scope_id, entry.month] += entry.line.total_tokens
            requests[scope_id, entry.month] += 1
    if not requests:
        return
    rows = [  # in order, so that two servers never wait for each other in a circle
        {"scope_id": scope_id, "month": month, "tokens": tokens[scope_id, month], "requests": n}
        for (scope_id, month), n in sorted(requests.items())
    ]
    connection.execute(_add_sums(connection.dialect.name), rows)


@cache
def _insert_rows(dialect: str) -> ReturningInsert[tuple[str]]:
    """Built once: building costs as much as running."""
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    return insert(ledger).on_conflict_do_nothing(index_elements=["request_id"]).returning(ledger.c.request_id)


@cache
def _add_sums(dialect: str) -> Insert:
    statement = postgresql_insert(months) if dialect == "postgresql" else sqlite_insert(months)
    sums = {
        "tokens": months.c.tokens + statement.excluded.tokens,
        "requests": months.c.requests + statement.excluded.requests,
    }
    return statement.on_conflict_do_update(index_elements=["scope_id", "month"], set_=sums)


def limited_totals(connection: Connection, month: str) -> dict[str, int]:
    """Tokens of that month for every key and workspace that has a monthly limit."""
    limited = or_(
        months.c.scope_id.in_(select(keys.c.id).where(keys.c.tokens_per_month.is_not(None))),
        months.c.scope_id.in_(select(workspaces.c.id).where(workspaces.c.tokens_per_month.is_not(None))),
    )
    rows = connection.execute(select(months.c.scope_id, months.c.tokens).where(months.c.month == month, limited))
    return {str(scope_id): int(n_tokens) for scope_id, n_tokens in rows}


def month_totals(connection: Connection, month: str) -> dict[str, int]:
    """Tokens of that month for every key and workspace."""
    rows = connection.execute(select(months.c.scope_id, months.c.tokens).where(months.c.month == month))
    return {str(scope_id): int(n_tokens) for scope_id, n_tokens in rows}


def _row(entry: Entry) -> dict[str, Any]:
    whose = {"workspace_id": entry.workspace_id, "key_id": entry.key_id or None, "cost_nano": entry.cost_nano}
    return {name: getattr(entry.line, name) for name in _LINE} | whose
