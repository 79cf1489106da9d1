"""An engine that plays written tokens, for tests and documentation: no weights, no threads, the event loop's own clock.

A script says what follows a context. The short form is a mapping from a marker to what is said after it:

    ScriptedEngine({
        "assistant\\n": "<think>two and two</think>It is 4.",   # after the prompt
        "No more time.\\n": ["It is 4.", "It is 5."],           # after a forced hand-off; the seed chooses
    })

The marker that ends last in the context decides, and what already stands behind it must be a beginning of the line: so
a start from a longer or shorter list goes on where the list ends, and forced text changes what follows. A line that is
said to its end goes on with `<|im_end|>` for ever, as a model does whose stop token was not asked to stop it. The long
form is a function from `Context` to what is said next. A context the script does not know is an error.

Departure from real engines: a stream that nobody reads keeps its place but makes no progress of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from bethink.engine.limits import refuse_the_impossible
from bethink.engine.protocol import Capability, EngineInfo, StreamFinish, Token
from bethink.errors import EngineClosed, EngineError
from bethink.types import Sampling

END = "<|im_end|>"
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", END, "<think>", "</think>")


def scripted_tokenizer() -> Tokenizer:
    """One token a byte (its id is the byte), then `SPECIAL_TOKENS`: a text's tokens never depend on its neighbours."""
    tokenizer = Tokenizer(models.BPE(vocab={_byte_symbol(byte): byte for byte in range(256)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS]
    tokenizer.add_special_tokens(special)  # pyright: ignore[reportUnknownMemberType]  # its stub says a bare `list`
    return tokenizer


def _byte_symbol(byte: int) -> str:
    """The printable stand-in for a byte in byte-level BPE. Source: GPT-2's encoder, `bytes_to_unicode`."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in printable:
        return chr(byte)
    return chr(256 + [other for other in range(256) if other not in printable].index(byte))


@dataclass(frozen=True, slots=True)
class Line:
    """What is said: `text` once (ids where text cannot say it), then for ever `loop`, or `<|im_end|>` without one.

    `logprob` is one value for every token or a function of the token's place in the line. `others` are what else was
    likely at every place: texts, of which the first token is meant, with their logprobs.
    """

    text: str | tuple[int, ...]
    loop: str = ""
    logprob: float | Callable[[int], float] = -0.1
    others: tuple[tuple[str, float], ...] = ()

    def logprob_at(self, place: int) -> float:
        return self.logprob(place) if callable(self.logprob) else self.logprob


Said = str | Line | Sequence[str | Line]
"""One line, or alternatives among which the seed chooses (`alternatives[seed % n]`, or the next that fits)."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a scripting function sees of one start. `n_start` counts the engine's starts from 0."""

    ids: tuple[int, ...]
    text: str
    sampling: Sampling
    n_start: int


Script = Mapping[str, Said] | Callable[[Context], Said]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in one start after `after` tokens of it.

    `dies`: this stream raises `EngineError`; `kills_engine`: the whole engine is gone (`EngineClosed` for everyone);
    `stalls`: no further token ever comes.
    """

    kind: Literal["dies", "kills_engine", "stalls"]
    after: int = 0


@dataclass(slots=True, eq=False)
class _Seat:
    """One stream's share of the engine. Guarded by the engine's lock."""

    n_tokens: int
    is_admitted: bool = False
    is_over: bool = False
    n_changes: int = 0
    wake: Callable[[], None] | None = None

    def change(self) -> None:
        self.n_changes += 1
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()


class ScriptedEngine:
    """Plays `script`. `token_delay_s` and `first_token_s` run on the reader's event loop clock.

    `kv_tokens` bounds what runs at once (ids plus `max_tokens` of each); the rest waits in order. `faults[n]` befalls
    the n-th start. `starts` keeps every context that was started, for tests to look at. `n_cached` is what every stream
    says of its prompt. A script that is given the capabilities `json_schema` or `penalties` sees in `Context.sampling`
    what was asked, and must itself say what holds to it.
    """

    def __init__(
        self,
        script: Script,
        *,
        context_length: int = 32_768,
        kv_tokens: int = 1_048_576,
        token_delay_s: float = 0.0,
        first_token_s: float = 0.0,
        capabilities: frozenset[Capability] = frozenset({"logprobs", "top_logprobs"}),
        n_cached: int = 0,
        faults: Sequence[Fault | None] = (),
    ) -> None:
        self.tokenizer = scripted_tokenizer()
        self.starts: list[Context] = []
        self.token_delay_s = token_delay_s
        self.first_token_s = first_token_s
        self.n_cached = n_cached
        self._script = script
        self._faults = tuple(faults)
        self._info = EngineInfo("scripted", "0" * 64, context_length, kv_tokens, capabilities)
        self._lock = threading.RLock()  # re-entered when a stream is garbage collected inside it
        self._waiting: deque[_Seat] = deque()
        self._running: set[_Seat] = set()
        self._is_closed = False

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def n_running(self) -> int:
        """Streams that hold a place, not counting those that wait."""
        return len(self._running)

    def start(self, ids: Sequence[int], sampling: Sampling) -> ScriptedStream:
        refuse_the_impossible(self._info, ids, sampling, self.tokenizer.get_vocab_size())
        seat = _Seat(len(ids) + sampling.max_tokens)
        with self._lock:
            if self._is_closed:
                raise EngineClosed("the scripted engine is closed")
            n_start = len(self.starts)
            text = self.tokenizer.decode(list(ids), skip_special_tokens=False)
            context = Context(tuple(ids), text, sampling, n_start)
            self.starts.append(context)
            part = self._part(context)
            self._waiting.append(seat)
            self._admit()
        fault = self._faults[n_start] if n_start < len(self._faults) else None
        return ScriptedStream(self, seat, part, sampling, fault)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            seats = [*self._waiting, *self._running]
            self._waiting.clear()
            self._running.clear()
            for seat in seats:
                seat.change()

    def release(self, seat: _Seat) -> None:
        """Give a place back, from any thread; streams call it when they end, are cancelled or are collected."""
        with self._lock:
            if seat.is_over:
                return
            seat.is_over = True
            self._running.discard(seat)
            if not seat.is_admitted and seat in self._waiting:
                self._waiting.remove(seat)
            self._admit()
            seat.change()

    def watch(self, seat: _Seat, n_seen: int, wake: Callable[[], None]) -> bool:
        """Have `wake` called (from any thread) at the seat's next change. False: there was one since `n_seen`."""
        with self._lock:
            seat.wake = wake
            return seat.n_changes == n_seen

    def _admit(self) -> None:
        while self._waiting:
            n_used = sum(seat.n_tokens for seat in self._running)
            if n_used + self._waiting[0].n_tokens > self._info.kv_tokens:
                return
            seat = self._waiting.popleft()
            seat.is_admitted = True
            self._running.add(seat)
            seat.change()

    def _part(self, context: Context) -> _Part:
        if callable(self._script):
            alternatives = [self._written(line, context) for line in _alternatives(self._script(context))]
            return alternatives[context.sampling.seed % len(alternatives)]
        found: list[tuple[int, int, Said]] = []
        for marker, said in self._script.items():
            end = _end_of_last(self._encode(marker), context.ids)
            if end is not None:
                found.append((end, len(marker), said))
        for end, _, said in sorted(found, key=lambda place: place[:2], reverse=True):
            lines = _alternatives(said)
            for offset in range(len(lines)):
                part = self._written(lines[(context.sampling.seed + offset) % len(lines)], context, end)
                if part.agrees:
                    return part
        raise EngineError(
            f"the script has no line for a context that ends in {context.text[-120:]!r}",
            f"Add a rule; it knows the markers {list(self._script)!r}.",
        )

    def _written(self, line: str | Line, context: Context, line_start: int | None = None) -> _Part:
        line = Line(line) if isinstance(line, str) else line
        said = context.ids[len(context.ids) if line_start is None else line_start :]
        text = self._encode(line.text) if isinstance(line.text, str) else line.text
        others = tuple((self._encode(text)[0], logprob) for text, logprob in line.others)
        return _Part(line, text, self._encode(line.loop or END), said, others)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)


@dataclass(slots=True)
class _Part:
    """A line as ids, of which the context holds the beginning `said` already."""

    line: Line
    text: tuple[int, ...]
    loop: tuple[int, ...]
    said: tuple[int, ...]
    others: tuple[tuple[int, float], ...] = ()

    @property
    def agrees(self) -> bool:
        return all(token == mine for token, mine in zip(self.said, self._all(), strict=False))

    def tokens(self) -> Iterator[Token]:
        for place, token in enumerate(self._all()):
            if place >= len(self.said):
                logprob = self.line.logprob_at(place)
                likely = [(token, logprob), *(other for other in self.others if other[0] != token)]
                yield Token(token, logprob, tuple(sorted(likely, key=lambda one: -one[1])))

    def _all(self) -> Iterator[int]:
        return itertools.chain(self.text, itertools.cycle(self.loop))


@dataclass(slots=True, eq=False)
class ScriptedStream:
    """The tokens of one start. Read by one task; cancelled from anywhere."""

    engine: ScriptedEngine
    seat: _Seat
    part: _Part
    sampling: Sampling
    fault: Fault | None
    n_tokens: int = 0
    finish: StreamFinish | None = None
    _tokens: Iterator[Token] = field(init=False)
    _due_s: float | None = None
    _error: EngineError | None = None

    def __post_init__(self) -> None:
        self._tokens = self.part.tokens()

    def __aiter__(self) -> AsyncIterator[Token]:
        return self

    async def __anext__(self) -> Token:
        await asyncio.sleep(0)  # streams without delays take turns
        if self.finish is None and self._error is None:
            await self._until_due()
            self._suffer()
        if self._error is not None:
            raise self._error
        if self.finish is not None:
            raise StopAsyncIteration
        self.n_tokens += 1
        token = next(self._tokens)
        if token.id in self.sampling.stop_ids:
            self._end("stop")
        elif self.n_tokens == self.sampling.max_tokens:
            self._end("length")
        if not self.sampling.logprobs:
            return Token(token.id)
        return Token(token.id, token.logprob, token.top[: self.sampling.top_logprobs])

    def cancel(self) -> None:
        self._end("cancelled")

    @property
    def n_cached(self) -> int:
        return min(self.engine.n_cached, self.seat.n_tokens - self.sampling.max_tokens)

    def __del__(self) -> None:
        self.engine.release(self.seat)

    def _end(self, finish: StreamFinish) -> None:
        if self.finish is None and self._error is None:
            self.finish = finish
        self.engine.release(self.seat)

    def _suffer(self) -> None:
        if self.finish is not None:
            return
        if self.engine.is_closed:
            self._error = EngineClosed("the scripted engine was closed while it played")
        elif self.fault is not None and self.n_tokens >= self.fault.after:
            if self.fault.kind == "kills_engine":
                self.engine.close()
                self._error = EngineClosed(f"the scripted engine died after {self.n_tokens} tokens, as written")
            else:
                self._error = EngineError(f"the scripted stream died after {self.n_tokens} tokens, as written")
                self.engine.release(self.seat)

    @property
    def _is_stalled(self) -> bool:
        return self.fault is not None and self.fault.kind == "stalls" and self.n_tokens >= self.fault.after

    async def _until_due(self) -> None:
        """Wait for a place, then for the next token's time; a cancel or a close ends the wait."""
        n_seen = self.seat.n_changes
        while not self.seat.is_admitted and await self._change(n_seen, None):
            n_seen = self.seat.n_changes
        if self._due_s is None:
            self._due_s = asyncio.get_running_loop().time() + self.engine.first_token_s
        self._due_s += self.engine.token_delay_s
        while (left_s := self._due_s - asyncio.get_running_loop().time()) > 0 or self._is_stalled:
            if not await self._change(self.seat.n_changes, None if self._is_stalled else left_s):
                return

    async def _change(self, n_seen: int, timeout_s: float | None) -> bool:
        """Wait until the seat has changed since `n_seen` or the time is up. False: the stream is over."""
        if self.seat.is_over or self.engine.is_closed:
            return False
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the reader's loop is gone, and the reader with it
                loop.call_soon_threadsafe(changed.set)

        if self.engine.watch(self.seat, n_seen, wake):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), timeout_s)
        return True


def _alternatives(said: Said) -> Sequence[str | Line]:
    return [said] if isinstance(said, str | Line) else said


def _end_of_last(marker: tuple[int, ...], ids: tuple[int, ...]) -> int | None:
    for end in range(len(ids), len(marker) - 1, -1):
        if ids[end - len(marker) : end] == marker:
            return end
    return None
