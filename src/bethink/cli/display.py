"""What a user sees of a request: one small interface, and the displays for outputs that cannot be drawn over.

Owns `Display`, and which one an output gets: `Live` for a terminal (live.py), `Plain` for a dumb one, `Quiet` for
a pipe.
Refuses to know the controller: a display is fed with events, whoever makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from rich.text import Text

from bethink.cli.board import Board
from bethink.cli.terminal import Terminal, one_row, safe
from bethink.picture.evidence import closing, judgement, one_line, vote_rows
from bethink.types import Event, Finished, Result, Started, TextDelta, ThoughtClosed, ThoughtRolledBack
from bethink.wording import counted

PROVING = ("code", "schema", "cmd")
"""Checks that prove an answer: one that they did not prove must not pass through a pipe unnoticed."""
CUT = ("length", "deadline", "loop")
"""Endings after which an answer may lack something: a script's log should say so, too."""
HINTS = ("", "closing the thought; Ctrl-C again stops", "stopping")
"""What to say after so many interrupts."""


class Display(Protocol):
    """Shows one request. `tick` is called about ten times a second; `close` always, also after an error."""

    def handle(self, event: Event) -> None: ...
    def tick(self) -> None: ...
    def interrupted(self, times: int) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Quiet:
    """A pipe gets the answer alone. Notes go to stderr; where that is a terminal, one line there says what happens."""

    terminal: Terminal
    writes_answer: bool = True
    board: Board = field(default_factory=Board)
    _status: StatusLine | None = None

    def handle(self, event: Event) -> None:
        self.board.apply(event)
        match event:
            case Started(notes=notes):
                for note in notes:
                    self.terminal.err.print(Text(f"note: {one_row(note)}"))
                if self.terminal.err.is_terminal and not self.terminal.err.is_dumb_terminal:
                    self._status = StatusLine(self.terminal)
            case Finished(result):
                self._finish(result)
            case _:
                pass

    def tick(self) -> None:
        if self._status is not None:
            self._status.show(status(self.board, self.terminal))

    def interrupted(self, times: int) -> None:
        if self._status is None:
            self.terminal.err.print(Text(HINTS[min(times, 2)]))
        self.tick()

    def close(self) -> None:
        if self._status is not None:
            self._status.clear()
            self._status = None

    def _finish(self, result: Result) -> None:
        self.close()
        if self.writes_answer:
            self.terminal.out.file.write(result.answer.rstrip("\n") + "\n")
            self.terminal.out.file.flush()
            if self.terminal.err.is_terminal:
                self.terminal.err.print(Text(one_line(result), style="dim"))
                return
            if result.finish_reason in CUT:
                self.terminal.err.print(Text(f"note: {closing(result)}"))
            if result.verdict.kind in PROVING and result.verdict.passed is not True:
                self.terminal.err.print(Text(f"note: {judgement(result.verdict)}"))


@dataclass(slots=True)
class StatusLine:
    """One line on stderr that is written over."""

    terminal: Terminal

    def show(self, text: str) -> None:
        width = self.terminal.err.width - 1
        self.terminal.err.file.write(f"\r\x1b[2K{text[:width]}")
        self.terminal.err.file.flush()

    def clear(self) -> None:
        self.terminal.err.file.write("\r\x1b[2K")
        self.terminal.err.file.flush()


def status(board: Board, terminal: Terminal) -> str:
    """What is going on, in one line."""
    glyphs = terminal.glyphs
    spinner = glyphs.spinner[int(board.elapsed_s * 10) % len(glyphs.spinner)]
    leading = board.leading
    if leading is None or not board.n_tokens:
        what = (
            f"reading the question ({counted(board.started.prompt_tokens, 'token')})" if board.started else "starting"
        )
    elif board.may_vote:
        n_done = sum(not path.is_running for path in board.paths.values())
        what = f"{n_done} of up to {board.started.paths if board.started else len(board.paths)} paths answered"
    elif leading.phase == "thinking":
        what = f"thinking {count_of(leading.n_thinking, board.budget)}"
    else:
        what = f"answering {leading.n_answer}"
    rate = f" {glyphs.dot} {board.rate:.0f} tokens/s" if board.rate else ""
    return f"{spinner} {what}{rate} {glyphs.dot} {board.elapsed_s:.0f} s"


def count_of(n: int, budget: int | None) -> str:
    return f"{n}/{budget}" if budget else str(n)


@dataclass(slots=True)
class Plain:
    """A terminal that cannot move its cursor: everything is written once, in order, without a single escape code."""

    terminal: Terminal
    hides_thought: bool = False
    board: Board = field(default_factory=Board)
    _column: int = 0
    _n_done: int = 0

    def handle(self, event: Event) -> None:
        self.board.apply(event)
        match event:
            case Started(notes=notes):
                for note in notes:
                    self._line(f"note: {one_row(note)}")
            case TextDelta(_, "thinking", text, _) if not self.board.may_vote and not self.hides_thought:
                self._write(safe(text))
            case TextDelta(_, "answer", text, _) if not self.board.may_vote:
                self._write(safe(text))
            case ThoughtRolledBack(path, _, cause) if not self.board.may_vote:
                self._line(f"[path {path + 1} goes back: {one_row(cause)}]")
            case ThoughtClosed(_, closed_by, n_tokens) if not self.board.may_vote and n_tokens:
                self._line(f"[thought of {counted(n_tokens, 'token')}, closed: {closed_by}]")
                self._line("")
            case Finished(result):
                self._finish(result)
            case _:
                self._tell_done()

    def tick(self) -> None:
        """Nothing is ever drawn twice."""

    def interrupted(self, times: int) -> None:
        self._line(f"[{HINTS[min(times, 2)]}]")

    def close(self) -> None:
        if self._column:
            self._write("\n")

    def _tell_done(self) -> None:
        done = [path for path in self.board.paths.values() if path.result is not None]
        if self.board.may_vote and len(done) > self._n_done:
            self._n_done = len(done)
            self._line(f"[{counted(len(done), 'path')} answered]")

    def _finish(self, result: Result) -> None:
        if self.board.may_vote:
            for answer, bar, n in vote_rows(result.verdict.votes, 20, self.terminal.glyphs.full):
                self._line(f"{one_row(answer):>24}  {bar} {n}")
            self._line("")
            self._write(safe(result.answer))
        self.close()
        self._line("")
        self._line(one_line(result, f" {self.terminal.glyphs.dot} "))

    def _line(self, text: str) -> None:
        self.close()
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self.terminal.out.file.write(text)
        self.terminal.out.file.flush()
        if text:
            self._column = len(text) - text.rfind("\n") - 1


def open_display(terminal: Terminal, *, hides_thought: bool = False, is_json: bool = False) -> Display:
    """The display that suits an output."""
    if is_json:
        return Quiet(terminal, writes_answer=False)
    if terminal.is_live:
        from bethink.cli.live import Live

        return Live(terminal, hides_thought=hides_thought)
    return Plain(terminal, hides_thought) if terminal.is_terminal else Quiet(terminal)
