"""Usage and prices as tables for a terminal, with a bar for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import Terminal, one_row

if TYPE_CHECKING:
    from bethink.server.accounts import Price, UsageRow

PIPE_WIDTH = 160
BAR_WIDTH, LEAST_BAR = 20, 6
GAP = 3
FIRST_TO_GO = ("other", "cached", "requests", "thinking", "answer")
"""Columns that a narrow terminal does without, in this order."""
EIGHTHS = " ▏▎▍▌▋▊▉█"


def usage_table(rows: Sequence[UsageRow], by: str, terminal: Terminal) -> Table:
    """One row a group, and their sum. Columns that hold nothing are left out; where whole numbers do not fit they are
    shortened, where those do not fit the least of the columns go, and the width that is left is a bar's."""
    if not terminal.is_terminal:
        terminal.out.width = PIPE_WIDTH
    titles, lines = _lines(rows, by, is_short=False)
    if _width(titles, lines) > terminal.width:
        titles, lines = _lines(rows, by, is_short=True)
    for title in FIRST_TO_GO:
        if title in titles and _width(titles, lines) > terminal.width:
            at = titles.index(title)
            titles, *lines = ([*cells[:at], *cells[at + 1 :]] for cells in (titles, *lines))
    bar_width = min(terminal.width - _width(titles, lines) - GAP, BAR_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, caption=_caption(rows))
    table.caption_justify = "left"
    for title in titles:
        is_name = title == by
        table.add_column(title, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold")
    if bar_width >= LEAST_BAR:
        table.add_column("tokens", style="dim", no_wrap=True)
        most, is_ascii = max(row.total_tokens for row in rows), terminal.glyphs.full == "#"
        for line, row in zip(lines, rows, strict=False):
            line.append(bar(row.total_tokens, most, bar_width, is_ascii=is_ascii))
    for at, line in enumerate(lines):
        name, *cells = map(Text, line)
        name.stylize("cyan" if at < len(rows) else "bold")
        table.add_row(name, *cells, end_section=at == len(rows) - 1)
    return table


def bar(amount: int, most: int, width: int = BAR_WIDTH, *, is_ascii: bool = False) -> str:
    """As long as its share of the largest; something is never nothing."""
    eighths = -(-amount * width * 8 // most) if most else 0
    if is_ascii:
        return "#" * -(-eighths // 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def short(number: int) -> str:
    """Three digits: `999`, `1.54M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.{max(0, 2 - len(str(round(scaled, 2)).partition('.')[0]) + 1)}f}{unit}"
    return str(number)


def _lines(rows: Sequence[UsageRow], by: str, *, is_short: bool) -> tuple[list[str], list[list[str]]]:
    """The titles, and the cells of every row and of their sum."""
    counts = {
        "requests": [row.n_requests for row in rows],
        "input": [row.input_tokens for row in rows],
        "cached": [row.cached_tokens for row in rows],
        "thinking": [row.thinking_tokens for row in rows],
        "answer": [row.answer_tokens for row in rows],
        "other": [row.probe_tokens + row.discarded_tokens for row in rows],
    }
    shown = {title: column for title, column in counts.items() if any(column) or title in ("requests", "input")}
    write = short if is_short else "{:,}".format
    lines = [
        [_name(row, by, is_short=is_short), *(write(column[at]) for column in shown.values())]
        for at, row in enumerate(rows)
    ]
    lines.append(["all", *(write(sum(column)) for column in shown.values())])
    titles = [by, *shown]
    if any(row.cost is not None for row in rows):
        titles.append("cost")
        for line, row in zip(lines, rows, strict=False):
            line.append(_money(row.cost) + ("*" if row.n_unpriced and row.cost is not None else ""))
        lines[-1].append(_money(sum((row.cost for row in rows if row.cost is not None), Decimal(0))))
    return titles, lines if len(rows) > 1 else lines[:1]


def _width(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> int:
    """Of the whole table; one column beside the next."""
    return sum(max(map(cell_len, column)) + GAP for column in zip(titles, *lines, strict=True))


def _caption(rows: Sequence[UsageRow]) -> str | None:
    n_unpriced = sum(row.n_unpriced for row in rows)
    if not n_unpriced or all(row.cost is None for row in rows):
        return None
    return f"* without {n_unpriced:,} request{'' if n_unpriced == 1 else 's'} of models that had no price"


def _name(row: UsageRow, by: str, *, is_short: bool) -> str:
    if by == "request":
        return one_row(row.id if is_short else f"{row.id} {row.name}")
    if by == "key":
        whole = f"{row.name} ({row.id})" if row.id else "(no key: this machine)"
        return one_row((row.name or "(no key)") if is_short else whole)
    return one_row(row.name) or "-"


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
