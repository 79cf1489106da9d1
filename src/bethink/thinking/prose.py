"""`Prose`: the text of an answer up to where it stands: may a call begin here, or would it only be quoted?

Owns the rule. A call begins at the beginning of a line, behind white space, or directly behind another tag of a call;
and not inside a fence of code, nor on a line inside a span of code or double quotes that are open there. What is
quoted so is told, not meant, and stays text. Spans and quotation marks end with their line, so that one that is never
closed hides no call further down; a fence ends where it is closed, as in Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bethink.prompt.hermes import CLOSE, OPEN

_FENCE = re.compile(r"[^\S\n]*(`{3,}|~{3,})(.*)")
_MARKS = re.compile(r"`+|[\"“”]")
_CLOSING = {'"': '"', "“": "”"}


@dataclass(slots=True)
class Prose:
    """Fed with the text as it comes, however it is split."""

    _line: str = ""
    _fence: str = ""

    def feed(self, text: str) -> None:
        *ended, last = text.split("\n")
        for line in ended:
            self._end_line(self._line + line)
            self._line = ""
        self._line += last

    def end_call(self) -> None:
        """A call stood here, and is no part of the text: what follows begins a line."""
        self._line = ""

    @property
    def may_call(self) -> bool:
        line = self._line
        is_edge = not line or line[-1].isspace() or line.endswith((OPEN, CLOSE))
        return is_edge and not self._fence and not _fence_of(line) and not _is_quoting(line)

    def _end_line(self, line: str) -> None:
        match = _FENCE.match(line)
        if not self._fence:
            self._fence = _fence_of(line)
        elif match and match[1].startswith(self._fence) and not match[2].strip():
            self._fence = ""


def _fence_of(line: str) -> str:
    """The fence that a line opens."""
    match = _FENCE.match(line)
    return match[1] if match and not (match[1][0] == "`" and "`" in match[2]) else ""


def _is_quoting(line: str) -> bool:
    """Whether a span of code or a quotation is open at the end of a line. A straight quotation mark opens one only at
    the beginning of a word: not that of 5\" or of a quotation that began elsewhere."""
    open_by = ""
    for match in _MARKS.finditer(line):
        mark = match[0]
        if open_by:
            open_by = "" if mark == _CLOSING.get(open_by, open_by) else open_by
        elif mark != "”" and (mark != '"' or _begins_word(line, match.start())):
            open_by = mark
    return bool(open_by)


def _begins_word(line: str, at: int) -> bool:
    return at == 0 or line[at - 1].isspace() or line[at - 1] in "([{>"
