"""What was used: the ledger summed by day, key, user, model, workspace or request, and as CSV.

Days and months are those of UTC. Cost is exact, in the unit that prices are in; rows whose model had no price are
counted beside it, never taken for free.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TextIO, cast, get_args

from sqlalchemy import ColumnElement, Engine, RowMapping, Select, func, literal, or_, select
from sqlalchemy import Integer as SqlInteger
from sqlalchemy import cast as as_type

from bethink.server.accounts.database import database_errors
from bethink.server.accounts.tables import keys, ledger, users, workspaces
from bethink.server.accounts.values import TOKEN_COUNTS, as_time, as_us

By = Literal["day", "key", "user", "model", "workspace", "request"]
GROUPS: tuple[By, ...] = get_args(By)
DAY_US = 86_400_000_000
NANO = Decimal(10) ** 9
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group. `id` tells groups apart, `name` is for people. `cost` is None where no row had a price; `n_unpriced`
    rows are not in it. `cached_tokens` are part of `input_tokens`."""

    id: str
    name: str
    n_requests: int
    input_tokens: int
    cached_tokens: int
    thinking_tokens: int
    answer_tokens: int
    probe_tokens: int
    discarded_tokens: int
    seconds: Decimal
    cost: Decimal | None
    n_unpriced: int

    @property
    def total_tokens(self) -> int:
        sampled = self.thinking_tokens + self.answer_tokens + self.probe_tokens + self.discarded_tokens
        return self.input_tokens + sampled


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One finished request. Names are those that keys and workspaces have today."""

    request_id: str
    finished: datetime
    workspace: str
    key_id: str
    key: str
    user: str
    model: str
    dialect: str
    status: str
    input_tokens: int
    cached_tokens: int
    thinking_tokens: int
    answer_tokens: int
    probe_tokens: int
    discarded_tokens: int
    seconds: Decimal
    cost: Decimal | None
    trace_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows: from `since` (included) to `until` (not), of one workspace, key (both by id) or model. `owner_of` a
    key: of all keys of its user, and where it is nobody's of that key alone. None: all."""

    since: datetime | None = None
    until: datetime | None = None
    workspace: str | None = None
    key: str | None = None
    model: str | None = None
    owner_of: str | None = None

    def of(self, statement: Select[Any]) -> Select[Any]:
        if self.since is not None:
            statement = statement.where(ledger.c.finished_us >= as_us(self.since))
        if self.until is not None:
            statement = statement.where(ledger.c.finished_us < as_us(self.until))
        if self.owner_of is not None:
            statement = statement.where(ledger.c.key_id.in_(_keys_of_owner(self.owner_of)))
        wanted = {"workspace_id": self.workspace, "key_id": self.key, "model": self.model}
        return statement.where(*(ledger.c[name] == value for name, value in wanted.items() if value is not None))


def _keys_of_owner(key_id: str) -> Select[Any]:
    """Revoked ones too: what they used was used."""
    own, others = keys.alias("own"), keys.alias("others")
    is_same = or_(others.c.id == own.c.id, others.c.user_id == own.c.user_id)
    return select(others.c.id).join(own, is_same).where(own.c.id == key_id)


def usage_rows(engine: Engine, by: By, span: Span, *, most: int | None = None) -> list[UsageRow]:
    """`engine` is one for reading. Days in order, all else by tokens, most first; of the newest `most` groups."""
    group, name = _group(by)
    sums = [func.sum(ledger.c[count]).label(count) for count in TOKEN_COUNTS]
    statement = (
        select(
            group.label("id"),
            func.max(name).label("name"),
            func.count().label("n_requests"),
            *sums,
            func.sum(ledger.c.duration_us).label("duration_us"),
            func.sum(ledger.c.cost_nano).label("cost_nano"),
            (func.count() - func.count(ledger.c.cost_nano)).label("n_unpriced"),
        )
        .select_from(_joined())
        .group_by(group)
    )
    statement = span.of(statement)
    if most is not None:
        statement = statement.order_by(func.max(ledger.c.seq).desc()).limit(most)
    with database_errors("the usage cannot be read"), engine.begin() as connection:
        rows = [_usage_row(by, row) for row in connection.execute(statement).mappings()]
    return sorted(rows, key=(lambda row: row.id) if by == "day" else lambda row: (-row.total_tokens, row.id))


def ledger_rows(engine: Engine, span: Span) -> Iterator[LedgerRow]:
    """`engine` is one for reading. In the order in which they were written; a few thousand are held at a time."""
    statement = (
        select(
            ledger,
            workspaces.c.name.label("workspace"),
            func.coalesce(keys.c.name, "").label("key"),
            func.coalesce(users.c.name, "").label("user"),
        )
        .select_from(_joined())
        .order_by(ledger.c.seq)
    )
    with database_errors("the usage cannot be read"), engine.begin() as connection:
        streamed = connection.execution_options(yield_per=1000).execute(span.of(statement))
        for row in streamed.mappings():
            yield _ledger_row(row)


def write_csv(
    rows: Iterable[UsageRow] | Iterable[LedgerRow], kind: type[UsageRow] | type[LedgerRow], out: TextIO
) -> int:
    """RFC 4180, with a heading; returns the number of rows. `out` must leave line ends alone (`newline=""`).

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(field.name for field in fields(kind))
    n_rows = 0
    for row in rows:
        writer.writerow([_cell(value) for value in cast("Sequence[object]", astuple(row))])
        n_rows += 1
    return n_rows


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case str() if value.lstrip(" ").startswith(_FORMULA):
            return f"'{value}"
        case _:
            return str(value)


def _joined() -> Any:
    return (
        ledger.join(workspaces, workspaces.c.id == ledger.c.workspace_id)
        .join(keys, keys.c.id == ledger.c.key_id, isouter=True)
        .join(users, users.c.id == keys.c.user_id, isouter=True)
    )


def _group(by: By) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What rows are grouped by, and what the group is called."""
    match by:
        case "day":
            day = as_type(ledger.c.finished_us // literal(DAY_US), SqlInteger)
            return day, literal("")
        case "key":
            return func.coalesce(ledger.c.key_id, ""), func.coalesce(keys.c.name, "")
        case "user":
            return func.coalesce(keys.c.user_id, ""), func.coalesce(users.c.name, "")
        case "model":
            return ledger.c.model, ledger.c.model
        case "workspace":
            return ledger.c.workspace_id, workspaces.c.name
        case "request":
            return ledger.c.request_id, ledger.c.model


def _usage_row(by: By, row: RowMapping) -> UsageRow:
    id_ = f"{as_time(int(row['id']) * DAY_US):%Y-%m-%d}" if by == "day" else str(row["id"])
    n_requests, n_unpriced = int(row["n_requests"]), int(row["n_unpriced"])
    return UsageRow(
        id_,
        id_ if by == "day" else str(row["name"]),
        n_requests,
        *(int(row[count]) for count in TOKEN_COUNTS),
        seconds=Decimal(int(row["duration_us"])) / 1_000_000,
        cost=_cost(row["cost_nano"]),
        n_unpriced=n_unpriced,
    )


def _ledger_row(row: RowMapping) -> LedgerRow:
    return LedgerRow(
        row["request_id"],
        as_time(row["finished_us"]),
        row["workspace"],
        row["key_id"] or "",
        row["key"],
        row["user"],
        row["model"],
        row["dialect"],
        row["status"],
        *(row[count] for count in TOKEN_COUNTS),
        seconds=Decimal(row["duration_us"]) / 1_000_000,
        cost=_cost(row["cost_nano"]),
        trace_id=row["trace_id"],
    )


def _cost(nano: object) -> Decimal | None:
    return None if nano is None else Decimal(int(cast("int", nano))) / NANO
