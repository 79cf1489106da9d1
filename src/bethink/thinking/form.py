"""`Form`: what an answer may be: free text, text held to a schema, or calls of tools; and how a forced call is begun.

Owns how `tools`, `tool_choice` and `json_schema` of a request become one value for all its paths, and every refusal of
tools that cannot be meant. A forced call is begun for the model, in the house's way: its first words are forced, what
follows is held to the tool's schema, its last words are forced again. An engine that cannot hold it to a schema cannot
promise a call, and refuses to force one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

from bethink.engine.protocol import EngineInfo
from bethink.errors import CapabilityMissing, UsageError
from bethink.prompt.hermes import CLOSE, OPEN, read_arguments
from bethink.types import Message, Request, Tool
from bethink.verify.schema import check_schema

MOST_TOOLS = 256
CALL_LEAD = "\n\nMy call, or my final answer:\n\n"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CHOICES = "one of auto, none, required, function:NAME"


@dataclass(frozen=True, slots=True)
class Form:
    """`tools` are those that may be called. An answer that is no call is held to `schema`. Where `opening` is given the
    answer begins with it, what follows is held to `opening_schema` (None: to nothing), and `ending` completes it; then
    more calls may follow, up to `most_calls`. `n_logprobs` is None where nobody asked."""

    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    schema: str | None = None
    opening: str = ""
    opening_schema: str | None = None
    ending: str = ""
    most_calls: int | None = None
    n_logprobs: int | None = None

    def lead(self, of_profile: str) -> str:
        """What a plain model's answer is begun with after its thought, unseen. A lead that asks for the final answer
        alone makes small models invent what the tool would have told them."""
        return "\n\n" if self.opening else CALL_LEAD if self.tools else of_profile

    @property
    def is_undecided(self) -> bool:
        """Whether the first words must show if a schema holds: a call does not hold to it."""
        return bool(self.schema is not None and self.tools and not self.opening)

    @property
    def first_schema(self) -> str | None:
        """What the answer is held to from its beginning (after the opening)."""
        return self.opening_schema if self.opening else None if self.is_undecided else self.schema


def form_of(request: Request, info: EngineInfo) -> Form:
    """For paths on that engine. The request was looked at by `refuse_odd_tools`.

    Raises: CapabilityMissing.
    """
    can_constrain = "json_schema" in info.capabilities
    if request.json_schema is not None and not can_constrain and request.check != "schema":
        raise CapabilityMissing(f"{info.name} cannot constrain an answer to a schema", "use another engine")
    tools, most = callable_tools(request), None if request.parallel_tool_calls else 1
    form = Form(
        stop=request.drawing.stop,
        tools=tools,
        schema=request.json_schema if can_constrain else None,
        most_calls=most,
        n_logprobs=request.drawing.logprobs,
    )
    if request.tool_choice in ("auto", "none"):
        return form
    if not can_constrain:
        raise CapabilityMissing(
            f"{info.name} cannot hold a model to a call, and tool_choice is {request.tool_choice!r}",
            "leave the choice to the model (auto), or use another engine",
        )
    is_one = len(tools) == 1
    return replace(
        form,
        opening=f'{OPEN}\n{{"name": "{tools[0].name}", "arguments": ' if is_one else f"{OPEN}\n",
        opening_schema=json.dumps(_arguments_schema(tools[0]) if is_one else _any_call(tools)),
        ending=f"}}\n{CLOSE}" if is_one else f"\n{CLOSE}",
        most_calls=1 if request.tool_choice.startswith("function:") else most,
    )


def shown_tools(request: Request) -> tuple[Tool, ...]:
    """What the model is shown: with the choice `none`, no tool at all."""
    return () if request.tool_choice == "none" else request.tools


def callable_tools(request: Request) -> tuple[Tool, ...]:
    """What the model may call."""
    name = request.tool_choice.partition(":")[2]
    return tuple(tool for tool in shown_tools(request) if not name or tool.name == name)


def refuse_odd_tools(request: Request) -> None:
    """Tools, choice and history. Raises: UsageError."""
    names = [tool.name for tool in request.tools]
    choice, colon, name = request.tool_choice.partition(":")
    if choice not in ("auto", "none", "required", "function") or bool(colon) != (choice == "function"):
        raise UsageError(f"unknown tool_choice {request.tool_choice!r}", _CHOICES)
    if choice in ("required", "function") and not names:
        raise UsageError(f"tool_choice is {request.tool_choice!r} and there are no tools", "give tools")
    if choice == "function" and name not in names:
        raise UsageError(f"tool_choice names {name!r}, which is no tool", f"one of {', '.join(names)}")
    if len(names) > MOST_TOOLS:
        raise UsageError(f"there are {len(names)} tools; {MOST_TOOLS} are allowed")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"several tools are named {twice[0]!r}", "each needs a name of its own")
    for tool in request.tools:
        _refuse_odd_tool(tool)
    refuse_odd_history(request.messages)


def refuse_odd_history(messages: Sequence[Message]) -> None:
    """Raises: UsageError."""
    asked: set[str] = set()
    for at, message in enumerate(messages):
        if message.tool_calls and message.role != "assistant":
            raise UsageError(
                f"message {at} of role {message.role!r} holds tool calls", "only the assistant calls tools"
            )
        if message.tool_call_id is not None and message.role != "tool":
            raise UsageError(
                f"message {at} of role {message.role!r} has a tool_call_id", "only role tool answers a call"
            )
        for call in message.tool_calls:
            if not _NAME.fullmatch(call.name):
                raise UsageError(f"{call.name[:80]!r} in message {at} is no name of a tool", "send it as it was called")
            try:
                read_arguments(call.arguments)
            except (ValueError, RecursionError) as error:
                raise UsageError(
                    f"the arguments of call {call.id!r} in message {at} are not the JSON text of an object: {error}"
                ) from None
            asked.add(call.id)
        if message.role == "tool" and message.tool_call_id not in asked:
            raise UsageError(
                f"message {at} of role tool answers the call {message.tool_call_id!r}, which nobody made before it",
                "send the assistant's message with its tool_calls, too",
            )


def _refuse_odd_tool(tool: Tool) -> None:
    if not _NAME.fullmatch(tool.name):
        raise UsageError(
            f"{tool.name[:80]!r} is no name for a tool", "up to 64 letters, digits, underscores, dashes and dots"
        )
    try:
        text = json.dumps(tool.parameters, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the parameters of tool {tool.name!r} are not JSON: {error}") from None
    if tool.parameters.get("type", "object") != "object":
        raise UsageError(
            f"the parameters of tool {tool.name!r} describe {tool.parameters['type']!r}",
            'they must be of "type": "object"',
        )
    if why := _complaint(text):
        raise UsageError(f"the parameters of tool {tool.name!r} are no JSON schema: {why}")


@lru_cache(maxsize=512)
def _complaint(schema: str) -> str:
    """Why a text is no schema, or nothing. Kept, because the same tools come with every request."""
    try:
        check_schema(schema, "null")
    except UsageError as error:
        return str(error)
    return ""


def _arguments_schema(tool: Tool) -> dict[str, Any]:
    return {"type": "object", **tool.parameters}


def _any_call(tools: Sequence[Tool]) -> dict[str, Any]:
    """One call of any of several tools."""
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool.name},
                "arguments": _moved(_arguments_schema(tool), f"#/anyOf/{at}/properties/arguments"),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for at, tool in enumerate(tools)
    ]
    return {"anyOf": calls}


def _moved(schema: object, place: str) -> object:
    """A schema put at `place` inside another: what it refers to in itself is now there."""
    if isinstance(schema, Mapping):
        items = cast("Mapping[str, object]", schema).items()
        return {
            key: place + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for key, value in items
        }
    return [_moved(item, place) for item in cast("list[object]", schema)] if isinstance(schema, list) else schema
