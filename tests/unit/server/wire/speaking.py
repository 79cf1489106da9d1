"""One question in the words of every dialect that thinks, and its answer read back, whole or from a stream.

What a dialect calls things is known here and nowhere else, so that a test may be written once for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}


@dataclass(frozen=True, slots=True)
class Question:
    """`budget` None leaves thinking as it is; 0 switches it off."""

    text: str = "Tell me about two and two."
    budget: int | None = None
    has_schema: bool = False
    has_tools: bool = False
    max_tokens: int = 600
    seed: int = 1
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Told:
    """What a client understood. `usage` is (prompt, completion) tokens; `bethink` our extension."""

    thought: str = ""
    answer: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])
    finish: str = ""
    usage: tuple[int, int] = (0, 0)
    bethink: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def said(self) -> tuple[str, str, list[tuple[str, str, Any]], str, tuple[int, int]]:
        return self.thought, self.answer, self.calls, self.finish, self.usage


@dataclass(frozen=True, slots=True)
class Speech:
    """A dialect as a client of it sees it."""

    name: str
    path: str
    body: Callable[[Question], dict[str, Any]]
    whole: Callable[[Any], Told]
    stream: Callable[[Sequence[dict[str, Any]]], Told]
    streams_lines: bool = False


def _openai_tool() -> dict[str, Any]:
    return {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": PARAMETERS}}


def _chat_body(asked: Question) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": asked.text}], "seed": asked.seed}
    body |= {"max_completion_tokens": asked.max_tokens, "stream_options": {"include_usage": True}}
    if asked.budget is not None:
        body |= {"thinking_budget": asked.budget} if asked.budget else {"reasoning_effort": "none"}
    if asked.has_schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    if asked.has_tools:
        body["tools"] = [_openai_tool()]
    return body | dict(asked.more)


def _chat_whole(body: Any) -> Told:
    choice, used = body["choices"][0], body["usage"]
    message = choice["message"]
    assert message.get("reasoning") == message.get("reasoning_content")
    calls = [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls", ())
    ]
    return Told(
        message.get("reasoning_content", ""),
        message["content"] or "",
        calls,
        choice["finish_reason"],
        (used["prompt_tokens"], used["completion_tokens"]),
        choice["bethink"],
    )


def _chat_stream(events: Sequence[dict[str, Any]]) -> Told:
    told, calls = Told(), dict[int, list[str]]()
    for event in events:
        if used := event.get("usage"):
            told.usage = (used["prompt_tokens"], used["completion_tokens"])
        for choice in event["choices"]:
            delta = choice["delta"]
            told.thought += delta.get("reasoning_content", "")
            told.answer += delta.get("content") or ""
            for call in delta.get("tool_calls", ()):
                made = calls.setdefault(call["index"], [call.get("id", ""), call["function"].get("name", ""), ""])
                made[2] += call["function"]["arguments"]
            told.finish = choice["finish_reason"] or told.finish
            told.bethink = choice.get("bethink", told.bethink)
    told.calls = [(made[0], made[1], json.loads(made[2])) for made in calls.values()]
    return told


def _messages_body(asked: Question) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": asked.text}], "max_tokens": asked.max_tokens}
    body |= {"seed": asked.seed, "thinking": {"type": "adaptive"}}
    if asked.budget is not None:
        on = {"type": "enabled", "budget_tokens": asked.budget}
        body["thinking"] = on if asked.budget else {"type": "disabled"}
    if asked.has_schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if asked.has_tools:
        body["tools"] = [{"name": "add", "description": "Adds.", "input_schema": PARAMETERS}]
    return body | dict(asked.more)


def _messages_whole(body: Any) -> Told:
    told = Told(finish=body["stop_reason"], bethink=body["bethink"])
    told.usage = (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
    for block in body["content"]:
        match block["type"]:
            case "thinking":
                told.thought += block["thinking"]
            case "text":
                told.answer += block["text"]
            case _:
                told.calls.append((block["id"], block["name"], block["input"]))
    return told


def _messages_stream(events: Sequence[dict[str, Any]]) -> Told:
    """Puts the message together as Anthropic's own client does: by index of its blocks."""
    message: dict[str, Any] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append({**event["content_block"], "json": ""})
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                key = {"input_json_delta": "json", "text_delta": "text", "thinking_delta": "thinking"}.get(
                    delta["type"], "signature"
                )
                block[key] += delta.get("partial_json", delta.get(key, ""))
            case "message_delta":
                message |= event["delta"] | {"usage": event["usage"], "bethink": event["bethink"]}
            case _:
                pass
    for block in message["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"])
    return _messages_whole(message)


def _responses_body(asked: Question) -> dict[str, Any]:
    body: dict[str, Any] = {"input": asked.text, "max_output_tokens": asked.max_tokens, "seed": asked.seed}
    if asked.budget is not None:
        body |= {"thinking_budget": asked.budget} if asked.budget else {"reasoning": {"effort": "none"}}
    if asked.has_schema:
        body["text"] = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
    if asked.has_tools:
        body["tools"] = [{"type": "function", "name": "add", "description": "Adds.", "parameters": PARAMETERS}]
    return body | dict(asked.more)


def _responses_whole(body: Any) -> Told:
    told = Told(finish=body["status"], bethink=body["bethink"])
    told.usage = (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
    for item in body["output"]:
        match item["type"]:
            case "reasoning":
                told.thought += "".join(part["text"] for part in item["content"])
            case "message":
                told.answer += "".join(part["text"] for part in item["content"])
            case _:
                told.calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
    return told


def _responses_stream(events: Sequence[dict[str, Any]]) -> Told:
    """From the deltas; the last event, which holds everything, must say the same."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    last = _responses_whole(events[-1]["response"])
    deltas: dict[str, str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            deltas[event["type"]] = deltas.get(event["type"], "") + event["delta"]
    assert deltas.get("response.reasoning_text.delta", "") == last.thought
    assert deltas.get("response.output_text.delta", "") == last.answer
    return last


def _ollama_body(asked: Question) -> dict[str, Any]:
    options = {"seed": asked.seed, "num_predict": asked.max_tokens}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": asked.text}], "options": options}
    if asked.budget is not None:
        body |= {"thinking_budget": asked.budget} if asked.budget else {"think": False}
    if asked.has_schema:
        body["format"] = SCHEMA
    if asked.has_tools:
        body["tools"] = [_openai_tool()]
    return body | dict(asked.more)


def _ollama_whole(body: Any) -> Told:
    message = body["message"]
    calls = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", ())]
    used = (body["prompt_eval_count"], body["eval_count"])
    return Told(message.get("thinking", ""), message["content"], calls, body["done_reason"], used, body["bethink"])


def _ollama_stream(lines: Sequence[dict[str, Any]]) -> Told:
    message: dict[str, Any] = {"content": "", "thinking": "", "tool_calls": []}
    for line in lines:
        message["content"] += line["message"]["content"]
        message["thinking"] += line["message"].get("thinking", "")
        message["tool_calls"] += line["message"].get("tool_calls", ())
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    return _ollama_whole({**lines[-1], "message": message})


SPEECHES = (
    Speech("chat", "/v1/chat/completions", _chat_body, _chat_whole, _chat_stream),
    Speech("responses", "/v1/responses", _responses_body, _responses_whole, _responses_stream),
    Speech("messages", "/v1/messages", _messages_body, _messages_whole, _messages_stream),
    Speech("ollama", "/api/chat", _ollama_body, _ollama_whole, _ollama_stream, streams_lines=True),
)
CALLED = {"tool_calls", "tool_use"}
"""What dialects say when the model wants tools run; Responses and Ollama say nothing of it."""
CUT = {"length", "max_tokens", "incomplete"}
