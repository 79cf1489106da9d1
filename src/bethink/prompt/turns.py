"""What a chat template is given: one mapping a turn, tools in the form the template knows, or said in messages.

Templates differ in what they know of tools. One that reads `tools` is given them; else the system message says how to
call. One that reads `tool_calls` is given those; else they stand in the content. One that knows no role "tool" gets
results as the user's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from bethink.prompt.hermes import description, instructions, read_arguments, written_calls, written_result
from bethink.types import Message, Tool, ToolCall

_LEADING_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """One mapping for the template. `source` is the index of the message whose content it holds; None: it holds
    more."""

    said: Mapping[str, object]
    source: int | None

    @property
    def content(self) -> str:
        return cast("str", self.said["content"])


Hide = Callable[[object], object]
"""Makes what users and models wrote harmless; the tags that are put around it here stay the template's own."""


def last_question(messages: Sequence[Message]) -> int:
    """Where the model is asked what it shall answer: the user's last message. What the assistant said since then, and
    what tools gave it, is no question. Where no user speaks, the last message that is neither."""
    for roles in (("user",), ("system",)):
        if found := [at for at, message in enumerate(messages) if message.role in roles]:
            return found[-1]
    return len(messages) - 1


def turns_of(
    messages: Sequence[Message], tools: Sequence[Tool], template: str, *, keep_thinking: bool, hide: Hide
) -> list[Turn]:
    """The turns for the template whose source is `template`. Arguments of calls were seen to be objects before."""
    knows_results = re.search(r"""role['"]?\]?\s*==\s*['"]tool['"]""", template) is not None
    turns: list[Turn] = []
    for at, message in enumerate(messages):
        if message.role != "tool":
            turns.append(_turn(at, message, template, keep_thinking, hide))
            continue
        content = cast("str", hide(message.content))
        if knows_results:
            said = {"role": "tool", "content": content, "tool_call_id": hide(message.tool_call_id)}
            turns.append(Turn(said, at))
        elif at and messages[at - 1].role == "tool":
            content = f"{turns[-1].content}\n{written_result(content)}"
            turns[-1] = replace(turns[-1], said={**turns[-1].said, "content": content})
        else:
            turns.append(Turn({"role": "user", "content": written_result(content)}, None))
    if tools and not _reads("tools", template):
        _say_how_to_call(turns, [hide(description(tool)) for tool in tools])
    return turns


def options_of(tools: Sequence[Tool], template: str) -> dict[str, object]:
    """What the template is given beside the turns."""
    return {"tools": [description(tool) for tool in tools]} if tools and _reads("tools", template) else {}


def _say_how_to_call(turns: list[Turn], descriptions: Sequence[object]) -> None:
    """In the system message, which is made where there is none."""
    said = instructions(descriptions)
    if turns and turns[0].said["role"] == "system":
        turns[0] = Turn({**turns[0].said, "content": f"{turns[0].content}\n\n{said}".strip()}, None)
    else:
        turns.insert(0, Turn({"role": "system", "content": said}, None))


def _turn(at: int, message: Message, template: str, keep_thinking: bool, hide: Hide) -> Turn:
    content = message.content
    if message.role != "assistant":
        return Turn({"role": message.role, "content": hide(content)}, at)
    if not keep_thinking and (thought := _LEADING_THOUGHT.match(content)):
        content = content[thought.end() :]
    content = cast("str", hide(content))
    turn = Turn({"role": "assistant", "content": content}, at)
    if message.tool_calls and _reads("tool_calls", template):
        calls = [_call(call, hide) for call in message.tool_calls]
        turn = Turn({**turn.said, "tool_calls": calls}, at)
    elif message.tool_calls:
        said = [(hide(call.name), hide(call.arguments.strip() or "{}")) for call in message.tool_calls]
        calls = written_calls(cast("list[tuple[str, str]]", said))
        turn = Turn({**turn.said, "content": "\n".join(filter(None, (content, calls)))}, None)
    if keep_thinking and message.thinking:
        return _with_thinking(turn, cast("str", hide(message.thinking)), template)
    return turn


def _call(call: ToolCall, hide: Hide) -> dict[str, object]:
    arguments = hide(read_arguments(call.arguments))  # read first: JSON can spell a marker in escapes
    return {"type": "function", "id": hide(call.id), "function": {"name": hide(call.name), "arguments": arguments}}


def _with_thinking(turn: Turn, thinking: str, template: str) -> Turn:
    for name in ("reasoning_content", "thinking"):
        if _reads(name, template):
            return Turn({**turn.said, name: thinking}, turn.source)
    is_native = "<think>" in template or "</think>" in template
    thought = f"<think>\n{thinking}\n</think>" if is_native else thinking
    return Turn({**turn.said, "content": f"{thought}\n\n{turn.content}"}, turn.source)


def _reads(name: str, template: str) -> bool:
    return re.search(rf"\b{name}\b", template) is not None
