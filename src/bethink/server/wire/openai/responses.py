"""OpenAI's Responses: `POST /v1/responses`.

A thought is an item of type `reasoning` whose content is the thought itself; where a summary is asked for, it is that
too, since nobody here writes another. Answers are kept for `previous_response_id` unless `store` is false.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from bethink.errors import BethinkError
from bethink.server.asking.asks import MAY_WRITE, OWNER, Ask, BadField, Envelope, sse
from bethink.server.asking.bodies import read_body
from bethink.server.asking.drawing import drawing_of
from bethink.server.asking.history import ending, joined
from bethink.server.asking.knobs import Wish, refuse_inline, shows_thought, thinking_of, truncation_of
from bethink.server.asking.tools import choice_of, tools_of
from bethink.server.saying.extension import extension, progress
from bethink.server.saying.telling import Answer, Aside, Call, Part, Thought
from bethink.server.saying.words import finish_reason, logprob
from bethink.server.wire.openai.response_items import REFUSED, ChosenTool, ResponsesBody, items_of, messages_of, packed
from bethink.server.wire.openai.response_store import Kept, ResponseStore
from bethink.server.wire.openai.words import openai_error
from bethink.types import Message, Request, Result, TokenLogprob, Tool

LOGPROBS, ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"


@dataclass(frozen=True, slots=True)
class Known:
    """`messages` are the dialogue without the instructions, which are said anew each time, and without a thought to go
    on with, which will be part of the answer's."""

    body: ResponsesBody
    messages: tuple[Message, ...]
    owner: str
    may_write: bool = False


@dataclass(frozen=True, slots=True)
class Responses:
    """The dialect. What it answers is kept in `store`."""

    store: ResponseStore
    name: str = "responses"
    media_type: str = "text/event-stream"

    def read(self, body: bytes) -> tuple[Ask, Known]:
        given = read_body(ResponsesBody, body, REFUSED)
        _refuse(given)
        settled = thinking_of(given)
        owner, before = OWNER.get(), tuple[Message, ...]()
        if given.previous_response_id is not None:
            before = tuple(self.store.find(given.previous_response_id, owner).messages)
        dialogue = joined((*before, *messages_of(given.input)))
        asked, settled["thought"] = ending(dialogue, settled.get("thought"), "input", takes_answers=True)
        system = (Message("system", given.instructions),) if given.instructions else ()
        tools = tools_of([Tool(t.name, t.description or "", t.parameters or {}) for t in given.tools or ()])
        chosen = given.tool_choice
        settled["truncation"] = truncation_of(given, Wish("truncation", given.truncation))
        request = Request(
            messages=(*system, *asked),
            max_tokens=given.max_output_tokens,
            temperature=given.temperature,
            seed=given.seed,
            json_schema=_schema(given),
            drawing=drawing_of(given, logprobs=_logprobs(given)),
            tools=tools,
            tool_choice=choice_of(None, tools, name=chosen.name)
            if isinstance(chosen, ChosenTool)
            else choice_of(chosen, tools),
            parallel_tool_calls=given.parallel_tool_calls is not False,
            **settled,
        )
        return Ask(given.model, request, is_streamed=bool(given.stream)), Known(given, asked, owner, MAY_WRITE.get())

    def teller(self, known: Known, envelope: Envelope) -> ResponsesTeller:
        return ResponsesTeller(known, envelope, self.store)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return openai_error(error)


def _refuse(given: ResponsesBody) -> None:
    shows_thought(given)
    refuse_inline(given)
    reasoning = given.reasoning
    for name in ("summary", "generate_summary"):
        if reasoning is not None and getattr(reasoning, name) == "concise":
            raise BadField(
                f"reasoning.{name}", "nobody here writes a concise summary of a thought", '"auto" or "detailed"'
            )


def _logprobs(given: ResponsesBody) -> int | None:
    if given.top_logprobs or given.includes(LOGPROBS):
        return given.top_logprobs or 0
    return None


def _schema(given: ResponsesBody) -> str | None:
    form = given.text.format if given.text else None
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return '{"type": "object"}'
    if form.schema_ is None:
        raise BadField("text.format.schema", "a json_schema needs its schema", code="missing_field")
    return pydantic_core.to_json(form.schema_).decode()


@dataclass(slots=True)
class _Open:
    """The item that a stream is writing."""

    kind: str
    index: int
    id: str
    call: Call | None = None
    text: list[str] = field(default_factory=list[str])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])


@dataclass(slots=True)
class ResponsesTeller:
    """Writes a `response`, or the events that lead to one."""

    known: Known
    envelope: Envelope
    store: ResponseStore
    shows_thought: bool = field(init=False)
    _n_events: int = 0
    _open: _Open | None = None
    _output: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __post_init__(self) -> None:
        self.shows_thought = shows_thought(self.known.body)

    @property
    def _summarises(self) -> bool:
        reasoning = self.known.body.reasoning
        return reasoning is not None and bool(reasoning.summary or reasoning.generate_summary)

    # As a stream.

    def begin(self) -> Iterable[bytes]:
        for kind in ("created", "in_progress"):
            yield self._event(f"response.{kind}", response=self._response("in_progress", []))

    def tell(self, _: int, part: Part, /) -> Iterable[bytes]:
        match part:
            case Thought(text):
                if self.shows_thought:
                    item = yield from self._in("reasoning")
                    item.text.append(text)
                    yield self._in_part("response.reasoning_text.delta", item, content_index=0, delta=text)
                    if self._summarises:
                        name = "response.reasoning_summary_text.delta"
                        yield self._in_part(name, item, summary_index=0, delta=text)
            case Answer(text, tokens):
                item = yield from self._in("message")
                item.text.append(text)
                item.logprobs += tokens
                told = [logprob(token) for token in tokens]
                yield self._in_part("response.output_text.delta", item, content_index=0, delta=text, logprobs=told)
            case Call():
                item = yield from self._in("function_call", part)
                item.text.append(part.arguments)
                yield self._in_part("response.function_call_arguments.delta", item, delta=part.arguments)
            case Aside(event):
                if self.known.body.bethink is not None and self.known.body.bethink.events:
                    yield self._event("response.bethink", bethink=progress(event))

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        yield from self._close()
        response = self._done(results[0], self._output)
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        told = openai_error(error)["error"]
        failed = self._response("failed", self._output) | {
            "error": {"code": "server_error" if error.http_status >= 500 else told["code"], "message": told["message"]}
        }
        yield self._event("response.failed", response=failed)

    def _in(self, kind: str, call: Call | None = None) -> Generator[bytes, None, _Open]:
        """Open an item of that kind where none stands open; a call's first part always opens one. Returns it."""
        is_new = self._open is None or self._open.kind != kind or (call is not None and call.is_first)
        if is_new:
            yield from self._close()
            index = len(self._output)
            self._open = item = _Open(kind, index, self._item_id(kind, index), call)
            added = self._item(kind, index, "", [], call, "in_progress")
            yield self._event("response.output_item.added", output_index=index, item=added)
            if kind != "function_call":
                part = {"type": "reasoning_text", "text": ""} if kind == "reasoning" else _output_text("", [])
                yield self._in_part("response.content_part.added", item, content_index=0, part=part)
            if kind == "reasoning" and self._summarises:
                part = {"type": "summary_text", "text": ""}
                yield self._in_part("response.reasoning_summary_part.added", item, summary_index=0, part=part)
        assert self._open is not None
        return self._open

    def _close(self) -> Iterator[bytes]:
        item, self._open = self._open, None
        if item is None:
            return
        text = "".join(item.text)
        done = self._item(item.kind, item.index, text, item.logprobs, item.call, "completed")
        self._output.append(done)
        if item.kind == "function_call":
            assert item.call is not None
            yield self._in_part("response.function_call_arguments.done", item, name=item.call.name, arguments=text)
        else:
            yield from self._close_parts(item, text, done)
        yield self._event("response.output_item.done", output_index=item.index, item=done)

    def _close_parts(self, item: _Open, text: str, done: Mapping[str, Any]) -> Iterator[bytes]:
        part = done["content"][0]
        if item.kind == "message":
            told = part["logprobs"]
            yield self._in_part("response.output_text.done", item, content_index=0, text=text, logprobs=told)
        else:
            yield self._in_part("response.reasoning_text.done", item, content_index=0, text=text)
        yield self._in_part("response.content_part.done", item, content_index=0, part=part)
        for said in done.get("summary", ()):
            yield self._in_part("response.reasoning_summary_text.done", item, summary_index=0, text=text)
            yield self._in_part("response.reasoning_summary_part.done", item, summary_index=0, part=said)

    def _in_part(self, kind: str, item: _Open, **rest: Any) -> bytes:
        return self._event(kind, item_id=item.id, output_index=item.index, **rest)

    def _event(self, kind: str, **rest: Any) -> bytes:
        number, self._n_events = self._n_events, self._n_events + 1
        return sse(pydantic_core.to_json({"type": kind, "sequence_number": number, **rest}), kind)

    # Whole.

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        result, items = results[0], list[dict[str, Any]]()
        if self.shows_thought and result.thinking:
            items.append(self._item("reasoning", 0, result.thinking, [], None, "completed"))
        if result.answer:
            items.append(self._item("message", len(items), result.answer, result.logprobs, None, "completed"))
        for n, made in enumerate(result.tool_calls):
            call = Call(n, made.id, made.name, made.arguments, is_first=True)
            items.append(self._item("function_call", len(items), made.arguments, [], call, "completed"))
        return self._done(result, items)

    def _item_id(self, kind: str, index: int) -> str:
        """The same in a stream and whole."""
        prefix = {"reasoning": "rs", "message": "msg", "function_call": "fc"}[kind]
        return f"{prefix}_{self.envelope.id.partition('_')[2]}{index:02x}"

    def _item(
        self, kind: str, index: int, text: str, tokens: Sequence[TokenLogprob], call: Call | None, status: str
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"id": self._item_id(kind, index), "type": kind, "status": status}
        is_done = status != "in_progress"
        if kind == "function_call":
            assert call is not None
            return said | {"call_id": call.id, "name": call.name, "arguments": text}
        if kind == "message":
            return said | {"role": "assistant", "content": [_output_text(text, tokens)] if is_done else []}
        summary = [{"type": "summary_text", "text": text}] if self._summarises and is_done else []
        said |= {"summary": summary, "content": [{"type": "reasoning_text", "text": text}] if is_done else []}
        if self.known.body.includes(ENCRYPTED) and is_done:
            said["encrypted_content"] = packed(text)
        return said

    def _done(self, result: Result, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        is_cut = finish_reason(result) == "length"
        output = [dict(item) for item in items]
        if is_cut and output:
            output[-1]["status"] = "incomplete"
        response = self._response("incomplete" if is_cut else "completed", output) | {
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": _usage(result),
            "bethink": extension(result),
        }
        if self.known.body.store is not False:
            self._keep(result, response)
        return response

    def _keep(self, result: Result, response: Mapping[str, Any]) -> None:
        """An answer is never lost because it cannot be kept."""
        known = self.known
        thought = result.thinking or None
        said = Message("assistant", result.answer, thought, result.tool_calls)
        messages = joined((*known.messages, said))
        items = items_of(known.body.input, f"in_{self.envelope.id.partition('_')[2]}")
        try:
            kept = Kept(known.owner, response, items, messages)
            self.store.keep(self.envelope.id, kept, may_write=known.may_write)
        except OSError as error:
            logging.getLogger("bethink").warning("the response is not kept: %s", error.strerror)

    def _response(self, status: str, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        at, body = self.envelope, self.known.body
        return {
            "id": at.id,
            "object": "response",
            "created_at": at.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "max_tool_calls": None,
            "metadata": body.metadata or {},
            "model": at.model,
            "output": output,
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": body.previous_response_id,
            "reasoning": {
                "effort": body.reasoning.effort if body.reasoning else None,
                "summary": body.reasoning.summary if body.reasoning else None,
            },
            "service_tier": "default",
            "store": body.store is not False,
            "temperature": body.temperature,
            "text": body.text.model_dump(by_alias=True, exclude_none=True)
            if body.text and body.text.format
            else {"format": {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": [{"strict": None, **t.model_dump(exclude_none=True)} for t in body.tools or ()],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": body.top_p,
            "truncation": truncation_of(body, Wish("truncation", body.truncation)),
            "usage": None,
            "user": body.user,
        }


def _output_text(text: str, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    told = [logprob(token) for token in tokens]
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def _usage(result: Result) -> dict[str, Any]:
    used = result.usage
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": used.completion_tokens - used.answer_tokens},
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }
