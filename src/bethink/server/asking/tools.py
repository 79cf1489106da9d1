"""Tools as bodies describe them: functions, which of them must be called, calls and results in the history.

Every dialect spells these otherwise; here is what they come to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pydantic_core
from pydantic import Field

from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Strict
from bethink.types import Tool, ToolCall

MAX_TOOLS = 256
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class Function(Strict):
    """A function as OpenAI's dialects describe it. `strict` is taken, since their clients send it unasked: arguments
    are a JSON object, and nobody promises that it holds to the schema."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


def tool(given: Function) -> Tool:
    return Tool(given.name, given.description or "", given.parameters or {})


def tools_of(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """Raises: BadField: too many, or two of one name."""
    if len(tools) > MAX_TOOLS:
        raise BadField("tools", f"{len(tools)} tools are more than {MAX_TOOLS}", "send fewer")
    seen = set[str]()
    for n, one in enumerate(tools):
        if one.name in seen:
            raise BadField(f"tools.{n}", f"two tools are called {one.name!r}", "give each a name of its own")
        seen.add(one.name)
    return tuple(tools)


def choice_of(wanted: str | None, tools: Sequence[Tool], *, name: str | None = None) -> str:
    """`tool_choice` of a `Request`. `name`: this function must be called.

    Raises: BadField.
    """
    if name is not None:
        if name not in {one.name for one in tools}:
            raise BadField("tool_choice", f"tool_choice names {name!r}, which is not among the tools")
        return f"function:{name}"
    if wanted == "required" and not tools:
        raise BadField("tool_choice", "tool_choice='required' without tools", "send tools, or leave it away")
    return wanted or "auto"


def arguments_of(text: str, field: str) -> str:
    """The arguments of a call in the history; an empty text is no arguments.

    Raises: BadField: no JSON object.
    """
    if not text.strip():
        return "{}"
    try:
        value: Any = pydantic_core.from_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadField(field, f"{field} is not the JSON text of an object")
    return text


def call(call_id: str, name: str, arguments: object) -> ToolCall:
    """A call whose arguments came as a JSON object."""
    return ToolCall(call_id, name, pydantic_core.to_json(arguments).decode())
