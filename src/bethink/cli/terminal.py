"""What a terminal can show: its width, its characters, its colours; and text made safe to show on it.

Owns the two consoles of a command (stdout for answers, stderr for all else). What always holds: text of a model or a
file never reaches a terminal with control characters in it, and a character the terminal cannot show never raises.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from bethink.cli.markdown import THEME
from bethink.picture.plain import one_row as one_row
from bethink.picture.plain import safe as safe

TAB = "    "
PIPE_WIDTH = 1000
"""Columns of a table that nobody looks at in a terminal: more than any row has."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few signs a display is made of."""

    full: str
    empty: str
    dot: str
    ellipsis: str
    arrow: str
    back: str
    done: str
    cut: str
    rule: str
    spinner: tuple[str, ...]


UNICODE = Glyphs("━", "─", "·", "…", "→", "↶", "✓", "✂", "─", tuple("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"))
ASCII = Glyphs("#", "-", "|", "...", "->", "<-", "+", "x", "-", tuple("|/-\\"))


def glyphs_for(encoding: str) -> Glyphs:
    try:
        "".join([UNICODE.full, UNICODE.done, UNICODE.back, *UNICODE.spinner]).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


@dataclass(frozen=True, slots=True)
class Terminal:
    """`out` carries the answer, `err` notes and progress. `out` is `is_live` where lines can be drawn over."""

    out: Console
    err: Console
    is_live: bool
    is_terminal: bool
    glyphs: Glyphs

    @property
    def width(self) -> int:
        return max(20, self.out.width)

    def print_table(self, table: Table) -> None:
        """On stdout. A pipe has no width: nothing is cut or wrapped for it, and no line ends in spaces."""
        if self.is_terminal:
            self.out.print(table)
            return
        usual, self.out.width = self.out.width, PIPE_WIDTH
        with self.out.capture() as drawn:
            self.out.print(table)
        self.out.width = usual
        self.out.file.writelines(line.rstrip() + "\n" for line in drawn.get().splitlines())


def open_terminal(*, no_color: bool = False) -> Terminal:
    """The consoles of this process. Characters that an output cannot encode are replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    out, err = (_console(stream, no_color) for stream in (sys.stdout, sys.stderr))
    is_terminal = out.is_terminal
    is_live = is_terminal and not out.is_dumb_terminal
    return Terminal(out, err, is_live, is_terminal, glyphs_for(out.encoding if is_terminal else err.encoding))


def _console(stream: TextIO, no_color: bool) -> Console:
    """Whether it is a terminal is the stream's own word: no variable may put escape codes into a pipe."""
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        theme=THEME,
        no_color=no_color or None,
        force_terminal=is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal,
    )


def visual_lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each line that `text` takes on a screen, broken at spaces; the last one may still grow."""
    start = at = column = 0
    last_space = -1
    while at < len(text):
        char = text[at]
        if char == "\n":
            yield start, at + 1
            start, column, last_space = at + 1, 0, -1
        else:
            column += _cells(char)
            while column > width and char != " ":
                end = last_space + 1 if last_space >= start else max(at, start + 1)
                yield start, end
                start, last_space = end, -1
                column = _cells(text[start : at + 1])
            if char == " ":
                last_space = at
        at += 1
    yield start, at


def _cells(text: str) -> int:
    return cell_len(text.replace("\t", TAB))
