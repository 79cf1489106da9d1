"""`Chain`: the tokens of one path and what they mean: ids, text, phase, counts. It keeps the truth; it decides nothing.

What always holds: `ids` is the prompt and the kept tokens, in order; every token ever sampled stands in `traced`
once, kept or not; the text given out for the answer is never taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Protocol

from bethink.thinking.phases import PhaseTracker, Piece
from bethink.trace import Origin, TracedPath, TracedToken
from bethink.types import Phase, Usage


class Detokenizer(Protocol):
    """Ids to text, a token at a time, complete characters only."""

    def push(self, token_id: int, /) -> str: ...
    def flush(self) -> str: ...


class Codec(Protocol):
    """What thinking needs of a tokenizer."""

    def encode(self, text: str, /, *, parse_special: bool = True) -> list[int]: ...
    def detokenizer(self) -> Detokenizer: ...
    def token_bytes(self, token_id: int, /) -> bytes: ...


_SENTENCE_END = re.compile(r"\n|[^\W\d_][)}\]*$\"']{0,3}[.!?](?=\s)|[。！？]")
"""A line, or a sentence; not the number before an item of a list."""


@dataclass(slots=True)
class _Kept:
    """A token that stands in `ids`. Silent tokens (an answer's lead) are neither thought nor answer."""

    token: TracedToken
    is_silent: bool


@dataclass(slots=True)
class Chain:
    """One chain of thought as tokens and text. `new_tracker` makes a tracker in the phase in which the chain begins."""

    prompt_ids: Sequence[int]
    codec: Codec
    new_tracker: Callable[[], PhaseTracker]
    traced: TracedPath
    ids: list[int] = field(init=False)
    texts: dict[Phase, str] = field(default_factory=lambda: {"thinking": "", "answer": ""})
    n_thinking_spent: int = 0
    n_answer: int = 0
    n_discarded: int = 0
    tracker: PhaseTracker = field(init=False)
    _detokenizer: Detokenizer = field(init=False)
    _kept: list[_Kept] = field(default_factory=list[_Kept])
    _phase_start: int = 0
    _answer_began_at: int | None = None
    _n_ahead: int = 0
    """Characters of the answer that were given out, and that the tracker holds back again after a roll back."""

    def __post_init__(self) -> None:
        self.ids = list(self.prompt_ids)
        self.tracker = self.new_tracker()
        self._detokenizer = self.codec.detokenizer()

    @property
    def phase(self) -> Phase:
        return self.tracker.phase

    @property
    def phase_ids(self) -> Sequence[int]:
        """The kept ids of the present phase, a copy."""
        return self.ids[len(self.prompt_ids) + self._phase_start :]

    @property
    def last(self) -> TracedToken:
        return self._kept[-1].token

    @property
    def n_kept(self) -> int:
        """Completion tokens, forced ones included."""
        return len(self._kept)

    @property
    def has_answer(self) -> bool:
        return bool(self.texts["answer"])

    @property
    def n_unfinished(self) -> int:
        """How many sampled tokens at the end of the present phase follow its last whole sentence or line."""
        here = self._kept[self._phase_start :]
        n_sampled = next((n for n, kept in enumerate(reversed(here)) if kept.token.origin == "forced"), len(here))
        texts = [kept.token.text for kept in here[len(here) - n_sampled :]]
        whole = max((match.end() for match in _SENTENCE_END.finditer("".join(texts))), default=0)
        starts = accumulate(map(len, texts), initial=0)
        return sum(start >= whole for start in islice(starts, n_sampled))

    def append(
        self, token_id: int, origin: Origin, t: float, *, logprob: float | None = None, is_silent: bool = False
    ) -> list[Piece]:
        """Take one more token. Returns the text that became visible."""
        phase = self.phase
        text = self._detokenizer.push(token_id)
        token = TracedToken(token_id, text, phase, origin, logprob, t)
        self._count(token, +1)
        self.traced.tokens.append(token)
        self.ids.append(token_id)
        self._kept.append(_Kept(token, is_silent))
        pieces = [] if is_silent else self.tracker.feed(text)
        if self.phase != phase:
            self._phase_start = len(self._kept)
        return self._visible(pieces)

    def note_stop(self, token_id: int, t: float) -> None:
        """The model ended its turn: the stop token was sampled and is counted, and is no part of `ids`."""
        token = TracedToken(token_id, "", self.phase, "sampled", None, t)
        self._count(token, +1)
        self.traced.tokens.append(token)

    def note_rejected(self, token_id: int, t: float) -> None:
        """A banned token was sampled and is drawn again."""
        token = TracedToken(token_id, "", self.phase, "sampled", None, t, is_kept=False)
        self.n_discarded += 1
        self.n_thinking_spent += self.phase == "thinking"
        self.traced.tokens.append(token)

    def begin_answer(self) -> list[Piece]:
        """The thought ends here without a marker."""
        pieces = self.tracker.feed(self._detokenizer.flush()) + self.tracker.begin_answer()
        self._phase_start = self._answer_began_at = len(self._kept)
        return self._visible(pieces)

    def finish(self) -> list[Piece]:
        """Nothing follows: give out what was held back."""
        return self._visible(self.tracker.feed(self._detokenizer.flush()) + self.tracker.flush())

    def roll_back(self, n: int) -> None:
        """Take back the last `n` tokens of the present phase; `texts` of a thought shrink with it, those of an answer
        do not."""
        n = min(n, len(self._kept) - self._phase_start)
        for kept in self._kept[len(self._kept) - n :]:
            kept.token.is_kept = False
            if kept.token.origin == "sampled":
                self._count(kept.token, -1)
        del self._kept[len(self._kept) - n :]
        del self.ids[len(self.ids) - n :]
        self._replay()

    def roll_back_marker(self) -> int:
        """Take back a thought that was opened again in the answer, as far as nobody has seen it. Returns the id its
        marker began with."""
        first = self.ids[-1]
        while len(self._kept) > self._phase_start and (
            self.tracker.n_reopened or self.tracker.n_pending > self._n_ahead
        ):
            first = self.ids[-1]
            self.roll_back(1)
        return first

    def forget_answer(self) -> None:
        """Take back what was sampled of the answer so far, of which nobody has seen anything."""
        here = self._kept[self._phase_start :]
        n = next((n for n, kept in enumerate(reversed(here)) if kept.token.origin == "forced"), len(here))
        self.texts["answer"], self._n_ahead = "", 0
        self.roll_back(n)

    def usage(self, *, is_cancelled: bool) -> Usage:
        """Sampled tokens by purpose. A cancelled path's tokens are all discarded."""
        sampled = [t for t in self.traced.tokens if t.origin == "sampled"]
        if is_cancelled:
            return Usage(discarded_tokens=len(sampled))
        n_thinking = sum(t.is_kept and t.phase == "thinking" for t in sampled)
        n_answer = sum(t.is_kept and t.phase == "answer" for t in sampled)
        return Usage(
            thinking_tokens=n_thinking, answer_tokens=n_answer, discarded_tokens=len(sampled) - n_thinking - n_answer
        )

    def _count(self, token: TracedToken, sign: int) -> None:
        if token.origin != "sampled":
            return
        if token.phase == "answer":
            self.n_answer += sign
        elif sign > 0:
            self.n_thinking_spent += 1
        if sign < 0:
            self.n_discarded += 1

    def _visible(self, pieces: list[Piece]) -> list[Piece]:
        """What is new of `pieces`, which is noted as given out."""
        new: list[Piece] = []
        for piece in pieces:
            n_old = min(self._n_ahead, len(piece.text)) if piece.phase == "answer" else 0
            self._n_ahead -= n_old
            if text := piece.text[n_old:]:
                new.append(Piece(piece.phase, text))
                self.texts[piece.phase] += text
        return new

    def _replay(self) -> None:
        """Set up tracker and detokenizer as if only the kept tokens had ever been seen."""
        answer_was = self.texts["answer"]
        self.tracker = self.new_tracker()
        self._detokenizer = self.codec.detokenizer()
        texts: dict[Phase, str] = {"thinking": "", "answer": ""}
        for at, kept in enumerate(self._kept):
            if at == self._answer_began_at:
                self._replay_answer_start(texts)
            text = self._detokenizer.push(kept.token.id)
            for piece in [] if kept.is_silent else self.tracker.feed(text):
                texts[piece.phase] += piece.text
        if self._answer_began_at == len(self._kept):
            self._replay_answer_start(texts)
        self._n_ahead = 0
        if self.phase == "answer":
            n_shown = len(texts["answer"])
            texts["answer"] = answer_was
            n_shown += self._restore_answer(answer_was, n_shown + self.tracker.n_held)
            self._n_ahead = max(0, len(answer_was) - n_shown)
        self.texts = texts

    def _replay_answer_start(self, texts: dict[Phase, str]) -> None:
        for piece in self.tracker.feed(self._detokenizer.flush()) + self.tracker.begin_answer():
            texts[piece.phase] += piece.text

    def _restore_answer(self, answer: str, n_standing: int) -> int:
        """A roll back may cut a token whose text was given out in part; what of `answer` does not stand any more is
        forced, so that ids and text agree. Returns how many characters the tracker gave out for it."""
        n_shown = 0
        for token_id in self.codec.encode(answer[n_standing:], parse_special=False) if answer[n_standing:] else []:
            token = TracedToken(token_id, self._detokenizer.push(token_id), "answer", "forced", None, 0.0)
            self.traced.tokens.append(token)
            self.ids.append(token_id)
            self._kept.append(_Kept(token, is_silent=False))
            n_shown += sum(len(piece.text) for piece in self.tracker.feed(token.text))
        return n_shown
