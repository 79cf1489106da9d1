"""Measurements in the terminal: the arms, their differences, what so many questions cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import Terminal, one_row
from bethink.evals.chart import Point, pareto
from bethink.evals.comparing import SideBySide
from bethink.evals.page import interval, percent, points
from bethink.evals.report import headline
from bethink.evals.simulate import Replayed
from bethink.evals.stats import Estimate
from bethink.evals.summary import ArmSummary, Comparison, Summary, power_lines
from bethink.wording import counted

WIDE = 160


def show_summary(terminal: Terminal, summary: Summary) -> None:
    out = terminal.out
    _print(out, _arms(summary.arms))
    if summary.comparisons:
        _print(out, _differences(summary.comparisons))
    out.print(Text(one_row(headline(summary)), style="bold"))
    for line in power_lines(summary.comparisons):
        out.print(Text(one_row(line), style="dim"))
    n_errors = sum(a.n_errors for a in summary.arms)
    if n_errors:
        out.print(Text(f"{counted(n_errors, 'answer')} ended in an error: counted as wrong", style="red"))


def _print(out: Console, table: Table) -> None:
    """A table whole: what reads a pipe gets all of it, however wide."""
    if not out.is_terminal:
        out.width = max(out.width, WIDE)
    out.print(table)


def _table(titles: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for at, title in enumerate(titles):
        table.add_column(title, justify="left" if at == 0 else "right", no_wrap=True)
    return table


def _arms(arms: Sequence[ArmSummary]) -> Table:
    has_faults = any(a.n_errors or a.n_unsure for a in arms)
    table = _table(
        ["arm", "right", "95 %", "strict", "tokens", "seconds", *(["unsure", "errors"] if has_faults else [])]
    )
    front = {p.name for p in pareto([Point(a.name, a.tokens, a.lenient, 0) for a in arms])}
    for a in arms:
        faults = [str(a.n_unsure or ""), Text(str(a.n_errors or ""), style="red")] if has_faults else []
        table.add_row(
            Text(one_row(a.name) + (" *" if a.name in front else ""), style="cyan"),
            Text(percent(a.lenient.value), style="bold"),
            Text(interval(a.lenient), style="dim"),
            percent(a.strict.value),
            f"{a.tokens:,.0f}",
            f"{a.seconds:.2f}",
            *faults,
        )
    table.caption = "* nothing here is as right for fewer tokens; strict: stated as the answer"
    table.caption_justify = "left"
    return table


def _differences(pairs: Sequence[Comparison], names: tuple[str, str] = ("", "")) -> Table:
    table = _table(["difference", "points", "95 %", "won/lost", "p", "least"])
    for c in pairs:
        d = c.lenient
        style = "bold green" if d.difference.low > 0 else "bold red" if d.difference.high < 0 else ""
        table.add_row(
            Text(one_row(f"{names[1]}{c.b} against {names[0]}{c.a}"), style="cyan"),
            Text(points(d.difference.value), style=style),
            Text(f"{points(d.difference.low)} to {points(d.difference.high)}", style="dim"),
            "-" if d.only_a is None else f"{d.only_b}/{d.only_a}",
            "-" if d.p is None else f"{d.p:.3f}" if d.p >= 0.001 else "<.001",
            f"{100 * d.least:.0f}",
        )
    return table


def show_side_by_side(terminal: Terminal, found: SideBySide) -> None:
    out = terminal.out
    for name, a, b in found.differing:
        out.print(Text(one_row(f"{name}: {a} in A, {b} in B"), style="dim"))
    _print(out, _differences(found.pairs, ("A ", "B ")))
    if found.n_only_a or found.n_only_b:
        out.print(Text(f"left out: {found.n_only_a} questions of A alone, {found.n_only_b} of B alone", style="yellow"))
    for line in power_lines(found.pairs):
        out.print(Text(one_row(line), style="dim"))


def show_replayed(terminal: Terminal, found: Replayed) -> None:
    out = terminal.out
    more = f" ({found.n_answers} answers)" if found.n_answers > found.n else ""
    out.print(Text(one_row(f"{found.name}: {found.n} questions{more}, up to {found.n_paths} paths"), style="bold"))
    table = _table(["rule", "right", "tokens", "paths", "first path", "fixed vote", "random exit", "when sure"])
    for r in found.rules:
        table.add_row(
            Text(one_row(r.name), style="cyan"),
            Text(percent(r.right), style="bold"),
            f"{r.tokens:,.0f}",
            f"{r.paths:.1f}",
            _span(r.against_first),
            _span(r.against_fixed),
            _span(r.against_random),
            f"{percent(r.right_when_sure)} of {r.n_sure}" if r.n_sure else "",
        )
    _print(out, table)
    out.print(Text(f"one of {found.n_paths} paths is right: {percent(found.any_right)}", style="dim"))
    out.print(
        Text(
            "differences in points: to the first path, to a fixed vote of the same tokens, to leaving at random",
            style="dim",
        )
    )


def _span(found: Estimate | None) -> str:
    return "" if found is None else f"{points(found.value)} [{points(found.low)} {points(found.high)}]"
