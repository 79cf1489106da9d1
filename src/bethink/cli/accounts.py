"""What `bethink keys` and `bethink usage` share: the database they open, and the values that their options take."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich import box
from rich.table import Table
from rich.text import Text

from bethink.cli.options import with_options
from bethink.cli.parameters import Age
from bethink.cli.terminal import one_row, open_terminal

if TYPE_CHECKING:
    from bethink.server.accounts import Accounts, Limits

Function = TypeVar("Function", bound=Callable[..., Any])
NO_LIMIT = 0
"""What `none` is as a value of a limit: it takes the limit away, where an option that is not given leaves it."""
LIMIT_OPTIONS = {
    "rpm": ("requests_per_minute", "Requests per minute."),
    "tpm": ("tokens_per_minute", "Tokens per minute, read and sampled."),
    "concurrency": ("concurrency", "Requests at once."),
    "monthly_tokens": ("tokens_per_month", "Tokens per month (UTC)."),
}
PIPE_WIDTH = 160
_COUNT = re.compile(r"(\d{1,15})([kmb]?)", re.ASCII | re.IGNORECASE)


class LimitValue(click.ParamType[int]):
    """A number as `60`, `100k` or `2M`; `none` for no limit."""

    name = "n"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip().replace(",", "").replace("_", "")
        if text.lower() == "none":
            return NO_LIMIT
        match = _COUNT.fullmatch(text)
        number = int(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}[match[2].lower()] if match else 0
        if not 1 <= number <= 2**53:
            self.fail(f"{value!r} is no limit; write 60, 100k or 2M, or none", param, ctx)
        return number


class Moment(click.ParamType[datetime]):
    """So long ago as `7d`, or a day as `2026-11-01` (its beginning, UTC)."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        try:
            return datetime.now(UTC) - timedelta(seconds=Age().convert(text, param, ctx))
        except (click.BadParameter, OverflowError):
            self.fail(f"{text!r} is no time; write 12h, 7d or 4w, or a day as 2026-11-01", param, ctx)


def database_option(function: Function) -> Function:
    option = click.option(
        "--db", "database", metavar="URL", help="The database; otherwise BETHINK_DATABASE, or a file in the home."
    )
    return option(function)


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


limit_options = with_options(
    [
        click.option(f"--{name.replace('_', '-')}", name, type=LimitValue(), metavar="N", help=text)
        for name, (_, text) in LIMIT_OPTIONS.items()
    ]
)
"""The decorator that gives a command an option for each limit."""


def given_limits(values: dict[str, int | None], before: Limits | None = None) -> Limits | None:
    """What the options say, over what held before; None where they say nothing."""
    from dataclasses import replace

    from bethink.server.accounts import Limits

    said = {LIMIT_OPTIONS[name][0]: value or None for name, value in values.items() if value is not None}
    return replace(before or Limits(), **said) if said else None


def limits_text(limits: Limits) -> str:
    """`60 requests/min, 100,000 tokens/min, 4 at once, 2,000,000 tokens/month`."""
    parts = {
        "requests/min": limits.requests_per_minute,
        "tokens/min": limits.tokens_per_minute,
        "at once": limits.concurrency,
        "tokens/month": limits.tokens_per_month,
    }
    return ", ".join(f"{value:,} {unit}" for unit, value in parts.items() if value is not None) or "none"


@contextmanager
def open_accounts(database: str | None) -> Generator[Accounts]:
    """Raises: UsageError, ExtraMissing, AccountsError."""
    from bethink.config import Settings
    from bethink.server.accounts import Accounts

    settings = Settings.from_env()
    with Accounts.open(database or settings.database, settings.home) as accounts:
        yield accounts


def day_text(us: int | None) -> str:
    return "" if us is None else f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M}"


def print_table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    terminal = open_terminal()
    if not terminal.is_terminal:
        terminal.out.width = PIPE_WIDTH
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, style="cyan" if title == "name" else None, no_wrap=title in ("name", "id"))
    for row in rows:
        table.add_row(*(Text(one_row(cell)) for cell in row))
    terminal.out.print(table)
