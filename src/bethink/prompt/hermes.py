"""Tools in Hermes form: how they are shown to a model, how calls and their results stand in a dialogue, and how a
call is read back from what a model wrote.

Owns the form. A model's own template has the first word on how tools are shown; what it does not know is said in
messages here. Reading is lenient where only one meaning is possible (a missing brace, a fence, several calls in one
tag) and takes nothing else for a call: a wrong name, half an object, prose about calls stay text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn, cast

from bethink.types import Tool

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_FENCE = re.compile(r"```[a-z_]*(.*?)(?:```|\Z)", re.DOTALL)
_ARGUMENTS = ("arguments", "parameters", "args", "input")
"""What models call the arguments; the first is the form's own."""
MAX_CLOSED = 2
"""So many braces that a model forgot at the end are put there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A call as it was read: known by name, its arguments the JSON text of an object."""

    name: str
    arguments: str


def description(tool: Tool) -> dict[str, Any]:
    """As templates expect it."""
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def instructions(descriptions: Sequence[object]) -> str:
    """For a model whose template cannot show tools."""
    shown = "\n".join(json.dumps(one, ensure_ascii=False) for one in descriptions)
    return (
        f"You can call functions. Their descriptions, one a line:\n<tools>\n{shown}\n</tools>\n"
        f"To call one, write its name and its arguments as JSON inside {OPEN} tags, and nothing else:\n"
        f'{OPEN}\n{{"name": "the name", "arguments": {{"an argument": "its value"}}}}\n{CLOSE}'
    )


def written_calls(calls: Iterable[tuple[str, str]]) -> str:
    """Calls as names and the JSON texts of their arguments. A name may be any text, which stays the name."""
    named = [(json.dumps(name, ensure_ascii=False), arguments) for name, arguments in calls]
    return "\n".join(f'{OPEN}\n{{"name": {name}, "arguments": {arguments}}}\n{CLOSE}' for name, arguments in named)


def written_result(content: str) -> str:
    return f"<tool_response>\n{content}\n</tool_response>"


def read_arguments(text: str) -> dict[str, Any]:
    """The object of a call in the history; nothing at all is no arguments.

    Raises: ValueError.
    """
    value: object = json.loads(text, parse_constant=_refuse, parse_float=_finite) if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return cast("dict[str, Any]", value)


def heads(tools: Sequence[Tool]) -> tuple[str, ...]:
    """How a call without tags begins, white space left out."""
    return tuple(f'{{"name":{json.dumps(tool.name)}' for tool in tools)


def read_block(text: str, tools: Sequence[Tool], *, is_cut: bool = False) -> tuple[list[Wish], str] | None:
    """The calls in what stands between two tags, and what was said after them. None: it is no call.

    `is_cut`: the model was stopped in the middle, so what is missing was not forgotten.
    """
    body, after = unfenced(text.strip())
    wishes: list[Wish] = []
    while body:
        body = body[1:] if body.startswith("{{") else body  # Qwen2.5-Coder's template shows it so, and it is copied
        found = _next_value(body, is_cut=is_cut)
        if found is None:
            break
        value, body = found
        read = [_wish(one, tools) for one in (cast("list[object]", value) if isinstance(value, list) else [value])]
        if not read or None in read:
            return None
        wishes += [wish for wish in read if wish]
        body = body.lstrip("} \t\r\n,")  # a brace too many says nothing
    if not wishes:
        return None
    left = body.lstrip("}] \t\r\n")
    return None if left.startswith(("{", "[")) else (wishes, "\n".join(filter(None, (left, after))))


def calls_at_end(text: str, tools: Sequence[Tool]) -> list[Wish]:
    """The calls with which a text ends: whole, in tags, and nothing after them. Prose about calls is none."""
    found: list[Wish] = []
    rest = text.rstrip()
    while rest.endswith(CLOSE):
        at = rest.rfind(OPEN)
        block = read_block(rest[at + len(OPEN) : -len(CLOSE)], tools) if at >= 0 else None
        if block is None or block[1]:
            break
        found = [*block[0], *found]
        rest = rest[:at].rstrip()
    return found


def unfenced(text: str) -> tuple[str, str]:
    """What stands in the fence with which a text begins, and what after it."""
    if match := _FENCE.match(text):
        return match[1].strip(), text[match.end() :].strip()
    return text, ""


def _next_value(text: str, *, is_cut: bool) -> tuple[object, str] | None:
    """The JSON value with which `text` begins, and the rest; braces forgotten at its end are put there."""
    for n_missing in range(1 if is_cut else MAX_CLOSED + 1):
        whole = text + "}" * n_missing
        try:
            value, end = _DECODER.raw_decode(whole)
        except (ValueError, RecursionError):
            continue
        return value, whole[end:]
    return None


def _wish(value: object, tools: Sequence[Tool]) -> Wish | None:
    if not isinstance(value, dict):
        return None
    said = cast("dict[str, object]", value)
    inner = said.get("function")
    if isinstance(inner, dict):
        said = cast("dict[str, object]", inner)
    tool = next((tool for tool in tools if tool.name == said.get("name")), None)
    arguments = _arguments(said, tool) if tool else None
    return Wish(tool.name, _dumped(arguments)) if tool and arguments is not None else None


def _arguments(said: Mapping[str, object], tool: Tool) -> Mapping[str, object] | None:
    known = cast("Mapping[str, object]", tool.parameters.get("properties") or {})
    if key := next((key for key in _ARGUMENTS if key in said and (key == "arguments" or key not in known)), None):
        value = said[key]
        if isinstance(value, str):  # the object as text, as other dialects write it
            try:
                return read_arguments(value)
            except (ValueError, RecursionError):
                return None
        return cast("Mapping[str, object]", value) if isinstance(value, dict) else {} if value is None else None
    beside = {key: value for key, value in said.items() if key not in ("name", "type", "id")}
    if beside and all(key in known for key in beside):
        return beside
    return {} if not beside and not tool.parameters.get("required") else None


def _dumped(arguments: Mapping[str, object]) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if not any("\ud800" <= c <= "\udfff" for c in text) else json.dumps(arguments)


def _finite(number: str) -> float:
    """1e999 would be read as infinity, which no JSON can say."""
    value = float(number)
    return value if isfinite(value) else _refuse(number)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
