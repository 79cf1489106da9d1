"""Loops: found exactly by period or nearly by sentence, and escaped by a ladder before the thought is closed.

Source: the period recurrence and the ladder's order are shared/thinking-methods.md ("Loops"); OpenThinker3-1.5B loops
in 30 % of greedy outputs (arXiv 2512.12895). Departure: the near rule needs more copies, because sound arithmetic
repeats sentences that differ in their numbers only (see docs/lab-log.md).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bethink.thinking.decisions import CONTINUE, Close, Decision, RollBack, Stop, View

MAX_PERIOD = 256
MIN_RUN = 48
"""A cycle of period p is a loop when max(2p, MIN_RUN) tokens repeat the ones p before them."""
ANSWER_FACTOR = 4
"""An answer may hold rows that are alike (tables, data); there a run must be this many times longer."""
SAME_SENTENCES, MASKED_SENTENCES, WINDOW = 4, 8, 12
"""Near loops: of the last WINDOW sentences so many are equal, or equal but for their numbers."""
MIN_SENTENCE = 16
"""Shorter sentences ("So:", "1.") say nothing."""
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
INJECTION = "\n\nI am repeating myself; let me try another way.\n\n"


@dataclass(slots=True)
class PeriodDetector:
    """r_p counts how many tokens in a row equal the one p before; O(256) a token, exact for every period up to 256.

    `_recent` is filled from its end, so that from `_at` on it holds the latest tokens, the last one first.
    """

    factor: int = 1
    _recent: NDArray[np.int64] = field(default_factory=lambda: np.full(16 * MAX_PERIOD, -1, dtype=np.int64))
    _at: int = 15 * MAX_PERIOD
    _runs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(MAX_PERIOD, dtype=np.int64))
    _needed: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._needed = self.factor * np.maximum(2 * np.arange(1, MAX_PERIOD + 1), MIN_RUN)

    def feed(self, token_id: int) -> tuple[int, int] | None:
        """Returns (period, run) of the shortest cycle once it is a loop."""
        window = self._recent[self._at : self._at + MAX_PERIOD]
        self._runs += 1
        self._runs *= window == token_id
        if self._at == 0:
            self._at = len(self._recent) - MAX_PERIOD
            self._recent[self._at :] = window
        self._at -= 1
        self._recent[self._at] = token_id
        loops = self._runs >= self._needed
        first = int(loops.argmax())
        return (first + 1, int(self._runs[first])) if loops[first] else None


@dataclass(slots=True)
class SentenceDetector:
    """Counts equal sentences among the last WINDOW, with and without their numbers masked.

    A sentence ends at a line break or at `.`, `!`, `?` before white space. `feed` returns how many tokens ago the
    second of the copies began, so that a roll back keeps the first.
    """

    _text: str = ""
    _n_tokens: int = 0
    _sentences: deque[tuple[str, str, int]] = field(default_factory=lambda: deque[tuple[str, str, int]](maxlen=WINDOW))
    _started_at: int = 0

    def feed(self, text: str) -> int | None:
        self._n_tokens += 1
        n_known = len(self._text)
        self._text += text
        if _SENTENCE_END.search(self._text, n_known) is None:
            return None
        parts = _SENTENCE_END.split(self._text)
        self._text = parts[-1]
        for part in parts[:-1]:
            if len(part.strip()) >= MIN_SENTENCE:
                exact = part.strip().casefold()
                self._sentences.append((exact, re.sub(r"\d+(?:[.,]\d+)*", "#", exact), self._started_at))
        self._started_at = self._n_tokens
        return self._repeats()

    def _repeats(self) -> int | None:
        for column, needed in ((0, SAME_SENTENCES), (1, MASKED_SENTENCES)):
            counts = Counter(s[column] for s in self._sentences)
            if counts and (top := counts.most_common(1)[0])[1] >= needed:
                copies = [s[2] for s in self._sentences if s[column] == top[0]]
                return self._n_tokens - copies[1]
        return None


@dataclass(slots=True)
class LoopGuard:
    """The ladder: roll back and sample hot without the cycle's first token; roll back and say so; close.

    `rungs` is the most escapes tried before the thought is closed (0 closes at once). In the answer a loop ends the
    path: what was streamed cannot be taken back.
    """

    rungs: int = 2
    hot_tokens: int = 64
    n_escapes: int = 0
    _periods: PeriodDetector = field(default_factory=PeriodDetector)
    _sentences: SentenceDetector = field(default_factory=SentenceDetector)
    _phase: str = "thinking"

    def decide(self, view: View) -> Decision:
        if view.phase != self._phase:
            self._phase = view.phase
            self._reset()
        period = self._periods.feed(view.last_id)
        n_back = self._sentences.feed(view.last_text) if view.phase == "thinking" else None
        if period is not None:
            return self._escape(view, period[1], f"{period[1]} tokens repeat with period {period[0]}")
        if n_back is not None:
            return self._escape(view, n_back, "sentences repeat but for their numbers")
        return CONTINUE

    def _escape(self, view: View, n_back: int, cause: str) -> Decision:
        """`n_back` tokens stand after the end of the first copy."""
        self._reset()
        if view.phase == "answer":
            return Stop("loop", cause)
        ids = view.phase_ids
        n = max(1, min(n_back, len(ids)))
        self.n_escapes += 1
        if self.n_escapes > self.rungs:
            return Close("loop", cause)
        if self.n_escapes == 1:
            return RollBack(n, cause, ban=ids[-n], temperature=1.0, hot_tokens=self.hot_tokens)
        return RollBack(n, cause, inject=INJECTION, temperature=1.0, hot_tokens=self.hot_tokens)

    def _reset(self) -> None:
        self._periods = PeriodDetector(ANSWER_FACTOR if self._phase == "answer" else 1)
        self._sentences = SentenceDetector()
