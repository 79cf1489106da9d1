"""`Answering`: the answer of one path while it is written: begun in its form, held to what it must be, shown, and
ended.

The path asks it what to do when an answer begins, after each of its tokens, and when the model ends its turn. It
starts nothing itself. What always holds: a schema is held against the answer alone, never against a
thought or a call of free choice; the words of an answer that might still be started again are shown to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bethink.prompt.hermes import OPEN, Wish, calls_at_end, written_calls
from bethink.thinking.chain import Chain, Codec
from bethink.thinking.decisions import Decision, Force, Stop
from bethink.thinking.form import Form
from bethink.thinking.phases import Piece
from bethink.thinking.reply import Reply
from bethink.thinking.telling import Teller

NO_ANSWER = "I have no answer to give."


@dataclass(slots=True)
class Answering:
    """`close_tail` is what belongs between a closing marker that the model wrote and its answer. `held_to` is the
    schema of the next start."""

    form: Form
    chain: Chain
    codec: Codec
    teller: Teller
    close_tail: str = ""
    held_to: str | None = None
    _has_begun: bool = False
    _is_opened: bool = False
    _first_words: str | None = None
    """What was said so far of an answer that is a call or is held to a schema; None: that is decided."""

    @property
    def reply(self) -> Reply:
        return self.teller.reply

    @property
    def is_over(self) -> bool:
        """Whether nothing more belongs to it, whatever the model would say."""
        return self.reply.is_stopped or self.reply.is_full

    @property
    def must_hand_off(self) -> bool:
        """Whether it cannot simply go on with a reasoning that was cut."""
        return self.form.schema is not None or bool(self.form.opening)

    def begin(self) -> tuple[int, ...]:
        """The thought is over. Returns what the answer is begun with."""
        self._has_begun = True
        self.held_to = self.form.first_schema
        self._first_words = "" if self.form.is_undecided else None
        self._is_opened = bool(self.form.opening)
        return tuple(self.codec.encode(self.form.opening)) if self.form.opening else ()

    def show(self, pieces: Sequence[Piece], *, is_spoken: bool = False) -> None:
        """`is_spoken`: bethink says it for the model."""
        for piece in pieces:
            if piece.phase == "answer" and self._first_words is not None:
                self._first_words += piece.text
            else:
                self.teller.show([piece], is_spoken=is_spoken)

    def after_token(self) -> Decision | None:
        """A token of the answer came."""
        if not self._has_begun:
            ids = (*self._tail(), *self.begin())
            if self._is_opened or self.held_to is not None:
                return Force(ids, "the answer is begun in its form")
        if self._first_words:
            return self._decided(self._first_words)
        return Stop("stop", self._why_over()) if self.is_over else None

    def at_stop(self, *, is_full: bool) -> Decision | None:
        """The model ended its turn. `is_full`: it may sample nothing more."""
        if self._first_words is not None and not is_full and not (self._first_words == "" and self.calls_in_thought()):
            return self._hold_to_schema()
        if self._is_opened and self.held_to is not None:
            self._is_opened, self.held_to = False, None
            return Force(tuple(self.codec.encode(self.form.ending)), "the call is complete")
        return None

    def calls_in_thought(self) -> list[Wish]:
        """A thought that ends with a call, of a model that then says nothing, means it."""
        return calls_at_end(self.chain.texts["thinking"], self.form.tools) if self.form.tools else []

    def written(self, wishes: Sequence[Wish], most_tokens: int) -> tuple[list[int], bool]:
        """The first of `wishes` as calls, as many as fit whole, and whether that is all of them."""
        self._has_begun, self._first_words = True, None
        for n in range(len(wishes), 0, -1):
            text = written_calls((wish.name, wish.arguments) for wish in wishes[:n])
            ids = self.codec.encode(text, parse_special=False)
            if len(ids) <= most_tokens:
                return ids, n == len(wishes)
        return [], not wishes

    @property
    def n_owed(self) -> int:
        """Tokens that will be forced yet, for which room is kept."""
        return len(self.codec.encode(self.form.ending)) if self._is_opened and self.held_to is not None else 0

    def speak(self, most_tokens: int, t: float) -> None:
        """Give the answer of a model that gave none: the last line of its thought. The whole completion keeps to
        `most_tokens`: what was sampled of an answer that nobody saw makes room."""
        lines = [line.strip() for line in self.chain.texts["thinking"].splitlines() if line.strip()]
        words, said = self.reply.sayable([*lines[-1:], NO_ANSWER]), ""
        ids = self.codec.encode(words, parse_special=False)
        if self.chain.n_kept + len(ids) > most_tokens:
            self.chain.forget_answer()
        for token_id in ids:
            if said and self.chain.n_kept >= most_tokens:
                break
            self.chain.append(token_id, "forced", t)
            self.teller.note(self.chain.last)
            said += self.chain.last.text
        self.chain.finish()
        self.teller.say(said)

    def finish(self, *, is_cut: bool) -> None:
        """Nothing follows: show what was held back. `is_cut`: the model was stopped."""
        words, self._first_words = self._first_words, None
        if words:
            self.teller.show([Piece("answer", words)])
        self.teller.finish(is_cut=is_cut)

    def _decided(self, words: str) -> Decision | None:
        if OPEN.startswith(words) and words != OPEN:
            return None
        if not words.startswith(OPEN):
            return self._hold_to_schema()
        self._first_words = None
        self.teller.show([Piece("answer", words)])
        return None

    def _hold_to_schema(self) -> Decision:
        self.chain.forget_answer()
        self._first_words, self.held_to = None, self.form.schema
        tail = () if self.chain.n_kept and self.chain.last.origin == "forced" else self._tail()
        return Force(tail, "the answer is no call, and is held to its schema")

    def _tail(self) -> tuple[int, ...]:
        """What follows a marker that the model wrote itself, where it has written nothing behind it."""
        return () if self.chain.has_answer else tuple(self.codec.encode(self.close_tail))

    def _why_over(self) -> str:
        return "a stop text was written" if self.reply.is_stopped else "one call is made"
