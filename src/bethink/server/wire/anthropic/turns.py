"""Anthropic's bodies, and what they come to: blocks become messages, tools and wishes a `Request`.

Owns what asking and the counting of tokens have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.server.asking.asks import Ask, BadField
from bethink.server.asking.bodies import Listed, Strict, Turns, read_body
from bethink.server.asking.drawing import TopK, TopP
from bethink.server.asking.history import ending
from bethink.server.asking.knobs import EFFORT_OF, Knobs, Level, Wish, refuse_inline, thinking_of
from bethink.server.asking.tools import Name, call, choice_of, tools_of
from bethink.types import Message, Request, Tool, ToolCall

REFUSED = {
    "mcp_servers": "call them yourself, as tools",
    "container": "this server runs no containers",
    "context_management": "nothing is cut from your messages; cut them yourself",
    "inference_geo": "everything runs where this server stands",
}


class CacheControl(Strict):
    """What stands in the cache is found without being told."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class TextBlock(Strict):
    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: Listed[Any] | None = None


class ThinkingBlock(Strict):
    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedBlock(Strict):
    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Strict):
    type: Literal["tool_use"]
    id: str
    name: Name
    input: dict[str, Any]
    cache_control: CacheControl | None = None
    caller: dict[str, Any] | None = None


class ToolResultBlock(Strict):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | Listed[TextBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = Annotated[
    TextBlock | ThinkingBlock | RedactedBlock | ToolUseBlock | ToolResultBlock, Field(discriminator="type")
]


class Turn(Strict):
    role: Literal["user", "assistant"]
    content: str | Listed[Block]


class ToolSpec(Strict):
    name: Name
    description: str | None = None
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    cache_control: CacheControl | None = None
    strict: bool | None = None
    eager_input_streaming: bool | None = None


class ToolChoice(Strict):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Strict):
    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Strict):
    effort: Level | None = None
    format: OutputFormat | None = None


class Metadata(Strict):
    user_id: str | None = None


class CountBody(Knobs):
    """What a request and the counting of its tokens have in common."""

    model: str = ""
    messages: Turns[Turn]
    system: str | Listed[TextBlock] | None = None
    tools: Listed[ToolSpec] | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    cache_control: CacheControl | None = None


class MessagesBody(CountBody):
    max_tokens: Annotated[int, Field(ge=1)]
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    stop_sequences: Listed[str] | None = None
    # no dialect of Anthropic's knows a seed; it is taken all the same
    seed: int | None = None
    # labels
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None


def read_count(body: bytes) -> Ask:
    """Of `POST /v1/messages/count_tokens`.

    Raises: BadField, UsageError.
    """
    given = read_body(CountBody, body, REFUSED)
    return Ask(given.model, request_of(given))


def request_of(given: CountBody, **rest: Any) -> Request:
    config = given.output_config or OutputConfig()
    effort = Wish("output_config.effort", None if config.effort is None else EFFORT_OF[config.effort])
    settled = thinking_of(given, effort)
    refuse_inline(given)
    messages, settled["thought"] = ending(
        tuple(_messages(given)), settled.get("thought"), "messages", takes_answers=False
    )
    choice = given.tool_choice or ToolChoice(type="auto")
    tools = tools_of([Tool(t.name, t.description or "", t.input_schema) for t in given.tools or ()])
    if choice.type == "tool" and choice.name is None:
        raise BadField("tool_choice.name", "tool_choice of type 'tool' needs a name", code="missing_field")
    wanted = {"any": "required"}.get(choice.type, choice.type)
    chosen = choice_of(wanted, tools) if choice.type != "tool" else choice_of(None, tools, name=choice.name)
    form = config.format or given.output_format
    return Request(
        messages=messages,
        tools=tools,
        tool_choice=chosen,
        parallel_tool_calls=not choice.disable_parallel_tool_use,
        json_schema=None if form is None else pydantic_core.to_json(form.schema_).decode(),
        **settled,
        **rest,
    )


def _messages(given: CountBody) -> Iterator[Message]:
    if given.system:
        yield Message("system", _text(given.system))
    for n, turn in enumerate(given.messages):
        where = f"messages.{n}"
        blocks = [TextBlock(type="text", text=turn.content)] if isinstance(turn.content, str) else turn.content
        yield from _of_assistant(blocks, where) if turn.role == "assistant" else _of_user(blocks, where)


def _of_user(blocks: Sequence[Block], where: str) -> Iterator[Message]:
    """Results of tools are messages of their own, in the order in which they stand."""
    text = list[str]()
    for n, block in enumerate(blocks):
        match block:
            case TextBlock():
                text.append(block.text)
            case ToolResultBlock():
                if text:
                    yield Message("user", "\n\n".join(text))
                    text.clear()
                content = _text(block.content or "")
                yield Message(
                    "tool", f"Error: {content}" if block.is_error else content, tool_call_id=block.tool_use_id
                )
            case _:
                raise BadField(f"{where}.content.{n}.type", f"{where}: a user's turn holds no block {block.type!r}")
    if text or not blocks:
        yield Message("user", "\n\n".join(text))


def _of_assistant(blocks: Sequence[Block], where: str) -> Iterator[Message]:
    text, thoughts, calls = list[str](), list[str](), list[ToolCall]()
    for n, block in enumerate(blocks):
        match block:
            case TextBlock():
                text.append(block.text)
            case ThinkingBlock():
                thoughts.append(block.thinking)
            case RedactedBlock():
                pass
            case ToolUseBlock():
                calls.append(call(block.id, block.name, block.input))
            case ToolResultBlock():
                raise BadField(f"{where}.content.{n}.type", f"{where}: results of tools stand in a user's turn")
    yield Message("assistant", "".join(text), "\n\n".join(filter(None, thoughts)) or None, tuple(calls))


def _text(content: str | Sequence[TextBlock]) -> str:
    return content if isinstance(content, str) else "\n\n".join(block.text for block in content)
