"""What a running calibration shows: questions so far, how right one answer and the vote are, and the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.text import Text

from bethink.cli.eval_progress import BAR, PLAIN_EVERY_S
from bethink.cli.terminal import Terminal
from bethink.evals.results import Line
from bethink.picture.evidence import seconds


@dataclass(slots=True)
class CalibrateProgress:
    """Fed with lines, from the event loop's thread. `total_s` is the time there is. A question counts in `n_questions`
    when it was asked in both ways, with a thought and without."""

    terminal: Terminal
    total_s: float
    began: float = field(default_factory=time.monotonic)
    n_thinking: int = 0
    n_direct: int = 0
    n_questions: int = 0
    n_voted: int = 0
    n_first: int = 0
    n_direct_first: int = 0
    n_tokens: int = 0
    _said_at: float = field(default_factory=time.monotonic)
    _live: Live | None = None
    _is_started: bool = False
    _asked_once: set[str] = field(default_factory=set[str])

    def start(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._count(line)
        if n := self.n_questions:
            self.terminal.err.print(
                Text(f"going on: {n:,} {'questions are' if n > 1 else 'question is'} there already")
            )
        self.n_tokens = 0
        self._is_started = True
        err = self.terminal.err
        if err.is_terminal and not err.is_dumb_terminal:
            self._live = Live(get_renderable=self.render, console=err, transient=True, refresh_per_second=4)
            self._live.start()

    def line(self, line: Line) -> None:
        self._count(line)
        now = time.monotonic()
        if self._live is None and now - self._said_at >= PLAIN_EVERY_S:
            self._said_at = now
            self.terminal.err.print(Text(self.told()))

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        if self._is_started:
            self.terminal.err.print(Text(self.told(is_over=True)))

    def _count(self, line: Line) -> None:
        first = line.paths[0].right is True if line.paths else line.lenient is True
        self.n_tokens += line.tokens
        if line.id in self._asked_once:
            self._asked_once.remove(line.id)
            self.n_questions += 1
        else:
            self._asked_once.add(line.id)
        if line.arm.endswith("budget:0"):
            self.n_direct += 1
            self.n_direct_first += first
        else:
            self.n_thinking += 1
            self.n_first += first
            self.n_voted += line.lenient is True

    def told(self, *, is_over: bool = False) -> str:
        """Everything on one line."""
        return ", ".join(part for part in (self.head(is_over=is_over), self.rights()) if part)

    def head(self, *, is_over: bool = False) -> str:
        elapsed_s = time.monotonic() - self.began
        parts = [f"{self.n_questions:,} question{'' if self.n_questions == 1 else 's'}"]
        if self.n_tokens:
            parts.append(f"{self.n_tokens / max(elapsed_s, 1e-6):,.0f} tokens/s")
        if not is_over:
            parts.append(f"{seconds(max(0.0, self.total_s - elapsed_s))} left")
        return ", ".join(parts)

    def rights(self) -> str:
        parts: list[str] = []
        if self.n_direct:
            parts.append(f"right without a thought {100 * self.n_direct_first / self.n_direct:.0f} %")
        if self.n_thinking:
            parts.append(f"with one {100 * self.n_first / self.n_thinking:.0f} %")
            parts.append(f"by the vote {100 * self.n_voted / self.n_thinking:.0f} %")
        return ", ".join(parts)

    def render(self) -> Group:
        glyphs = self.terminal.glyphs
        n_full = min(BAR, int(BAR * (time.monotonic() - self.began) / self.total_s))
        bar = Text(glyphs.full * n_full, style="green") + Text(glyphs.empty * (BAR - n_full), style="dim")
        return Group(Text.assemble(bar, "  ", self.head()), Text(self.rights()))
