"""OpenAI's chat completions: `POST /v1/chat/completions`.

Thoughts are told under both names that clients read, `reasoning_content` and `reasoning`, and taken back under both;
with `reasoning_format: none` inside `content`, between `<think>` and `</think>`. What has no place in the dialect
(verdict, what closed the thought, seed, trace) stands under `bethink`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.errors import BethinkError
from bethink.server.asking.asks import MAX_CHOICES, Ask, BadField, Envelope, sse
from bethink.server.asking.bodies import Listed, Strict, Turns, one_of, read_body, split_thought
from bethink.server.asking.drawing import MAX_TOP_LOGPROBS, Draws, drawing_of, wanted_logprobs
from bethink.server.asking.history import ending
from bethink.server.asking.knobs import Knobs, shows_thought, thinking_of
from bethink.server.asking.tools import Function, Name, arguments_of, choice_of, tool, tools_of
from bethink.server.saying.extension import extension, progress
from bethink.server.saying.telling import Answer, Aside, Call, Part, Thought
from bethink.server.saying.words import finish_reason
from bethink.server.wire.openai.words import logprobs, openai_error, usage
from bethink.types import Message, Request, Result, ToolCall

REFUSED = {
    "functions": "describe them as `tools`",
    "function_call": "use `tool_choice`",
    "audio": "this server's models write text",
    "prediction": "leave it away",
    "web_search_options": "give the model a tool of your own",
    "verbosity": "say it in the prompt",
}
OPENED, CLOSED = "<think>\n", "\n</think>\n\n"


class TextPart(Strict):
    type: Literal["text"]
    text: str


class CalledFunction(Strict):
    name: Name
    arguments: str


class HistoryCall(Strict):
    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class ChatMessage(Strict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Listed[TextPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Listed[HistoryCall] | None = None
    tool_call_id: str | None = None
    # what clients send back of an answer, or as labels
    name: str | None = None
    refusal: None = None
    audio: None = None
    annotations: Listed[Any] | None = None
    function_call: None = None


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


class ToolSpec(Strict):
    type: Literal["function"]
    function: Function


class ChosenFunction(Strict):
    name: str


class ChosenTool(Strict):
    type: Literal["function"]
    function: ChosenFunction


class ChatBody(Knobs, Draws):
    model: str = ""
    messages: Turns[ChatMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    response_format: ResponseFormat | None = None
    tools: Listed[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    # labels: they change no answer, so there is nothing to honour
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: Literal[False] | None = None
    modalities: Listed[Literal["text"]] | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """The dialect."""

    name: str = "chat"
    media_type: str = "text/event-stream"

    def read(self, body: bytes) -> tuple[Ask, ChatBody]:
        given = read_body(ChatBody, body, REFUSED)
        settled = thinking_of(given)
        shows_thought(given)  # refuse a contradiction before anything runs
        messages = tuple(_message(i, m) for i, m in enumerate(given.messages))
        messages, settled["thought"] = ending(messages, settled.get("thought"), "messages", takes_answers=True)
        tools = tools_of([tool(spec.function) for spec in given.tools or ()])
        chosen = given.tool_choice
        request = Request(
            messages=messages,
            max_tokens=one_of("max_completion_tokens", given.max_completion_tokens, "max_tokens", given.max_tokens),
            temperature=given.temperature,
            seed=given.seed,
            json_schema=_schema(given.response_format),
            drawing=drawing_of(given, logprobs=wanted_logprobs(given.logprobs, given.top_logprobs)),
            tools=tools,
            tool_choice=choice_of(None, tools, name=chosen.function.name)
            if isinstance(chosen, ChosenTool)
            else choice_of(chosen, tools),
            parallel_tool_calls=given.parallel_tool_calls is not False,
            **settled,
        )
        return Ask(given.model, request, n=given.n or 1, is_streamed=bool(given.stream)), given

    def teller(self, known: ChatBody, envelope: Envelope) -> ChatTeller:
        return ChatTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return openai_error(error)


@dataclass(slots=True)
class ChatTeller:
    """Writes `chat.completion`, or its chunks."""

    body: ChatBody
    envelope: Envelope
    shows_thought: bool = field(init=False)
    is_inline: bool = field(init=False)
    tells_progress: bool = field(init=False)
    _thinking: set[int] = field(default_factory=set[int])
    """Choices whose thought stands in the content, not closed yet."""

    def __post_init__(self) -> None:
        self.shows_thought = shows_thought(self.body)
        self.is_inline = self.body.reasoning_format == "none"
        self.tells_progress = self.body.bethink is not None and self.body.bethink.events

    def begin(self) -> Iterable[bytes]:
        for choice in range(self.body.n or 1):
            yield self._chunk(choice, {"role": "assistant", "content": ""})

    def tell(self, choice: int, part: Part, /) -> Iterable[bytes]:
        match part:
            case Thought(text):
                if self.shows_thought:
                    yield self._chunk(choice, self._thought(choice, text))
            case Answer(text, tokens):
                told = logprobs(tokens) if self._has_logprobs else None
                yield self._chunk(choice, {"content": self._closed(choice) + text}, logprobs=told)
            case Call():
                if closed := self._closed(choice):
                    yield self._chunk(choice, {"content": closed})
                yield self._chunk(choice, {"tool_calls": [_call_delta(part)]})
            case Aside(event):
                if self.tells_progress:
                    yield self._chunk(choice, {}, bethink=progress(event))

    def _thought(self, choice: int, text: str) -> dict[str, str]:
        if not self.is_inline:
            return {"reasoning_content": text, "reasoning": text}
        lead = "" if choice in self._thinking else OPENED
        self._thinking.add(choice)
        return {"content": lead + text}

    def _closed(self, choice: int) -> str:
        """The closing marker, where a thought stands open in the content."""
        is_open = choice in self._thinking
        self._thinking.discard(choice)
        return CLOSED if is_open else ""

    @property
    def _has_logprobs(self) -> bool:
        return bool(self.body.logprobs)

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
                "logprobs": logprobs(result.logprobs) if self._has_logprobs else None,
                "finish_reason": finish_reason(result),
                "bethink": extension(result),
            }
            for choice, result in enumerate(results)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": usage(results)}

    def _message(self, result: Result) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": result.answer, "refusal": None}
        if self.shows_thought and result.thinking:
            if self.is_inline:
                message["content"] = f"{OPENED}{result.thinking}{CLOSED}{result.answer}"
            else:
                message |= {"reasoning_content": result.thinking, "reasoning": result.thinking}
        if result.tool_calls:
            message["content"] = message["content"] or None
            message["tool_calls"] = [_call(call) for call in result.tool_calls]
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
        logprobs: Mapping[str, Any] | None = None,
        bethink: Mapping[str, Any] | None = None,
    ) -> bytes:
        said: dict[str, Any] = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        if bethink is not None:
            said["bethink"] = bethink
        return sse(_json({**self._head("chat.completion.chunk"), "choices": [said]}))


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _call_delta(part: Call) -> dict[str, Any]:
    if not part.is_first:
        return {"index": part.index, "function": {"arguments": part.arguments}}
    function = {"name": part.name, "arguments": part.arguments}
    return {"index": part.index, "id": part.id, "type": "function", "function": function}


def _message(index: int, given: ChatMessage) -> Message:
    where = f"messages.{index}"
    content = given.content
    if isinstance(content, list):
        content = "".join(part.text for part in content)
    role = "system" if given.role == "developer" else given.role
    if role == "assistant":
        thought, rest = split_thought(content or "")
        told = one_of(f"{where}.reasoning_content", given.reasoning_content, f"{where}.reasoning", given.reasoning)
        return Message("assistant", rest, thinking=told or thought, tool_calls=_calls(where, given.tool_calls))
    if given.tool_calls:
        raise BadField(f"{where}.tool_calls", f"{where}: only the assistant calls tools")
    if content is None:
        raise BadField(f"{where}.content", f"{where}.content is missing", code="missing_field")
    return Message(role, content, tool_call_id=given.tool_call_id if role == "tool" else None)


def _calls(where: str, given: Sequence[HistoryCall] | None) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            call.id,
            call.function.name,
            arguments_of(call.function.arguments, f"{where}.tool_calls.{n}.function.arguments"),
        )
        for n, call in enumerate(given or ())
    )


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
