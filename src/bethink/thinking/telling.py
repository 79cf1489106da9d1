"""`Teller`: what one path gives out becomes events: its thought as it is, its answer as its `Reply` reads it.

What always holds: the text, calls and logprobs of a path's events, joined, are those of its result; a token's logprob
comes with the text that it carries, and tokens whose text is not shown (a call, a stop text, white space at the
edges) bring none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bethink.thinking.chain import Chain, Codec
from bethink.thinking.phases import Piece
from bethink.thinking.reply import Out, Reply
from bethink.trace import TracedToken
from bethink.types import Event, TextDelta, TokenLogprob, ToolCall, ToolCallDelta

Top = Sequence[tuple[int, float]]


@dataclass(slots=True)
class Teller:
    """`n_logprobs` as in `Drawing`."""

    index: int
    chain: Chain
    codec: Codec
    reply: Reply
    emit: Callable[[Event], None]
    n_logprobs: int | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    _pending: list[tuple[TracedToken, Top]] = field(default_factory=list[tuple[TracedToken, Top]])

    def note(self, token: TracedToken, top: Top = ()) -> None:
        """A token came; its text may be shown later."""
        if self.n_logprobs is not None and token.phase == "answer" and not self.chain.tracker.is_marker(token.text):
            self._pending.append((token, top))

    def show(self, pieces: Sequence[Piece], *, is_spoken: bool = False) -> None:
        """`is_spoken`: bethink says it for the model."""
        for piece in pieces:
            if piece.phase == "thinking":
                self.emit(TextDelta(self.index, "thinking", piece.text, self.chain.n_thinking_spent))
            else:
                self._tell(self.reply.feed(piece.text, is_spoken=is_spoken))

    def finish(self, *, is_cut: bool) -> None:
        """Nothing follows. `is_cut`: the model was stopped."""
        self._tell(self.reply.finish(is_cut=is_cut))

    def say(self, text: str) -> None:
        """Words that are put in the model's mouth."""
        self._tell(self.reply.say(text))

    def _tell(self, said: Sequence[Out]) -> None:
        n_told = len(self.reply.calls) - sum(isinstance(out, ToolCall) for out in said)
        logprobs = self._carrying(sum(len(out) for out in said if isinstance(out, str)))
        for out in said:
            if isinstance(out, ToolCall):
                self.emit(ToolCallDelta(self.index, n_told, out.id, out.name, out.arguments))
                n_told += 1
            else:
                self.emit(TextDelta(self.index, "answer", out, self.chain.n_answer, logprobs))
                self.logprobs += logprobs
                logprobs = ()

    def _carrying(self, n_chars: int) -> tuple[TokenLogprob, ...]:
        """The tokens that carry the last `n_chars` characters before those that are held back."""
        if self.n_logprobs is None or not n_chars:
            return ()
        pending = [one for one in self._pending if one[0].is_kept]
        n_held = self.chain.tracker.n_held + self.reply.n_held
        stop = len(pending)
        while stop and n_held and len(pending[stop - 1][0].text) <= n_held:
            stop -= 1
            n_held -= len(pending[stop][0].text)
        start, n_left = stop, n_chars + n_held
        while start and n_left > 0:
            start -= 1
            n_left -= len(pending[start][0].text)
        while start and not pending[start - 1][0].text:  # the first bytes of a character that is completed later
            start -= 1
        self._pending = pending[stop:]
        return tuple(self._logprob(token, top) for token, top in pending[start:stop])

    def _logprob(self, token: TracedToken, top: Top) -> TokenLogprob:
        raw = self.codec.token_bytes(token.id)
        likely = tuple((self.codec.token_bytes(i).decode("utf-8", "replace"), logprob) for i, logprob in top)
        return TokenLogprob(raw.decode("utf-8", "replace"), token.logprob, raw, likely[: self.n_logprobs])
