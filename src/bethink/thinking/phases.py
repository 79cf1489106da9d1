"""`PhaseTracker`: fed with text as it is sampled or forced, it knows what is thought, what is answer, and what is a
marker.

Markers may be one token or many, and may be split anywhere; text that could still become a marker is held back. A
marker inside the arguments of a call in the answer is a text of the call like any other. What always holds: the
visible text of a phase holds no other marker, never begins or ends in white space, and the pieces given out for a
phase, joined, are that text, however the input was split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bethink.types import Phase


@dataclass(frozen=True, slots=True)
class Piece:
    """Visible text of one phase."""

    phase: Phase
    text: str


class CallReader(Protocol):
    """Fed with the text of an answer, it knows when what comes next is part of an argument of a call."""

    def feed(self, text: str, /) -> object: ...

    @property
    def is_in_argument(self) -> bool: ...


@dataclass(slots=True)
class Trimmer:
    """Drops leading white space and holds back trailing white space until text follows it; or `keeps_space`."""

    keeps_space: bool = False
    held: str = ""
    has_text: bool = False

    def feed(self, text: str) -> str:
        if self.keeps_space:
            self.has_text = self.has_text or bool(text)
            return text
        text = self.held + text
        if not self.has_text:
            text = text.lstrip()
        body = text.rstrip()
        self.held = text[len(body) :]
        self.has_text = self.has_text or bool(body)
        return body


@dataclass(slots=True)
class PhaseTracker:
    """`open_marker` and `close_marker` are empty for models that have none. `keeps_space` at the edges, where text is
    gone on with as it stands. `calls` reads the answer where it may call tools.

    In the answer no marker belongs: `n_reopened` counts thoughts opened there again, `n_spilled` counts stray closes
    (the model went on thinking after a forced close; its marker is dropped and the answer follows). In the thought a
    marker is one wherever it stands: a thought must end, and nobody runs what stands in it.
    """

    open_marker: str
    close_marker: str
    phase: Phase = "thinking"
    n_reopened: int = 0
    n_spilled: int = 0
    keeps_space: bool = False
    calls: CallReader | None = None
    _held: str = ""
    _trimmers: dict[Phase, Trimmer] = field(init=False)

    def __post_init__(self) -> None:
        self._trimmers = {"thinking": Trimmer(self.keeps_space), "answer": Trimmer(self.keeps_space)}

    def feed(self, text: str) -> list[Piece]:
        """Take more text; give out what is certain."""
        pieces: list[Piece] = []
        self._held += text
        while (found := self._first_marker()) is not None:
            at, marker = found
            self._give(self._held[:at], pieces)
            self._held = self._held[at + len(marker) :]
            if self.phase == "answer" and self.calls is not None and self.calls.is_in_argument:
                self._give(marker, pieces)
            elif self.phase == "answer":
                self.n_reopened += marker == self.open_marker
                self.n_spilled += marker == self.close_marker
            elif marker == self.close_marker:
                self.phase = "answer"
        n_held = n_begun(self._held, self._markers())
        self._give(self._held[: len(self._held) - n_held], pieces)
        self._held = self._held[len(self._held) - n_held :]
        return pieces

    def begin_answer(self) -> list[Piece]:
        """The thought is over without a marker (hand-off of a model that has none)."""
        pieces = self.flush()
        self.phase = "answer"
        return pieces

    def flush(self) -> list[Piece]:
        """No more text follows in this phase: what was held back was no marker."""
        pieces: list[Piece] = []
        self._give(self._held, pieces)
        self._held = ""
        return pieces

    @property
    def n_pending(self) -> int:
        """How many of the last characters may be the beginning of a marker."""
        return len(self._held)

    @property
    def n_held(self) -> int:
        """How many characters are held back for whatever reason: half a marker, white space that may be the last."""
        return len(self._trimmers[self.phase].held) + len(self._held)

    def is_marker(self, text: str) -> bool:
        """Whether a text is a marker and nothing else, which is never shown."""
        return text in self._markers()

    def has_text(self, phase: Phase) -> bool:
        return self._trimmers[phase].has_text

    def _give(self, text: str, pieces: list[Piece]) -> None:
        if self.phase == "answer" and self.calls is not None:
            self.calls.feed(text)
        if text and (visible := self._trimmers[self.phase].feed(text)):
            pieces.append(Piece(self.phase, visible))

    def _markers(self) -> tuple[str, ...]:
        return tuple(m for m in (self.open_marker, self.close_marker) if m)

    def _first_marker(self) -> tuple[int, str] | None:
        found = [(at, m) for m in self._markers() if (at := self._held.find(m)) >= 0]
        return min(found, default=None)


def n_begun(text: str, marks: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of a mark."""
    longest = 0
    for mark in marks:
        for n in range(min(len(mark) - 1, len(text)), longest, -1):
            if text.endswith(mark[:n]):
                longest = n
                break
    return longest
