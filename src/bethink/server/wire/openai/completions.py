"""OpenAI's completions: `POST /v1/completions`: text is gone on with as it stands, or, with a `suffix`, what belongs
between the two is written. Nobody thinks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.errors import BethinkError
from bethink.server.asking.asks import MAX_CHOICES, Ask, BadField, Envelope, sse
from bethink.server.asking.bodies import Ids, Listed, Strict, read_body
from bethink.server.asking.drawing import Draws, drawing_of
from bethink.server.saying.telling import Answer, Part
from bethink.server.saying.words import IMPOSSIBLE, finish_reason
from bethink.server.wire.openai.words import openai_error, usage
from bethink.types import Completion, Result, TokenLogprob

MAX_TOKENS = 256
"""Where the client sets no limit: OpenAI's 16 cuts nearly everything."""


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class CompletionOurs(Strict):
    within_s: Annotated[float, Field(gt=0, le=86400)] | None = None


class CompletionBody(Draws):
    model: str = ""
    prompt: str | Listed[str] | Ids[int] | Listed[Ids[int]]
    suffix: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    echo: Literal[False] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    bethink: CompletionOurs | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Completions:
    """The dialect."""

    name: str = "completions"
    media_type: str = "text/event-stream"

    def read(self, body: bytes) -> tuple[Ask, CompletionBody]:
        given = read_body(CompletionBody, body)
        n = given.n or 1
        if given.best_of is not None and given.best_of != n:
            raise BadField("best_of", f"best_of={given.best_of} with n={n}: every choice that is written is given", "n")
        completion = Completion(
            prompt=_prompt(given.prompt),
            suffix=given.suffix,
            max_tokens=given.max_tokens or MAX_TOKENS,
            temperature=given.temperature,
            seed=given.seed,
            drawing=drawing_of(given, logprobs=given.logprobs),
            within_s=given.bethink.within_s if given.bethink else None,
        )
        return Ask(given.model, completion, n=n, is_streamed=bool(given.stream)), given

    def teller(self, known: CompletionBody, envelope: Envelope) -> CompletionTeller:
        return CompletionTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return openai_error(error)


def _prompt(given: str | list[str] | list[int] | list[list[int]]) -> str:
    if isinstance(given, str):
        return given
    if len(given) == 1 and isinstance(given[0], str):
        return given[0]
    if all(isinstance(one, str) for one in given):
        raise BadField("prompt", f"{len(given)} prompts in one request", "send one request a prompt, or a batch")
    raise BadField("prompt", "token ids depend on the model's vocabulary and are not taken", "send the text")


@dataclass(slots=True)
class CompletionTeller:
    """Writes a `text_completion`, whole or in pieces."""

    body: CompletionBody
    envelope: Envelope
    _n_chars: dict[int, int] = field(default_factory=dict[int, int])
    """Of each choice's text so far: where the next token begins."""

    def begin(self) -> Iterable[bytes]:
        return ()

    def tell(self, choice: int, part: Part, /) -> Iterable[bytes]:
        if isinstance(part, Answer):
            start = self._n_chars.get(choice, 0)
            self._n_chars[choice] = start + len(part.text)
            yield self._piece(self._choice(choice, part.text, part.logprobs, None, start))

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        for choice, result in enumerate(results):
            yield self._piece(self._choice(choice, "", (), result, self._n_chars.get(choice, 0)))
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            yield sse(pydantic_core.to_json({**self._head(), "choices": [], "usage": usage(results)}))
        yield sse(b"[DONE]")

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        yield sse(pydantic_core.to_json(openai_error(error)))

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        choices = [self._choice(n, result.answer, result.logprobs, result, 0) for n, result in enumerate(results)]
        return {**self._head(), "choices": choices, "usage": usage(results)}

    def _head(self) -> dict[str, Any]:
        at = self.envelope
        return {"id": at.id, "object": "text_completion", "created": at.created, "model": at.model}

    def _piece(self, choice: Mapping[str, Any]) -> bytes:
        return sse(pydantic_core.to_json({**self._head(), "choices": [choice]}))

    def _choice(
        self, index: int, text: str, tokens: Sequence[TokenLogprob], result: Result | None, start: int
    ) -> dict[str, Any]:
        has_logprobs = self.body.logprobs is not None and (tokens or text)
        said: dict[str, Any] = {
            "index": index,
            "text": text,
            "logprobs": _logprobs(tokens, start) if has_logprobs else None,
            "finish_reason": None if result is None else finish_reason(result),
        }
        if result is not None:
            said["bethink"] = {"seed": result.seed, "trace_id": result.trace_id, "engine": result.engine}
            said["bethink"] |= {"finish_reason": result.finish_reason}
        return said


def _logprobs(tokens: Sequence[TokenLogprob], start: int) -> dict[str, Any]:
    """In the shape that completions have had since their beginning."""
    offsets = list[int]()
    for token in tokens:
        offsets.append(start)
        start += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [IMPOSSIBLE if token.logprob is None else token.logprob for token in tokens],
        "top_logprobs": [dict(token.top) for token in tokens],
        "text_offset": offsets,
    }
