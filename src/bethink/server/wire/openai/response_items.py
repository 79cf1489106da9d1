"""Bodies of OpenAI's Responses, and what their items come to as messages.

An item of reasoning that comes back is history: its content, or what `encrypted_content` holds. That is no secret of
ours (it is the thought itself, packed), so a thought can be edited; one that another provider encrypted is left out, as
nobody here can read it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Listed, Strict, Turns, split_thought
from bethink.server.asking.drawing import MAX_TOP_LOGPROBS, Draws
from bethink.server.asking.knobs import Knobs
from bethink.server.asking.tools import Name, arguments_of
from bethink.types import Message, ToolCall, Truncation

PACKED = "bethink1."
Status = Literal["in_progress", "completed", "incomplete"]
REFUSED = {
    "conversation": "use previous_response_id",
    "prompt": "write the prompt out",
    "max_tool_calls": "this server runs no tools; count the calls yourself",
    "context_management": "nothing is cut from your messages; cut them yourself",
    "background_options": "use /v1/batches for what has time",
}


class InputText(Strict):
    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: Listed[Any] | None = None
    logprobs: Listed[Any] | None = None


class MessageItem(Strict):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | Listed[InputText]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class SummaryText(Strict):
    type: Literal["summary_text"]
    text: str


class ReasoningText(Strict):
    type: Literal["reasoning_text", "text"]
    text: str


class ReasoningItem(Strict):
    type: Literal["reasoning"]
    id: str | None = None
    summary: Listed[SummaryText] | None = None
    content: Listed[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class CallItem(Strict):
    type: Literal["function_call"]
    call_id: str
    name: Name
    arguments: str
    id: str | None = None
    status: Status | None = None


class OutputItem(Strict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | Listed[InputText]
    id: str | None = None
    status: Status | None = None


def _kind(item: Any) -> str:
    """A message may leave its type away."""
    kind: Any = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # anything a client sends
    return "message" if kind is None else str(kind)  # pyright: ignore[reportUnknownArgumentType]  # the same


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[OutputItem, Tag("function_call_output")],
    Discriminator(_kind),
]


class TextFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextConfig(Strict):
    format: TextFormat | None = None
    verbosity: Literal["medium"] | None = None


class ToolSpec(Strict):
    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChosenTool(Strict):
    type: Literal["function"]
    name: str


class StreamOptions(Strict):
    include_obfuscation: bool = False


class ResponsesBody(Knobs, Draws):
    model: str = ""
    input: str | Turns[Item]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    text: TextConfig | None = None
    tools: Listed[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    include: Listed[Literal["reasoning.encrypted_content", "message.output_text.logprobs"]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    truncation: Truncation | None = None
    background: Literal[False] | None = None
    # labels
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default"] | None = None

    def includes(self, what: str) -> bool:
        return what in (self.include or ())


def messages_of(given: str | Sequence[Item]) -> Iterator[Message]:
    """One message an item; `history.joined` puts together what is one turn.

    Raises: BadField.
    """
    if isinstance(given, str):
        yield Message("user", given)
        return
    for n, item in enumerate(given):
        match item:
            case MessageItem(role="assistant"):
                thought, rest = split_thought(_text(item.content))
                yield Message("assistant", rest, thought)
            case MessageItem():
                yield Message("user" if item.role == "user" else "system", _text(item.content))
            case ReasoningItem():
                if thought := thought_of(item):
                    yield Message("assistant", "", thought)
            case CallItem():
                arguments = arguments_of(item.arguments, f"input.{n}.arguments")
                yield Message("assistant", "", tool_calls=(ToolCall(item.call_id, item.name, arguments),))
            case OutputItem():
                yield Message("tool", _text(item.output), tool_call_id=item.call_id)


def items_of(given: str | Sequence[Item], prefix: str) -> list[dict[str, Any]]:
    """What was asked, as it is listed again; an item without an id gets one that begins with `prefix`."""
    if isinstance(given, str):
        asked = [MessageItem(role="user", content=[InputText(type="input_text", text=given)])]
    else:
        asked = list(given)
    return [
        {"id": f"{prefix}{n:02x}", **item.model_dump(exclude_none=True), "status": "completed"}
        for n, item in enumerate(asked)
    ]


def _text(content: str | Sequence[InputText]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def thought_of(item: ReasoningItem) -> str | None:
    """The first that is there: its content, what we packed, its summary."""
    if item.content:
        return "".join(part.text for part in item.content)
    if item.encrypted_content and (thought := unpacked(item.encrypted_content)) is not None:
        return thought
    return "\n\n".join(part.text for part in item.summary or ()) or None


def packed(thought: str) -> str:
    return PACKED + base64.urlsafe_b64encode(thought.encode("utf-8", "replace")).decode()


def unpacked(text: str) -> str | None:
    """None: another provider's."""
    if not text.startswith(PACKED):
        return None
    try:
        return base64.b64decode(text.removeprefix(PACKED), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadField("input", "an item of reasoning has a broken encrypted_content", "send it as it came") from None
