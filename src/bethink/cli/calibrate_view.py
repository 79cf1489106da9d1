"""A calibration in the terminal: what each effort spends, how right that was, and why."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import Terminal, one_row
from bethink.evals.page import interval, percent, spends
from bethink.evals.results import REPORT
from bethink.thinking.calibration import Calibration
from bethink.types import EFFORTS


def show_calibration(terminal: Terminal, found: Calibration, folder: Path, *, is_of_here: bool = True) -> None:
    out = terminal.out
    place = "this machine" if is_of_here else "another machine"
    head = (
        f"{found.model} ({found.engine}, {found.form}) on {place}, {found.made[:10]}, {found.n_questions:,} questions"
    )
    out.print(Text(one_row(head), style="bold"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title, side in (
        ("effort", "left"),
        ("spends", "left"),
        ("right*" if found.is_in_sample else "right", "right"),
        ("95 %", "right"),
        ("tokens", "right"),
    ):
        table.add_column(title, justify="left" if side == "left" else "right", no_wrap=title != "spends")
    for name in EFFORTS:
        chosen = found.efforts[name]
        table.add_row(
            Text(name, style="cyan"),
            spends(chosen.spend),
            Text(percent(chosen.right.value), style="bold"),
            Text(interval(chosen.right), style="dim"),
            f"{chosen.tokens:,.0f}",
        )
    out.print(table)
    out.print(Text(f"{'* ' if found.is_in_sample else ''}{found.of_whom}"))
    for name in EFFORTS:
        out.print(Text.assemble((f"{name:<7}", "cyan"), one_row(found.efforts[name].why)))
    for note in found.notes:
        out.print(Text(one_row(note)))
    honest = f"a probability is wrong by {100 * found.error:.0f} points in the mean, on questions it was not fitted to"
    out.print(Text(honest))
    if (folder / REPORT).exists():
        out.print(Text(f"report: {folder / REPORT}"), soft_wrap=True)
