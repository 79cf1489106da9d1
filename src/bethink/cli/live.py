"""The display of a terminal: the thought streams by, dimmed, while a few lines at the bottom show what is going on.

What is certain scrolls up and is never drawn again (lines of the thought, finished blocks of the answer); what may
still change stays in the region below, which is drawn over ten times a second and is gone in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.live import Live as Region
from rich.segment import SegmentLines
from rich.text import Text

from bethink.cli.board import Board, PathView
from bethink.cli.display import HINTS, count_of, status
from bethink.cli.markdown import Blocks, rendered
from bethink.cli.terminal import TAB, Terminal, one_row, safe, visual_lines
from bethink.picture.evidence import CLOSINGS, closing, cost, judgement, outcome, shortened, vote_rows
from bethink.types import Event, Finished, Result, Started, TextDelta, ThoughtClosed, ThoughtRolledBack

N_KEPT = 4
"""So many last lines of a thought stay in the region: what is rolled back is mostly still there."""
N_FOLDED = 3
CELL = 38
THOUGHT = "dim"


@dataclass(slots=True)
class Live:
    """See the module. `board` holds the truth; the rest is how much of it has scrolled up already."""

    terminal: Terminal
    hides_thought: bool = False
    board: Board = field(default_factory=Board)
    _region: Region | None = None
    _n_scrolled: int = 0
    _blocks: Blocks = field(default_factory=Blocks)
    _has_answer: bool = False
    _n_interrupts: int = 0

    def handle(self, event: Event) -> None:
        self.board.apply(event)
        match event:
            case Started(notes=notes):
                for note in notes:
                    self._print(Text(f"note: {one_row(note)}", style="dim"))
                self._open()
            case TextDelta(_, "answer", text, _) if not self.board.may_vote:
                self._answer(self._blocks.feed(safe(text)))
            case ThoughtRolledBack(_, keep_chars, cause):
                self._roll_back(keep_chars, cause)
            case ThoughtClosed():
                self._close_thought(event)
            case Finished(result):
                self._finish(result)
            case _:
                pass

    def tick(self) -> None:
        if self._region is not None:
            if not self.board.may_vote and not self.hides_thought:
                self._scroll_thought(N_KEPT)
            self._region.update(self._view(), refresh=True)

    def interrupted(self, times: int) -> None:
        self._n_interrupts = times
        self.tick()

    def close(self) -> None:
        if self._region is not None:
            self._region.update(Text(""))
            self._region.stop()
            self._region = None

    def _open(self) -> None:
        console = self.terminal.out
        self._region = Region(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._region.start()

    def _print(self, what: RenderableType, *, end: str = "\n") -> None:
        self.terminal.out.print(what, end=end, soft_wrap=False)

    # The thought of a single path.

    def _scroll_thought(self, n_keep: int) -> None:
        """Print the lines of the thought that are complete, but the last `n_keep`."""
        path = self.board.leading
        if path is None or self._n_scrolled >= len(path.thought):
            return
        text = path.thought[self._n_scrolled :]
        lines = list(visual_lines(text, self.terminal.width - 1))
        for start, end in lines[: len(lines) - n_keep] if n_keep else lines:
            self._print(_dimmed(text[start:end]))
            self._n_scrolled += end - start

    def _roll_back(self, keep_chars: int, cause: str) -> None:
        if self.board.may_vote or self.hides_thought or keep_chars >= self._n_scrolled:
            return
        mark = f"{self.terminal.glyphs.back} taken back {self._n_scrolled - keep_chars} characters: {one_row(cause)}"
        self._print(Text(shortened(mark, self.terminal.width - 1), style="yellow"))
        self._n_scrolled = keep_chars

    def _close_thought(self, event: ThoughtClosed) -> None:
        if self.board.may_vote or not (event.n_tokens or self.board.path(event.path).thought.strip()):
            return
        if not self.hides_thought:
            self._scroll_thought(0)
        words = f"{CLOSINGS[event.closed_by]}, {count_of(event.n_tokens, self.board.budget)} tokens"
        bar = self.terminal.glyphs.rule * 2
        self._print(Text(f"{bar} {words} {bar}", style="cyan dim"))
        self._print(Text(""))

    # The answer.

    def _answer(self, blocks: list[str]) -> None:
        for block in blocks:
            if block.strip():
                if self._has_answer:
                    self._print(Text(""))
                self._print(SegmentLines(rendered(block, self.terminal.out), new_lines=True), end="")
                self._has_answer = True

    def _finish(self, result: Result) -> None:
        if self.board.may_vote:
            self.close()
            self._print_vote(result)
            blocks = Blocks()
            self._answer([*blocks.feed(safe(result.answer) + "\n"), *blocks.finish()])
        else:
            self._answer(self._blocks.finish())
            self.close()
        self._print(Text(""))
        self._print(_evidence(result, self.terminal))

    def _print_vote(self, result: Result) -> None:
        if not self.hides_thought and len(result.paths) > 1 and result.verdict.votes:
            self._print(_vote(self.board, self.terminal))
            self._print(Text(""))

    # The region.

    def _view(self) -> Group:
        lines: list[RenderableType] = []
        if self.board.may_vote:
            lines += _folded(self.board, self.terminal, self.hides_thought)
            lines += [_grid(self.board, self.terminal), _vote(self.board, self.terminal)]
        else:
            lines += self._tail()
        return Group(*lines, self._status())

    def _tail(self) -> list[RenderableType]:
        """What may still change: the end of the thought, or as much of the answer's last block as the screen holds."""
        path = self.board.leading
        if path is None:
            return []
        if path.phase == "thinking":
            return (
                [] if self.hides_thought else _last_lines(path.thought[self._n_scrolled :], self.terminal, N_KEPT + 1)
            )
        if not self._blocks.tail.strip():
            return []
        room = max(3, self.terminal.out.height - 3)
        lines = rendered(self._blocks.tail, self.terminal.out)[-room:]
        gap: list[RenderableType] = [Text("")] if self._has_answer else []
        return [*gap, SegmentLines(lines, new_lines=True)]

    def _status(self) -> Text:
        path = self.board.leading
        hint = HINTS[min(self._n_interrupts, 2)]
        is_thinking = path is not None and path.phase == "thinking"
        if not hint:
            hint = "Ctrl-C: answer now" if is_thinking else "Ctrl-C twice: stop"
        elif not is_thinking and self._n_interrupts == 1:
            hint = "Ctrl-C again stops"
        line = status(self.board, self.terminal)
        if path is not None and path.phase == "thinking" and not self.board.may_vote and self.board.budget:
            line += " " + _bar(path.n_thinking, self.board.budget, 16, self.terminal)
        text = Text(no_wrap=True, overflow="crop")
        text.append(line, style="cyan")
        if len(line) + len(hint) + 4 < self.terminal.width:
            text.append(f"  {hint}", style="dim")
        return text


def _evidence(result: Result, terminal: Terminal) -> Text:
    colour = {True: "green", False: "red", None: "yellow"}[result.verdict.passed]
    parts = [
        Text(closing(result), style="dim"),
        Text(judgement(result.verdict), style=colour),
        Text(cost(result), style="dim"),
    ]
    return Text(f" {terminal.glyphs.dot} ", style="dim").join(part for part in parts if part)


def _dimmed(line: str) -> Text:
    return Text(safe(line).rstrip("\n").replace("\t", TAB), style=THOUGHT, no_wrap=True, overflow="crop")


def _last_lines(text: str, terminal: Terminal, n: int) -> list[RenderableType]:
    lines = list(visual_lines(text, terminal.width - 1))[-n:]
    return [_dimmed(text[start:end]) for start, end in lines if end > start]


def _bar(n: int, of: int, width: int, terminal: Terminal) -> str:
    n_full = min(width, round(width * n / of)) if of else 0
    return terminal.glyphs.full * n_full + terminal.glyphs.empty * (width - n_full)


def _folded(board: Board, terminal: Terminal, hides_thought: bool) -> list[RenderableType]:
    """The last lines of one path's thought, always as many, so that the region does not jump."""
    path = board.leading
    if path is None or hides_thought:
        return []
    lines = _last_lines(path.thought[-terminal.width * (N_FOLDED + 2) :].rstrip("\n"), terminal, N_FOLDED)
    return [*lines, *(Text("") for _ in range(N_FOLDED - len(lines)))]


def _grid(board: Board, terminal: Terminal) -> Text:
    """One cell a path, in as many columns as fit; when the screen is too small, those that still run come first."""
    n_columns = max(1, terminal.width // CELL)
    n_rows = max(3, terminal.out.height - N_FOLDED - 9)
    paths = sorted(board.paths.values(), key=lambda p: p.index)
    n_hidden = max(0, len(paths) - n_rows * n_columns)
    if n_hidden:
        shown = sorted(paths, key=lambda p: (not p.is_running, p.index))[: n_rows * n_columns]
        paths = sorted(shown, key=lambda p: p.index)
    width = min(CELL, terminal.width - 1)
    text = Text(no_wrap=True, overflow="crop")
    for at, path in enumerate(paths):
        cell = _cell(path, board, terminal, width - 2)
        cell.truncate(width - 2)
        cell.pad_right(width - cell.cell_len)
        text.append_text(cell)
        if at % n_columns == n_columns - 1 and at + 1 < len(paths):
            text.append("\n")
    if n_hidden:
        text.append(f"\n{terminal.glyphs.ellipsis} and {n_hidden} more", style="dim")
    return text


def _cell(path: PathView, board: Board, terminal: Terminal, width: int) -> Text:
    glyphs = terminal.glyphs
    name = Text(f"{path.index + 1:>3} ", style="dim")
    if path.result is not None and path.result.is_cancelled:
        return name.append(f"{glyphs.cut} not needed any more", style="dim")
    if path.result is not None:
        result = path.result
        told = one_row(outcome(result.passed, result.why, result.extracted))
        answer = shortened(told, max(6, width - 18), glyphs.ellipsis)
        how = f" {path.closed_by or result.closed_by}, {path.n_thinking}"
        mark, style = (glyphs.cut, "red") if result.passed is False else (glyphs.done, "green")
        return name.append(f"{mark} {answer}", style=style).append(how, style="dim")
    if path.phase == "answer":
        return name.append(f"{glyphs.arrow} ").append(one_row(path.answer)[-max(4, width - 6) :])
    n = count_of(path.n_thinking, board.budget)
    back = f" {glyphs.back}{path.n_rollbacks}" if path.n_rollbacks else ""
    if not board.budget:
        return name.append(f"thinking {n}{back}")
    n_bar = max(4, width - 16)
    return name.append(_bar(path.n_thinking, board.budget, n_bar, terminal), style="cyan").append(f" {n}{back}")


def _vote(board: Board, terminal: Terminal) -> Text:
    votes = board.result.verdict.votes if board.result else board.votes
    width = max(4, min(40, terminal.width - 34))
    text = Text(no_wrap=True, overflow="crop")
    for at, (answer, bar, n) in enumerate(vote_rows(votes, width, terminal.glyphs.full)):
        text.append("\n" if at else "")
        text.append(f"{one_row(answer):>24}  ", style="bold" if at == 0 else "")
        text.append(bar, style="green" if at == 0 else "dim").append(f" {n}")
    return text
