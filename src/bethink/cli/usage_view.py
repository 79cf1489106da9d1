"""Usage and prices as tables for a terminal, with a bar for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import Terminal, one_row

if TYPE_CHECKING:
    from bethink.server.accounts import Price, UsageRow

PIPE_WIDTH = 160
BAR_WIDTH = 20
LEAST_FOR_BARS = 100
EIGHTHS = " ▏▎▍▌▋▊▉█"


def usage_table(rows: Sequence[UsageRow], by: str, terminal: Terminal) -> Table:
    """One row a group, and their sum. Columns that hold nothing are left out."""
    if not terminal.is_terminal:
        terminal.out.width = PIPE_WIDTH
    columns = {
        "requests": [row.n_requests for row in rows],
        "input": [row.input_tokens for row in rows],
        "cached": [row.cached_tokens for row in rows],
        "thinking": [row.thinking_tokens for row in rows],
        "answer": [row.answer_tokens for row in rows],
        "other": [row.probe_tokens + row.discarded_tokens for row in rows],
    }
    shown = {title: counts for title, counts in columns.items() if any(counts) or title in ("requests", "input")}
    has_cost = any(row.cost is not None for row in rows)
    has_bars = terminal.width >= LEAST_FOR_BARS
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_footer=len(rows) > 1)
    table.add_column(by, Text("all"), style="cyan", overflow="fold")
    for title, counts in shown.items():
        table.add_column(title, Text(f"{sum(counts):,}"), justify="right")
    if has_cost:
        table.add_column("cost", Text(_money(_sum_cost(rows))), justify="right")
    if has_bars:
        table.add_column("tokens")
    most = max(row.total_tokens for row in rows)
    for at, row in enumerate(rows):
        cells = [Text(_name(row, by)), *(Text(f"{counts[at]:,}") for counts in shown.values())]
        if has_cost:
            cells.append(Text(_money(row.cost) + ("" if not row.n_unpriced else f" (+{row.n_unpriced:,} unpriced)")))
        if has_bars:
            cells.append(Text(bar(row.total_tokens, most, is_ascii=terminal.glyphs.full == "#"), style="dim"))
        table.add_row(*cells)
    return table


def bar(amount: int, most: int, *, is_ascii: bool = False) -> str:
    """As long as its share of the largest; something is never nothing."""
    eighths = -(-amount * BAR_WIDTH * 8 // most) if most else 0
    if is_ascii:
        return "#" * -(-eighths // 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _name(row: UsageRow, by: str) -> str:
    if by == "request":
        return one_row(f"{row.id} {row.name}")
    if by == "key":
        return one_row(f"{row.name} ({row.id})") if row.id else "this machine, without a key"
    return one_row(row.name) or "-"


def _sum_cost(rows: Sequence[UsageRow]) -> Decimal:
    return sum((row.cost for row in rows if row.cost is not None), Decimal(0))


def _money(amount: Decimal | None) -> str:
    """Two places, or as many as a small amount needs to show something."""
    if amount is None:
        return "-"
    places = next((n for n in (2, 4, 6) if not amount or round(amount, n) >= Decimal(10) ** (1 - n)), 9)
    return f"{amount:,.{places}f}"


def price_table(prices: Sequence[Price]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("model", style="cyan")
    for title in ("from (UTC)", "input", "cached", "thinking", "answer"):
        table.add_column(title, justify="left" if title.startswith("from") else "right")
    for price in prices:
        amounts = (price.input, price.cached, price.thinking, price.answer)
        cells = [one_row(price.model), f"{price.valid_from:%Y-%m-%d %H:%M}", *(f"{a.normalize():f}" for a in amounts)]
        table.add_row(*map(Text, cells))
    return table
