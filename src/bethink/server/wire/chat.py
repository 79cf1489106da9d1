"""OpenAI's chat completions: `POST /v1/chat/completions`.

Thoughts are told under both names that clients read, `reasoning_content` and `reasoning`, and taken back under both.
What has no place in the dialect (verdict, what closed the thought, seed, trace) stands under `bethink`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.errors import BethinkError
from bethink.server.asks import MAX_CHOICES, Ask, BadField, Envelope, sse
from bethink.server.bodies import one_of, read_body, split_thought
from bethink.server.extension import extension, progress
from bethink.server.knobs import Knobs, Strict, shows_thought, thinking_of
from bethink.server.telling import Answer, Aside, Part, Thought
from bethink.types import Message, Request, Result

FINISH: dict[str, str] = {"length": "length", "tool_calls": "tool_calls"}


class TextPart(Strict):
    type: Literal["text"]
    text: str


class ChatMessage(Strict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    name: str | None = None
    refusal: str | None = None


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class JsonSchema(Strict):
    name: str = ""
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatBody(Knobs):
    model: str = ""
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] = 1
    seed: int | None = None
    response_format: ResponseFormat | None = None
    # labels: they change no answer, so there is nothing to honour
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: Literal[False] | None = None
    modalities: list[Literal["text"]] | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """The dialect."""

    name: str = "chat"
    media_type: str = "text/event-stream"

    def read(self, body: bytes) -> tuple[Ask, ChatBody]:
        given = read_body(ChatBody, body)
        limit = one_of("max_completion_tokens", given.max_completion_tokens, "max_tokens", given.max_tokens)
        request = Request(
            messages=tuple(_message(i, m) for i, m in enumerate(given.messages)),
            max_tokens=limit,
            temperature=given.temperature,
            seed=given.seed,
            json_schema=_schema(given.response_format),
            **thinking_of(given),
        )
        return Ask(given.model, request, n=given.n, is_streamed=given.stream), given

    def teller(self, known: ChatBody, envelope: Envelope) -> ChatTeller:
        return ChatTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return openai_error(error)


def openai_error(error: BethinkError) -> Mapping[str, Any]:
    message = f"{error}" + (f" ({error.hint})" if error.hint else "")
    is_bad_field = isinstance(error, BadField)
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error" if error.http_status < 500 else "server_error",
            "param": error.field if is_bad_field else None,
            "code": error.problem if is_bad_field else error.code,
        }
    }


@dataclass(slots=True)
class ChatTeller:
    """Writes `chat.completion`, or its chunks."""

    body: ChatBody
    envelope: Envelope
    shows_thought: bool = field(init=False)
    tells_progress: bool = field(init=False)

    def __post_init__(self) -> None:
        self.shows_thought = shows_thought(self.body)
        self.tells_progress = self.body.bethink is not None and self.body.bethink.events

    def begin(self) -> Iterable[bytes]:
        for choice in range(self.body.n):
            yield self._chunk(choice, {"role": "assistant", "content": ""})

    def tell(self, choice: int, part: Part) -> Iterable[bytes]:
        match part:
            case Thought(text):
                if self.shows_thought:
                    yield self._chunk(choice, {"reasoning_content": text, "reasoning": text})
            case Answer(text):
                yield self._chunk(choice, {"content": text})
            case Aside(event):
                if self.tells_progress:
                    yield self._chunk(choice, {}, bethink=progress(event))

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        for choice, result in enumerate(results):
            yield self._chunk(choice, {}, finish=finish_reason(result), bethink=extension(result))
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            yield sse(_json({**self._head("chat.completion.chunk"), "choices": [], "usage": usage(results)}))
        yield sse(b"[DONE]")

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        yield sse(_json(openai_error(error)))

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        choices = [
            {
                "index": choice,
                "message": self._message(result),
                "logprobs": None,
                "finish_reason": finish_reason(result),
                "bethink": extension(result),
            }
            for choice, result in enumerate(results)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": usage(results)}

    def _message(self, result: Result) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": result.answer, "refusal": None}
        if self.shows_thought and result.thinking:
            message |= {"reasoning_content": result.thinking, "reasoning": result.thinking}
        return message

    def _head(self, kind: str) -> dict[str, Any]:
        at = self.envelope
        return {"id": at.id, "object": kind, "created": at.created, "model": at.model, "system_fingerprint": None}

    def _chunk(
        self,
        choice: int,
        delta: Mapping[str, Any],
        *,
        finish: str | None = None,
        bethink: Mapping[str, Any] | None = None,
    ) -> bytes:
        said: dict[str, Any] = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}
        if bethink is not None:
            said["bethink"] = bethink
        return sse(_json({**self._head("chat.completion.chunk"), "choices": [said]}))


def usage(results: Sequence[Result]) -> dict[str, Any]:
    """Summed over choices; the prompt counts once, as it was read once."""
    total = [r.usage for r in results]
    n_prompt = max((u.prompt_tokens for u in total), default=0)
    n_completion = sum(u.completion_tokens for u in total)
    return {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": sum(u.completion_tokens - u.answer_tokens for u in total)},
    }


def finish_reason(result: Result) -> str:
    return FINISH.get(result.finish_reason, "stop")


def _message(index: int, given: ChatMessage) -> Message:
    where = f"messages.{index}"
    content = given.content
    if isinstance(content, list):
        content = "".join(part.text for part in content)
    role = "system" if given.role == "developer" else given.role
    if role == "assistant":
        thought, rest = split_thought(content or "")
        told = one_of(f"{where}.reasoning_content", given.reasoning_content, f"{where}.reasoning", given.reasoning)
        return Message("assistant", rest, thinking=told or thought)
    if content is None:
        raise BadField(f"{where}.content", f"{where}.content is missing", code="missing_field")
    return Message(role, content)


def _schema(wanted: ResponseFormat | None) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return '{"type": "object"}'
    if wanted.json_schema is None or wanted.json_schema.schema_ is None:
        raise BadField("response_format.json_schema.schema", "a json_schema needs its schema", code="missing_field")
    return _json(wanted.json_schema.schema_).decode()


def _json(value: object) -> bytes:
    return pydantic_core.to_json(value)
