"""Anthropic's messages: `POST /v1/messages`.

A thought is a block of type `thinking` before the answer's text. Its `signature` is a digest of the thought: a client
can see that a block is as we sent it. We take back edited thoughts too, since editing a thought is what bethink is
for, and leave out `redacted_thinking`, which only its maker can read. Thoughts are told when the request speaks of
thinking; one that does not gets the answer alone, as its client expects.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from bethink.errors import BethinkError
from bethink.server.asking.asks import Ask, BadField, Envelope, sse
from bethink.server.asking.bodies import read_body, stops
from bethink.server.asking.drawing import drawn
from bethink.server.asking.knobs import Knobs, shows_thought
from bethink.server.saying.extension import extension, progress
from bethink.server.saying.telling import Answer, Aside, Call, Part, Thought
from bethink.server.saying.words import finish_reason
from bethink.server.wire.anthropic.turns import REFUSED, MessagesBody, request_of
from bethink.types import Result, Started

ERROR_TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
STOP_REASONS: dict[str, str] = {"length": "max_tokens", "tool_calls": "tool_use"}


@dataclass(frozen=True, slots=True)
class Messages:
    """The dialect."""

    name: str = "messages"
    media_type: str = "text/event-stream"

    def read(self, body: bytes) -> tuple[Ask, MessagesBody]:
        given = read_body(MessagesBody, body, REFUSED)
        request = request_of(
            given,
            max_tokens=given.max_tokens,
            temperature=given.temperature,
            seed=given.seed,
            drawing=drawn(top_p=given.top_p, top_k=given.top_k, stop=stops(given.stop_sequences, "stop_sequences")),
        )
        return Ask(given.model, request, is_streamed=bool(given.stream)), given

    def teller(self, known: MessagesBody, envelope: Envelope) -> MessagesTeller:
        return MessagesTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return anthropic_error(error)


def anthropic_error(error: BethinkError) -> Mapping[str, Any]:
    status = error.http_status
    kind = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = f"{error}" + (f" ({error.hint})" if error.hint else "")
    more = {"param": error.field, "code": error.problem} if isinstance(error, BadField) else {"code": error.code}
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def signature(thought: str) -> str:
    """The same for the same thought, on every server."""
    return base64.b64encode(b"bethink1" + hashlib.sha256(thought.encode("utf-8", "surrogatepass")).digest()).decode()


def stop_reason(result: Result) -> str:
    if result.stop_text is not None and result.finish_reason == "stop":
        return "stop_sequence"
    return STOP_REASONS.get(finish_reason(result), "end_turn")


@dataclass(slots=True)
class MessagesTeller:
    """Writes a `message`, or the events of one."""

    body: MessagesBody
    envelope: Envelope
    shows_thought: bool = field(init=False)
    is_omitted: bool = field(init=False)
    tells_progress: bool = field(init=False)
    _has_started: bool = False
    _index: int = -1
    _kind: str = ""
    """Of the block that stands open: thinking, text, or tool_use."""
    _thought: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        body = self.body
        speaks_of_it = any(getattr(body, name) is not None for name in Knobs.model_fields) or (
            body.output_config is not None and body.output_config.effort is not None
        )
        self.is_omitted = body.thinking is not None and body.thinking.display == "omitted"
        self.shows_thought = speaks_of_it and (self.is_omitted or shows_thought(body))
        self.tells_progress = body.bethink is not None and body.bethink.events

    def begin(self) -> Iterable[bytes]:
        """Nothing: the first event states the tokens of the prompt, which the first part brings."""
        return ()

    def _start(self, part: Part | None = None) -> Iterator[bytes]:
        if self._has_started:
            return
        self._has_started = True
        usage = _usage(None)
        if isinstance(part, Aside) and isinstance(part.event, Started):
            usage["input_tokens"] = part.event.prompt_tokens
        started = self._head([]) | {"stop_reason": None, "stop_sequence": None, "usage": usage}
        yield _event("message_start", {"message": started})
        yield _event("ping", {})

    def tell(self, _: int, part: Part, /) -> Iterable[bytes]:
        yield from self._start(part)
        match part:
            case Thought(text):
                if self.shows_thought:
                    yield from self._in("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                    self._thought.append(text)
                    if not self.is_omitted:
                        yield self._delta({"type": "thinking_delta", "thinking": text})
            case Answer(text):
                yield from self._in("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
            case Call():
                if part.is_first:
                    yield from self._close()
                    yield from self._in("tool_use", {"type": "tool_use", "id": part.id, "name": part.name, "input": {}})
                if part.arguments:
                    yield self._delta({"type": "input_json_delta", "partial_json": part.arguments})
            case Aside(event):
                if self.tells_progress:
                    yield _event("bethink", progress(event))

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        yield from self._start()
        yield from self._close()
        for result in results:
            delta = {"stop_reason": stop_reason(result), "stop_sequence": result.stop_text}
            yield _event("message_delta", {"delta": delta, "usage": _usage(result), "bethink": extension(result)})
        yield _event("message_stop", {})

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        yield sse(pydantic_core.to_json(anthropic_error(error)), "error")

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        result = results[0]
        content = list[dict[str, Any]]()
        if self.shows_thought and result.thinking:
            shown = "" if self.is_omitted else result.thinking
            content.append({"type": "thinking", "thinking": shown, "signature": signature(result.thinking)})
        if result.answer:
            content.append({"type": "text", "text": result.answer})
        for made in result.tool_calls:
            arguments = pydantic_core.from_json(made.arguments)
            content.append({"type": "tool_use", "id": made.id, "name": made.name, "input": arguments})
        said = {"stop_reason": stop_reason(result), "stop_sequence": result.stop_text, "usage": _usage(result)}
        return self._head(content) | said | {"bethink": extension(result)}

    def _head(self, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        at = self.envelope
        return {"id": at.id, "type": "message", "role": "assistant", "model": at.model, "content": content}

    def _in(self, kind: str, block: Mapping[str, Any]) -> Iterator[bytes]:
        """Open a block of that kind, where none stands open."""
        if self._kind != kind:
            yield from self._close()
            self._kind = kind
            self._index += 1
            yield _event("content_block_start", {"index": self._index, "content_block": block})

    def _close(self) -> Iterator[bytes]:
        if not self._kind:
            return
        if self._kind == "thinking":
            yield self._delta({"type": "signature_delta", "signature": signature("".join(self._thought))})
            self._thought.clear()
        self._kind = ""
        yield _event("content_block_stop", {"index": self._index})

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return sse(pydantic_core.to_json({"type": kind, **data}), kind)


def _usage(result: Result | None) -> dict[str, Any]:
    """In Anthropic's words what came from the cache is no input token."""
    used = None if result is None else result.usage
    cached = 0 if used is None else used.cached_tokens
    return {
        "input_tokens": 0 if used is None else used.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": 0 if used is None else used.completion_tokens,
    }
