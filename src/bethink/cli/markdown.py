"""An answer as Markdown in a terminal, while it is still being written.

Finished blocks (a paragraph, a whole list, a whole code block) are handed out once and never change; only the last,
growing one is drawn again and again. What always holds: the blocks joined are the text that came in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme

from bethink.picture.math_text import readable_math

MAX_WIDTH = 100
CODE_THEME = "ansi_dark"
THEME = Theme(
    {
        "markdown.code": Style(color="cyan"),
        "markdown.code_block": Style(color="cyan"),
        "markdown.h1": Style(bold=True, underline=True),
        "markdown.h2": Style(bold=True, underline=True),
    }
)
"""The terminal's own colours: readable on light and dark backgrounds."""


@dataclass(slots=True)
class Blocks:
    """Splits a growing Markdown text at the end of each block that can no longer change."""

    tail: str = ""
    _parser: MarkdownIt = field(default_factory=lambda: MarkdownIt("commonmark").enable("table"))
    _looked_at: int = 0

    def feed(self, text: str) -> list[str]:
        """Take more text; return the blocks it finished."""
        self.tail += text
        if "\n" not in self.tail[max(0, self._looked_at - 1) :]:
            return []
        self._looked_at = len(self.tail)
        blocks: list[str] = []
        starts = self._starts()
        if len(starts) > 1 and not _is_in_formula(self.tail[: starts[-1]]):
            edges = [0, *starts[1:]]
            blocks = [self.tail[a:b] for a, b in pairwise(edges)]
            self.tail = self.tail[starts[-1] :]
            self._looked_at = len(self.tail)
        return blocks

    def finish(self) -> list[str]:
        """What is left, when nothing follows."""
        starts = [start for start in self._starts(is_whole=True) if start]
        edges = [0, *starts, len(self.tail)]
        rest, self.tail, self._looked_at = self.tail, "", 0
        if _is_in_formula(rest[: edges[-2]]):
            return [rest]
        return [rest[a:b] for a, b in pairwise(edges) if rest[a:b].strip()]

    def _starts(self, *, is_whole: bool = False) -> list[int]:
        """Where each top-level block begins. A line that is not ended yet may still join the block before it."""
        complete = self.tail if is_whole else self.tail[: self.tail.rfind("\n") + 1]
        offsets = [0]
        for line in complete.split("\n"):
            offsets.append(offsets[-1] + len(line) + 1)
        tokens = self._parser.parse(complete)
        return [offsets[t.map[0]] for t in tokens if t.level == 0 and t.map is not None and t.nesting >= 0]


def _is_in_formula(text: str) -> bool:
    return text.count("\\[") > text.count("\\]") or text.count("$$") % 2 == 1


def rendered(block: str, console: Console) -> list[list[Segment]]:
    """The lines of one block, or of a whole answer, without empty ones around it."""
    markdown = Markdown(readable_math(block).strip("\n"), code_theme=CODE_THEME)
    options = console.options.update(width=min(console.width, MAX_WIDTH), height=None)
    lines = console.render_lines(markdown, options, pad=False)
    while lines and _is_blank(lines[-1]):
        lines.pop()
    while lines and _is_blank(lines[0]):
        lines.pop(0)
    return lines


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)
