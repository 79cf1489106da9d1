"""`Path`: one chain of thought, and the only loop that reads tokens and obeys decisions.

Everything is done with three moves: read on, cancel, start again from another list of ids. What always holds: the
path ends (by its limits, its policies or a stop), it has an answer or calls a tool, and its thought holds at most its
budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from bethink.engine.protocol import Engine, StreamFinish, Token, TokenStream
from bethink.profiles import Profile
from bethink.prompt.hermes import Wish
from bethink.thinking.answering import Answering
from bethink.thinking.chain import Chain, Codec
from bethink.thinking.decisions import CONTINUE, Close, Continue, Decision, Force, Policy, RollBack, Stop
from bethink.thinking.draws import Draws
from bethink.thinking.form import Form
from bethink.thinking.phases import PhaseTracker, Piece
from bethink.thinking.policies.deadline import Deadline
from bethink.thinking.reply import Reply
from bethink.thinking.seen import Seen, now
from bethink.thinking.telling import Teller
from bethink.trace import Trace, TracedPath
from bethink.types import (
    ClosedBy,
    Decided,
    Event,
    FinishReason,
    PathKind,
    PathResult,
    Sampling,
    ThoughtClosed,
    ThoughtRolledBack,
)

MAX_EMPTY = 3
"""An answer that ends before it began is tried again so often before words are put in its mouth."""
MAX_REOPENED = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """`thinking_tokens` sampled tokens for the thought; `completion_tokens` for the whole path, forced ones too."""

    thinking_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Path(Seen):
    """One chain of thought over `prompt_ids`. `policies` are asked in order; the first that does not say Continue is
    obeyed.

    `is_opened` says that the prompt itself ends in the opening marker. `thought` is an edited thought to go on from.
    `deadline` (one of the policies) also wakes a path that waits for a token. `started_at` is the request's start on
    the event loop's clock. `form` says what the answer may be; `sampling` holds no schema of its own.
    """

    engine: Engine
    codec: Codec
    profile: Profile
    prompt_ids: Sequence[int]
    sampling: Sampling
    limits: Limits
    policies: Sequence[Policy]
    trace: Trace
    emit: Callable[[Event], None]
    deadline: Deadline | None = None
    index: int = 0
    is_opened: bool = False
    thought: str = ""
    started_at: float = 0.0
    form: Form = field(default_factory=Form)
    kind: PathKind = "prose"
    chain: Chain = field(init=False)
    answering: Answering = field(init=False)
    draws: Draws = field(init=False)
    closed_by: ClosedBy | None = None
    finish: FinishReason | None = None
    first_token_s: float | None = None
    first_answer_token_s: float | None = None
    is_cancelled: bool = False
    last_text: str = ""
    n_cached: int = 0
    n_read: int = 0
    first_read_at: float = 0.0
    _stream: TokenStream | None = None
    _n_empty: int = 0
    _n_reopened: int = 0

    def __post_init__(self) -> None:
        traced = TracedPath(self.index, self.sampling.seed, self.sampling.temperature, kind=self.kind)
        self.trace.paths.append(traced)
        self.chain = Chain(self.prompt_ids, self.codec, self._new_tracker, traced)
        self.draws = Draws(self.sampling)
        form, markers = self.form, self.profile.markers
        reply = Reply(form.stop, form.tools, self._call_id, form.most_calls, markers)
        teller = Teller(self.index, self.chain, self.codec, reply, self.emit, self.form.n_logprobs)
        tail = self.profile.close_text.partition(self.profile.close_marker)[2] if self.profile.is_native else ""
        self.answering = Answering(self.form, self.chain, self.codec, teller, tail)

    async def run(self) -> PathResult:
        """Think, close, answer. Raises: EngineError when the engine dies."""
        self._open()
        while self.finish is None:
            if self.is_cancelled:
                self._obey(Stop("user", "cancelled"))
            elif self.answering.is_over:
                self._obey(Stop("stop", "nothing more belongs to the answer"))
            else:
                await self._read()
        return self._result()

    def cancel(self) -> None:
        """End the path now; its tokens are discarded. From the event loop of the request."""
        self.is_cancelled = True
        if self._stream is not None:
            self._stream.cancel()

    async def _read(self) -> None:
        """Start from what stands, read until something is to be done, and do it."""
        stream = self._stream = self.engine.start(self.chain.ids, self._next_sampling())
        try:
            async with asyncio.timeout_at(self._wake_at()) as patience:
                async for token in stream:
                    patience.reschedule(self._wake_at())
                    if self._is_rejected(token):
                        return
                    self._take(token)
                    decision = self._decide()
                    if not isinstance(decision, Continue):
                        stream.cancel()
                        self._obey(decision)
                        return
        except TimeoutError:
            self._obey(self._overdue())
        else:
            self._obey(self._at_end(stream.finish))
        finally:
            stream.cancel()

    # Beginning.

    def _new_tracker(self) -> PhaseTracker:
        begins_with_answer = not self.profile.is_native and not self.limits.thinking_tokens and not self.thought
        return PhaseTracker(
            self.profile.open_marker,
            self.profile.close_marker,
            "answer" if begins_with_answer else "thinking",
            calls=Reply(tools=self.form.tools) if self.form.tools else None,
        )

    def _open(self) -> None:
        if self.profile.is_native and not self.is_opened:
            self._force(self.codec.encode(self.profile.open_text))
        if self.thought:
            self._force(self.codec.encode(self.thought, parse_special=False))
        if self.limits.thinking_tokens <= 0:
            if self.phase == "thinking":
                self._obey(Close("budget", "there is no budget for thinking"))
            else:
                self._note_closed("budget", "there is no budget for thinking")
                self._force(self.answering.begin())

    @property
    def _n_left(self) -> int:
        """How many more tokens the path may have."""
        return self.limits.completion_tokens - self.chain.n_kept - self.answering.n_owed

    def _next_sampling(self) -> Sampling:
        """Never more tokens than the phase may hold; constrained only in the answer."""
        is_thinking = self.phase == "thinking"
        left = self._n_left
        if is_thinking and not self.profile.is_native:
            left = min(left, self.limits.thinking_tokens - self.n_thinking_spent)
        return self.draws.next(left, None if is_thinking else self.answering.held_to)

    def _wake_at(self) -> float | None:
        """When, on the loop's clock, the deadline acts even if no token comes."""
        if self.deadline is None or (self.phase == "answer" and not self.has_answer):
            return None
        return now() + max(0.0, self.deadline.due_s(self) - self.elapsed_s)

    # Reading.

    def _is_rejected(self, token: Token) -> bool:
        is_rejected = self.draws.is_rejected(token.id)
        if is_rejected:
            self.chain.note_rejected(token.id, self.elapsed_s)
        return is_rejected

    def _take(self, token: Token) -> None:
        elapsed_s = self.elapsed_s
        self.n_read += 1
        if self.first_token_s is None:
            self.first_token_s = elapsed_s
            self.first_read_at = now()
            self.n_cached = self._stream.n_cached if self._stream else 0
        self.draws.count()
        if token.id in self.sampling.stop_ids:
            self.chain.note_stop(token.id, elapsed_s)
            return
        was_thinking = self.phase == "thinking"
        pieces = self.chain.append(token.id, "sampled", elapsed_s, logprob=token.logprob)
        self.answering.teller.note(self.chain.last, token.top)
        self._show(pieces)
        if was_thinking and self.phase == "answer" and self.closed_by is None:
            self._note_closed("natural", "the model closed its thought")
        self.last_text = self.chain.last.text

    def _decide(self) -> Decision:
        if self.chain.traced.tokens[-1].id in self.sampling.stop_ids:
            return CONTINUE
        if self.phase == "answer" and self.chain.tracker.n_reopened:
            return self._on_reopened()
        if self.phase == "answer" and (decision := self.answering.after_token()) is not None:
            return decision
        for policy in self.policies:
            decision = policy.decide(self)
            if not isinstance(decision, Continue):
                return decision
        return CONTINUE

    def _at_end(self, finish: StreamFinish | None) -> Decision:
        """The stream is over: what now?"""
        if self.is_cancelled or finish == "cancelled":
            return Stop("user", "cancelled")
        is_full = self._n_left <= 0
        if self.phase == "thinking":
            if finish == "stop":
                calls = self.answering.calls_in_thought()
                return self._call(calls) if calls else Close("natural", "the model ended its turn")
            if is_full or self.n_thinking_spent >= self.limits.thinking_tokens:
                return Close("budget", "no tokens are left for the thought")
            return CONTINUE
        if finish != "stop" and not is_full:
            return CONTINUE
        self._show(self.chain.finish())
        if finish == "stop" and (decision := self.answering.at_stop(is_full=is_full)) is not None:
            return decision
        if finish == "stop":
            return Stop("stop") if self.has_answer else self._on_empty(self.chain.traced.tokens[-1].id)
        return Stop("length", "max_tokens is reached")

    def _overdue(self) -> Decision:
        cause = "no token came in time"
        return Close("deadline", cause) if self.phase == "thinking" else Stop("deadline", cause)

    def _on_empty(self, ban: int) -> Decision:
        """The answer ended before it began: take the thought's last call, or draw again, or give what stands there."""
        if calls := self.answering.calls_in_thought():
            return self._call(calls)
        self._n_empty += 1
        if self._n_empty <= MAX_EMPTY:
            return RollBack(0, "the answer was empty", ban=ban, temperature=1.0, hot_tokens=1)
        return Stop("stop", "the answer stayed empty")

    def _on_reopened(self) -> Decision:
        self._n_reopened += 1
        first = self.chain.roll_back_marker()
        if self._n_reopened <= MAX_REOPENED:
            return RollBack(0, "the thought was opened again in the answer", ban=first, temperature=1.0, hot_tokens=1)
        if self.has_answer:
            return Stop("stop", "the thought was opened again and again")
        return self._on_empty(first)

    def _call(self, wishes: Sequence[Wish]) -> Decision:
        """The model ended its turn with calls in its thought: they are its answer, as far as max_tokens reaches."""
        if self.phase == "thinking":
            if self.profile.is_native:
                self._force(self.codec.encode(self.profile.close_text))
            else:
                self._show(self.chain.begin_answer())
            self._note_closed("natural", "the model ended its turn")
        self._note("force", "the calls with which the thought ended")
        ids, is_whole = self.answering.written(wishes, self._n_left)
        self._force(ids)
        return Stop("stop" if is_whole else "length", "the thought ended with a call")

    # Obeying.

    def _obey(self, decision: Decision) -> None:
        match decision:
            case Continue():
                return
            case Force(ids, cause):
                self._note("force", cause)
                self._force(ids)
            case Close(reason, cause):
                self._close(reason, cause)
            case RollBack():
                self._roll_back(decision)
            case Stop(reason, cause):
                self.is_cancelled |= decision.is_discarded
                self._stop(reason, cause)

    def _close(self, reason: ClosedBy, cause: str) -> None:
        self.draws.cool()
        if reason == "budget" and not self.profile.is_native and not self.answering.must_hand_off:
            self._reason_on(cause)
            return
        is_empty = not self.chain.texts["thinking"]
        sentence = "" if reason == "natural" or is_empty else self._fitting(self.profile.handoff)
        if self.profile.is_native:
            self._force(self.codec.encode(sentence + self.profile.close_text))
        else:
            self._force(self.codec.encode(sentence))
            self._show(self.chain.begin_answer())
            self._force(self.codec.encode(self.form.lead(self.profile.answer_lead)), is_silent=True)
        self._note_closed(reason, cause)
        self._force(self.answering.begin())

    def _reason_on(self, cause: str) -> None:
        """A plain model whose thought is cut has reached nothing yet, and would name an answer from nowhere: its answer
        goes on with the reasoning instead, from the last whole sentence, so that it can be read by itself."""
        if n := self.chain.n_unfinished:
            self._roll_back(RollBack(n, "the budget was spent within a sentence; the answer says it whole"))
        self._show(self.chain.begin_answer())
        self._note_closed("budget", cause)
        self._force(self.answering.begin())

    def _stop(self, reason: FinishReason, cause: str) -> None:
        self._note("stop", cause or reason)
        self._show(self.chain.finish())
        self.answering.finish(is_cut=reason != "stop")
        if self.phase == "thinking" and not self.is_cancelled:
            self._note_closed("user", cause)
        elif reason != "user" and self.answering.reply.is_empty:
            self._note("force", "the answer stayed empty")
            self.answering.speak(self.limits.completion_tokens, self.elapsed_s)
        self.finish = "tool_calls" if reason == "stop" and self.answering.reply.calls else reason

    def _fitting(self, words: str) -> str:
        """Words that bethink says in a thought, where they leave half of the answer's room even if the thought spends
        its whole budget."""
        room = self._n_left - max(0, self.limits.thinking_tokens - self.n_thinking_spent)
        return words if 2 * len(self.codec.encode(words + self.profile.close_text)) <= room else ""

    def _roll_back(self, decision: RollBack) -> None:
        was_thinking = self.phase == "thinking"
        self.chain.roll_back(decision.n)
        self._note("roll_back", decision.cause, n=decision.n, ban=decision.ban, inject=decision.inject)
        if was_thinking and decision.n:
            self.emit(ThoughtRolledBack(self.index, len(self.chain.texts["thinking"]), decision.cause))
        if decision.inject:
            self._force(self.codec.encode(self._fitting(decision.inject), parse_special=False))
        self.draws.escape(decision)

    def _force(self, ids: Sequence[int], *, is_silent: bool = False) -> None:
        for token_id in ids:
            pieces = self.chain.append(token_id, "forced", self.elapsed_s, is_silent=is_silent)
            if not is_silent:
                self.answering.teller.note(self.chain.last)
            self._show(pieces, is_spoken=True)

    # Telling.

    def _show(self, pieces: list[Piece], *, is_spoken: bool = False) -> None:
        if self.first_answer_token_s is None and any(piece.phase == "answer" for piece in pieces):
            self.first_answer_token_s = self.elapsed_s
        self.answering.show(pieces, is_spoken=is_spoken)

    def _note_closed(self, reason: ClosedBy, cause: str) -> None:
        self.closed_by = reason
        self._note("close", cause, closed_by=reason)
        self.emit(ThoughtClosed(self.index, reason, self.n_thinking_spent))

    def _note(self, action: str, cause: str, **details: object) -> None:
        kept = {key: value for key, value in details.items() if value not in (None, "")}
        self.trace.decisions.append(Decided(self.index, len(self.chain.traced.tokens), action, cause, kept))

    def _result(self) -> PathResult:
        traced, thinking, reply = self.chain.traced, self.chain.texts["thinking"], self.answering.reply
        traced.closed_by, traced.finish_reason = self.closed_by, self.finish
        traced.thinking, traced.answer, traced.is_cancelled = thinking, reply.text, self.is_cancelled
        traced.tool_calls = [asdict(call) for call in reply.calls]
        return PathResult(
            index=self.index,
            thinking=thinking,
            answer=reply.text,
            closed_by=self.closed_by or "user",
            finish_reason=self.finish or "stop",
            usage=self.chain.usage(is_cancelled=self.is_cancelled),
            is_cancelled=self.is_cancelled,
            tool_calls=tuple(reply.calls),
            logprobs=tuple(self.answering.teller.logprobs),
            stop_text=reply.stop_text,
            kind=self.kind,
        )

    def _call_id(self, n: int) -> str:
        """Repeatable with the request and its seed, and different in every turn of a dialogue."""
        origin = f"{list(self.prompt_ids)} {self.sampling.seed} {self.index} {n}"
        return f"call_{sha256(origin.encode()).hexdigest()[:24]}"
