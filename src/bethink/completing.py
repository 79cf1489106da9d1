"""`CompletionRun`: a text gone on with as it stands, or the text that belongs between two.

No template, no thinking, no promise that anything follows: one start, read to its end. What always holds: the text
holds no stop text and no special token that ends a turn; special tokens spelled in the prompt stay plain text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field

from bethink.engine.protocol import Token, TokenStream
from bethink.errors import CapabilityMissing, UsageError
from bethink.loaded import Loaded, settled_seed
from bethink.prompt import Tokenizer
from bethink.thinking.chain import Chain
from bethink.thinking.drawing import drawn, refuse_odd_drawing
from bethink.thinking.phases import PhaseTracker, Trimmer
from bethink.thinking.reply import Reply
from bethink.thinking.telling import Teller
from bethink.trace import Trace, TracedPath
from bethink.types import (
    Completed,
    Completion,
    CompletionEvent,
    Event,
    FinishReason,
    Sampling,
    TextDelta,
    Timing,
    Usage,
)

MIDDLES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
)
"""What vocabularies put before the text, before what follows it, and before what belongs between. Sources: the
vocabularies of Qwen2.5-Coder, StarCoder, SantaCoder and DeepSeek-Coder."""
FILE_ENDS = ("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<file_sep>", "<filename>", "<fim_pad>")
"""What a model writes where a middle is over."""


@dataclass(slots=True)
class CompletionRun:
    """One completion while it runs: an async iterator of `TextDelta` events that ends with `Completed`."""

    model: Loaded
    completion: Completion
    trace: Trace = field(init=False)
    seed: int = field(init=False)
    _ids: list[int] = field(init=False)
    _sampling: Sampling = field(init=False)
    _chain: Chain = field(init=False)
    _teller: Teller = field(init=False)
    _said: list[Event] = field(default_factory=list[Event])
    _stream: TokenStream | None = None
    _wants_stop: bool = False
    _began: float = 0.0
    _first_s: float | None = None

    def __post_init__(self) -> None:
        asked, model = self.completion, self.model
        _refuse_nonsense(asked)
        refuse_odd_drawing(asked.drawing, model.engine.info)
        if asked.json_schema is not None and "json_schema" not in model.engine.info.capabilities:
            raise CapabilityMissing(
                f"{model.engine.info.name} cannot constrain a text to a schema", "use another engine"
            )
        self.seed = settled_seed(asked.seed)
        self._ids, ends = self._prompt()
        self._sampling = self._drawn((*model.stop_ids, *ends))
        traced = TracedPath(0, self.seed, self._sampling.temperature)
        self._chain = Chain(
            self._ids, model.tokenizer, lambda: PhaseTracker("", "", "answer", keeps_space=True), traced
        )
        reply = Reply(asked.drawing.stop, trimmer=Trimmer(keeps_space=True))
        self._teller = Teller(0, self._chain, model.tokenizer, reply, self._said.append, asked.drawing.logprobs)
        said = [{"role": "user", "content": asked.prompt}]
        told = {**asdict(asked), "messages": said, "seed": self.seed}
        self.trace = model.begun_trace(told, self._ids, model.tokenizer.decode(self._ids))
        self.trace.paths.append(traced)

    def stop(self) -> None:
        """End at the next token; `Completed` still comes, with what there is."""
        self._wants_stop = True
        if self._stream is not None:
            self._stream.cancel()

    async def __aiter__(self) -> AsyncIterator[CompletionEvent]:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        within_s = self.completion.within_s
        due = None if within_s is None else self._began + within_s
        reason: FinishReason = "length"
        self._stream = stream = self.model.engine.start(self._ids, self._sampling)
        try:
            tokens = aiter(stream)
            while not self._teller.reply.is_stopped:
                # Waiting ends at the deadline, and so does the taking of tokens that are there already and need no
                # waiting. It never ends the reader of these events, which may take its time.
                if due is not None and loop.time() >= due:
                    raise TimeoutError
                async with asyncio.timeout_at(due):
                    token = await anext(tokens, None)
                if token is None or self._wants_stop:
                    break
                self._take(token)
                for event in self._heard():
                    yield event
            reason = self._reason(stream)
        except TimeoutError:
            reason = "deadline"
        finally:
            n_cached = stream.n_cached
            stream.cancel()
        self._teller.show(self._chain.finish())
        self._teller.finish(is_cut=reason != "stop")
        for event in self._heard():
            yield event
        yield await self._completed(reason, n_cached)

    def _prompt(self) -> tuple[list[int], list[int]]:
        """The ids to go on from, and what ends a text beside the model's own stop ids."""
        asked, tokenizer = self.completion, self.model.tokenizer
        template = self.model.template
        first = tokenizer.token_id(template.bos) if template.bos and "bos_token" in template.source else None
        ids = [] if first is None else [first]
        prompt = tokenizer.encode(asked.prompt, parse_special=False)
        if asked.suffix is None:
            if not ids and not prompt:
                raise UsageError("the prompt is empty", "give some text to go on with")
            return [*ids, *prompt], []
        before, after, between = _middle(tokenizer, self.model.ref.name)
        suffix = tokenizer.encode(asked.suffix, parse_special=False)
        ends = [i for text in FILE_ENDS if (i := tokenizer.special.get(text)) is not None]
        return [*ids, before, *prompt, after, *suffix, between], [before, after, between, *ends]

    def _drawn(self, stop_ids: tuple[int, ...]) -> Sampling:
        asked, defaults = self.completion, self.model.profile.sampling
        base = Sampling(
            temperature=defaults.single_temperature if asked.temperature is None else asked.temperature,
            seed=self.seed,
            max_tokens=asked.max_tokens,
            stop_ids=tuple(dict.fromkeys(stop_ids)),
            json_schema=asked.json_schema,
        )
        return drawn(defaults, asked.drawing, base)

    def _take(self, token: Token) -> None:
        elapsed_s = asyncio.get_running_loop().time() - self._began
        self._first_s = elapsed_s if self._first_s is None else self._first_s
        if token.id in self._sampling.stop_ids:
            self._chain.note_stop(token.id, elapsed_s)
            return
        pieces = self._chain.append(token.id, "sampled", elapsed_s, logprob=token.logprob)
        self._teller.note(self._chain.last, token.top)
        self._teller.show(pieces)

    def _heard(self) -> list[TextDelta]:
        heard = [event for event in self._said if isinstance(event, TextDelta)]
        self._said.clear()
        return heard

    def _reason(self, stream: TokenStream) -> FinishReason:
        if self._wants_stop:
            return "user"
        return "stop" if self._teller.reply.is_stopped or stream.finish != "length" else "length"

    async def _completed(self, reason: FinishReason, n_cached: int) -> Completed:
        model, traced = self.model, self.trace.paths[0]
        total_s = asyncio.get_running_loop().time() - self._began
        usage = Usage(
            prompt_tokens=len(self._ids),
            answer_tokens=self._chain.n_answer,
            cached_tokens=min(n_cached, len(self._ids)),
        )
        decode_s = total_s - (self._first_s or 0.0)
        completed = Completed(
            text=self._teller.reply.text,
            finish_reason=reason,
            usage=usage,
            timing=Timing(self._first_s, self._first_s, total_s, usage.completion_tokens / max(decode_s, 1e-6)),
            model=model.ref,
            engine=model.engine.info.name,
            seed=self.seed,
            trace_id=self.trace.id,
            logprobs=tuple(self._teller.logprobs),
        )
        traced.answer, traced.finish_reason = completed.text, reason
        self.trace.result = {
            "answer": completed.text,
            "thinking": "",
            "finish_reason": reason,
            "usage": {**asdict(usage), "completion_tokens": usage.completion_tokens},
            "timing": asdict(completed.timing),
            "model": asdict(model.ref),
            "engine": completed.engine,
            "seed": self.seed,
            "trace_id": self.trace.id,
        }
        await model.keep(self.trace)
        return completed


def _middle(tokenizer: Tokenizer, name: str) -> tuple[int, int, int]:
    for texts in MIDDLES:
        before, after, between = (tokenizer.special.get(text) for text in texts)
        if before is not None and after is not None and between is not None:
            return before, after, between
    raise CapabilityMissing(
        f"{name} has no tokens for what belongs between two texts", "use a model for code, such as qwen2.5-coder:1.5b"
    )


def _refuse_nonsense(asked: Completion) -> None:
    rules = (
        (asked.max_tokens < 1, f"max_tokens {asked.max_tokens} is below 1"),
        (asked.within_s is not None and not asked.within_s > 0, f"within_s is {asked.within_s}; the deadline is over"),
        (
            asked.temperature is not None and not 0 <= asked.temperature <= 5,
            f"temperature {asked.temperature} is not between 0 and 5",
        ),
    )
    for is_wrong, message in rules:
        if is_wrong:
            raise UsageError(message)
