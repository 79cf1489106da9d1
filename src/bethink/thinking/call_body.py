"""`CallBody`: what stands between the tags of a call, as it comes: where it ends, and if a text of its JSON is open.

What always holds: each character is looked at once, so a call costs as much as it is long; a tag inside a text is part
of that text. A raw line break ends a text, because JSON has none inside one: such a call is broken, and hides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bethink.prompt.hermes import CLOSE, OPEN
from bethink.thinking.phases import n_begun

_MARKS = re.compile(rf'\\.|"|\n|{CLOSE}|{OPEN}', re.DOTALL)
_BEGINNINGS = ("{", "[", "`")
"""What a call, or the fence around it, begins with."""


@dataclass(slots=True)
class CallBody:
    """`has_tags`: a tag ends it (else only the answer does). When it `is_over`, `rest` is what was fed from that tag
    on."""

    has_tags: bool = True
    is_in_text: bool = False
    is_over: bool = False
    n_chars: int = 0
    rest: str = ""
    _parts: list[str] = field(default_factory=list[str])
    _first: str = ""
    _tail: str = ""

    @property
    def text(self) -> str:
        return "".join(self._parts) + self._tail

    @property
    def is_hopeless(self) -> bool:
        """Whether it cannot be a call, whatever follows."""
        return bool(self._first) and self._first not in _BEGINNINGS

    def feed(self, text: str) -> None:
        """Take more; nothing follows once it is over."""
        self.n_chars += len(text)
        self._first = self._first or text.lstrip()[:1]
        text = self._tail + text
        at = 0
        for match in _MARKS.finditer(text):
            at = match.end()
            if match[0] in ('"', "\n"):
                self.is_in_text = match[0] == '"' and not self.is_in_text
            elif self.has_tags and not self.is_in_text and match[0] in (OPEN, CLOSE):
                self._end(text, match.start())
                return
        left = text[at:]
        n_tail = 1 if left.endswith("\\") else n_begun(left, (OPEN, CLOSE))
        self._tail = left[len(left) - n_tail :]
        self._parts.append(text[: len(text) - n_tail])

    def _end(self, text: str, at: int) -> None:
        self._parts.append(text[:at])
        self._tail, self.rest, self.is_over = "", text[at:], True
        self.n_chars -= len(self.rest)
