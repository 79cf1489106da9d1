"""What a token costs, by model, by what it was for, and from when; and what a request therefore cost.

Money is exact: prices are millionths of a unit for a million tokens, costs are 10⁻⁹ of a unit, both integers. Which
unit is the operator's choice; bethink never converts. What was sampled and dropped (probes, discarded) costs as
thinking, so that what is billed is what `usage.completion_tokens` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from bethink.errors import AccountExists, UnknownAccount
from bethink.server.accounts.database import database_errors, reading
from bethink.server.accounts.registry import bump
from bethink.server.accounts.tables import prices
from bethink.server.accounts.values import UsageLine, as_time, as_us, check_text

MICRO, NANO = Decimal(10) ** 6, Decimal(10) ** 9
DEAREST_MICRO = 10**12
"""A million units for a million tokens: what is dearer was mistyped."""


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens. `model` is a name or a pattern as `qwen3:*`; it holds from `valid_from` on.

    Raises: ValueError: below zero, above a million, or finer than a millionth.
    """

    model: str
    valid_from: datetime
    input: Decimal
    cached: Decimal
    thinking: Decimal
    answer: Decimal

    def __post_init__(self) -> None:
        check_text("the model", self.model)
        for name in ("input", "cached", "thinking", "answer"):
            as_micro(name, getattr(self, name))

    @property
    def micro(self) -> tuple[int, int, int, int]:
        return (
            as_micro("input", self.input),
            as_micro("cached", self.cached),
            as_micro("thinking", self.thinking),
            as_micro("answer", self.answer),
        )


def as_micro(what: str, amount: Decimal) -> int:
    """Raises: ValueError."""
    try:
        scaled = amount * MICRO
        micro = int(scaled)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise ValueError(f"the price of {what} is no amount: {amount}") from error
    if micro != scaled or not 0 <= micro <= DEAREST_MICRO:
        raise ValueError(f"the price of {what} is {amount}; it lies between 0 and a million, in steps of 0.000001")
    return micro


class PriceList:
    """All prices, ready to be asked for one: an exact name before a pattern, a longer pattern before a shorter, then
    the latest that held."""

    def __init__(self, all_prices: Iterable[Price] = ()) -> None:
        self.all = tuple(sorted(all_prices, key=lambda price: (price.model, price.valid_from)))
        self._rows = sorted(
            ((not _is_pattern(p.model), len(p.model), as_us(p.valid_from), p) for p in self.all),
            key=lambda row: row[:3],
            reverse=True,
        )

    def at(self, model: str, us: int) -> Price | None:
        for is_exact, _, from_us, price in self._rows:
            if from_us <= us and (price.model == model if is_exact else fnmatchcase(model, price.model)):
                return price
        return None

    def cost_nano(self, line: UsageLine) -> int | None:
        """Rounded half up; None where the model has no price at that time."""
        price = self.at(line.model, line.finished_us)
        if price is None:
            return None
        input_, cached, thinking, answer = price.micro
        pico = (
            (line.input_tokens - line.cached_tokens) * input_
            + line.cached_tokens * cached
            + (line.thinking_tokens + line.probe_tokens + line.discarded_tokens) * thinking
            + line.answer_tokens * answer
        )
        return min((pico + 500) // 1000, 2**63 - 1)


def _is_pattern(model: str) -> bool:
    return any(char in model for char in "*?[")


def load_prices(connection: Connection) -> PriceList:
    rows = connection.execute(select(prices)).mappings()
    return PriceList(
        Price(
            row["model"],
            as_time(row["valid_from_us"]),
            *(Decimal(row[f"{name}_micro"]) / MICRO for name in ("input", "cached", "thinking", "answer")),
        )
        for row in rows
    )


class Prices:
    """The prices in the database. Rows of the ledger keep the cost they were written with."""

    def __init__(self, engine: Engine, on_change: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._on_change = on_change

    def list(self) -> tuple[Price, ...]:
        with database_errors("the prices cannot be read"), reading(self._engine).begin() as connection:
            return load_prices(connection).all

    def add(self, price: Price) -> None:
        """Raises: AccountExists: that model has another price from the same moment on."""
        names = ("input_micro", "cached_micro", "thinking_micro", "answer_micro")
        values = dict(zip(names, price.micro, strict=True))
        row = {"model": price.model, "valid_from_us": as_us(price.valid_from), **values}
        with database_errors("the price cannot be kept"), self._engine.begin() as connection:
            try:
                connection.execute(insert(prices).values(row))
            except IntegrityError as error:
                raise AccountExists(
                    f"{price.model} has a price from {price.valid_from:%Y-%m-%d %H:%M} on",
                    "remove it first: bethink usage prices rm MODEL",
                ) from error
            bump(connection)
        self._on_change()

    def remove(self, model: str, valid_from: datetime | None = None) -> int:
        """The prices of exactly that name or pattern, or the one that holds from `valid_from` on. Returns how many.

        Raises: UnknownAccount: there is none.
        """
        which = prices.c.model == model
        if valid_from is not None:
            which &= prices.c.valid_from_us == as_us(valid_from)
        with database_errors("the price cannot be removed"), self._engine.begin() as connection:
            n_removed = connection.execute(delete(prices).where(which)).rowcount
            if not n_removed:
                raise UnknownAccount(f"there is no such price of {model}", "bethink usage prices list")
            bump(connection)
        self._on_change()
        return n_removed
