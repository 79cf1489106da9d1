"""What a running measurement shows: how far it is, how right each arm is so far, tokens per second, time left.

On a terminal one live block on stderr; elsewhere a plain line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import Terminal, one_row
from bethink.evals.results import Line
from bethink.picture.evidence import seconds

PLAIN_EVERY_S = 15.0
BAR = 30


@dataclass(slots=True)
class ArmCount:
    n: int = 0
    n_right: int = 0
    n_errors: int = 0
    n_tokens: int = 0


@dataclass(slots=True)
class EvalProgress:
    """Fed with lines, from the event loop's thread."""

    terminal: Terminal
    arms: Sequence[str]
    total: int = 0
    n_before: int = 0
    n_new: int = 0
    n_tokens: int = 0
    counts: dict[str, ArmCount] = field(default_factory=dict[str, ArmCount])
    _began: float = 0.0
    _said_at: float = 0.0
    _live: Live | None = None

    def start(self, lines: Sequence[Line], total: int) -> None:
        self.counts = {name: ArmCount() for name in self.arms}
        for line in lines:
            self._count(line)
        self.total, self.n_before = total, len(lines)
        self._began = self._said_at = time.monotonic()
        if lines:
            self.terminal.err.print(Text(f"going on: {len(lines):,} of {total:,} answers are there already"))
        err = self.terminal.err
        if err.is_terminal and not err.is_dumb_terminal:
            self._live = Live(get_renderable=self.render, console=err, transient=True, refresh_per_second=4)
            self._live.start()

    def line(self, line: Line) -> None:
        self._count(line)
        self.n_new += 1
        self.n_tokens += line.tokens
        now = time.monotonic()
        is_last = self.n_before + self.n_new == self.total
        if self._live is None and (now - self._said_at >= PLAIN_EVERY_S or is_last):
            self._said_at = now
            self.terminal.err.print(Text(f"{self.head()}; {self.running()}"))

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _count(self, line: Line) -> None:
        count = self.counts.setdefault(line.arm, ArmCount())
        count.n += 1
        count.n_right += line.lenient is True
        count.n_errors += line.error is not None
        count.n_tokens += line.tokens

    def head(self) -> str:
        """Counts, rate and time left, on one line."""
        n_done, elapsed_s = self.n_before + self.n_new, time.monotonic() - self._began
        parts = [f"{n_done:,}/{self.total:,} answers"]
        if self.n_new:
            parts.append(f"{self.n_tokens / max(elapsed_s, 1e-6):,.0f} tokens/s")
            parts.append(f"{seconds(elapsed_s / self.n_new * (self.total - n_done))} left")
        return ", ".join(parts)

    def running(self) -> str:
        told = [f"{one_row(name)} {100 * c.n_right / c.n:.1f} % of {c.n}" for name, c in self.counts.items() if c.n]
        return ", ".join(told) or "no answer yet"

    def render(self) -> Group:
        glyphs = self.terminal.glyphs
        n_done = self.n_before + self.n_new
        n_full = BAR * n_done // max(1, self.total)
        bar = Text(glyphs.full * n_full, style="green") + Text(glyphs.empty * (BAR - n_full), style="dim")
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for _ in range(4):
            table.add_column(justify="right", no_wrap=True)
        for name, c in self.counts.items():
            right = f"{100 * c.n_right / c.n:.1f} %" if c.n else "-"
            errors = Text(f"{c.n_errors} errors", style="red") if c.n_errors else Text("")
            tokens = f"{c.n_tokens / c.n:,.0f} tokens" if c.n else ""
            table.add_row(Text(one_row(name), style="cyan"), Text(right, style="bold"), f"of {c.n}", tokens, errors)
        return Group(Text.assemble(bar, "  ", self.head()), table)
