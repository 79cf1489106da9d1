"""Ollama's chat: `POST /api/chat`, one JSON object a line.

Its calls and results have no ids; a result answers the first call of its tool that has none yet. A call is told when it
is whole, as its clients expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pydantic_core

from bethink.errors import BethinkError
from bethink.server.asking.asks import Ask, BadField, Envelope
from bethink.server.asking.bodies import Listed, Strict, Turns, read_body, split_thought
from bethink.server.asking.history import ending
from bethink.server.asking.knobs import Wish, refuse_inline, shows_thought, thinking_of, truncation_of
from bethink.server.asking.tools import Function, Name, call, tool, tools_of
from bethink.server.saying.telling import Answer, Aside, Call, Part, Thought
from bethink.server.wire.ollama.words import (
    NDJSON,
    REFUSED,
    LineTeller,
    OllamaBody,
    asked_of,
    head,
    limits_of,
    line,
    ollama_error,
)
from bethink.types import Message, Request, Result, ToolCall


class CalledFunction(Strict):
    name: Name
    arguments: dict[str, Any]
    index: int | None = None
    description: str | None = None


class HistoryCall(Strict):
    id: str | None = None
    type: Literal["function"] | None = None
    function: CalledFunction


class Turn(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: Listed[str] | None = None
    tool_calls: Listed[HistoryCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None


class ToolSpec(Strict):
    type: Literal["function"] | None = None
    function: Function


class ChatBody(OllamaBody):
    """`truncate` must be asked for: what nobody asked for is not left out."""

    messages: Turns[Turn]
    truncate: bool | None = None
    tools: Listed[ToolSpec] | None = None


@dataclass(frozen=True, slots=True)
class OllamaChat:
    """The dialect."""

    name: str = "ollama_chat"
    media_type: str = NDJSON

    def read(self, body: bytes) -> tuple[Ask, ChatBody]:
        given = read_body(ChatBody, body, REFUSED)
        settled = thinking_of(given)
        shows_thought(given)
        refuse_inline(given)
        messages = tuple(_Turns().read(given.messages))
        messages, settled["thought"] = ending(messages, settled.get("thought"), "messages", takes_answers=False)
        wants_less = None if given.truncate is None else "auto" if given.truncate else "disabled"
        settled["truncation"] = truncation_of(given, Wish("truncate", wants_less))
        tools = tools_of([tool(spec.function) for spec in given.tools or ()])
        request = Request(messages=messages, tools=tools, **limits_of(given), **settled)
        return Ask(given.model, request, **asked_of(given)), given

    def teller(self, known: ChatBody, envelope: Envelope) -> ChatTeller:
        return ChatTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return ollama_error(error)


@dataclass(slots=True)
class _Turns:
    """Reads turns in order. `open_calls` wait for their results, as (id, name)."""

    open_calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    n_calls: int = 0

    def read(self, turns: Sequence[Turn]) -> Iterator[Message]:
        for n, turn in enumerate(turns):
            where = f"messages.{n}"
            if turn.images:
                raise BadField(f"{where}.images", "this server's models read text, not images", "send text")
            content = turn.content or ""
            if turn.role == "assistant":
                thought, rest = split_thought(content)
                yield Message("assistant", rest, turn.thinking or thought, tuple(self._calls(turn)))
            elif turn.role == "tool":
                yield Message("tool", content, tool_call_id=self._answered(turn, where))
            else:
                yield Message(turn.role, content)

    def _calls(self, turn: Turn) -> Iterator[ToolCall]:
        for given in turn.tool_calls or ():
            self.n_calls += 1
            made = call(given.id or f"call_{self.n_calls}", given.function.name, given.function.arguments)
            self.open_calls.append((made.id, made.name))
            yield made

    def _answered(self, turn: Turn, where: str) -> str:
        name = turn.tool_name or turn.name
        fits = [c for c in self.open_calls if turn.tool_call_id in (None, c[0]) and name in (None, c[1])]
        if not fits:
            raise BadField(where, f"{where} is the result of a call that nobody made", "send the assistant's turn too")
        self.open_calls.remove(fits[0])
        return fits[0][0]


@dataclass(slots=True)
class ChatTeller(LineTeller):
    """Writes lines, or one object."""

    _call: Call | None = None
    _n_calls: int = 0

    def tell(self, _: int, part: Part, /) -> Iterable[bytes]:
        if not isinstance(part, Call) or part.is_first:
            yield from self._called()
        match part:
            case Thought(text):
                if self.shows_thought:
                    yield self._line({"content": "", "thinking": text})
            case Answer(text, logprobs):
                yield self._line({"content": text}, **self.told(logprobs))
            case Call():
                before = "" if self._call is None else self._call.arguments
                self._call = Call(part.index, part.id, part.name, before + part.arguments, part.is_first)
            case Aside():
                yield from self.aside(part, {"message": {"role": "assistant", "content": ""}})

    def _called(self) -> Iterator[bytes]:
        if self._call is not None:
            made, self._call = self._call, None
            yield self._line({"content": "", "tool_calls": [_call(made.index, made.id, made.name, made.arguments)]})

    def _line(self, message: Mapping[str, Any], **more: Any) -> bytes:
        return line({**head(self.envelope), "message": {"role": "assistant", **message}, "done": False, **more})

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        yield from self._called()
        for result in results:
            yield line(
                {
                    **head(self.envelope),
                    "message": {"role": "assistant", "content": ""},
                    **self.final(result),
                }
            )

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        result = results[0]
        message: dict[str, Any] = {"role": "assistant", "content": result.answer}
        if self.shows_thought and result.thinking:
            message["thinking"] = result.thinking
        if result.tool_calls:
            message["tool_calls"] = [_call(n, c.id, c.name, c.arguments) for n, c in enumerate(result.tool_calls)]
        return {
            **head(self.envelope),
            "message": message,
            **self.told(result.logprobs),
            **self.final(result),
        }


def _call(index: int, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "function": {"index": index, "name": name, "arguments": pydantic_core.from_json(arguments)}}
