"""Knobs of every dialect: honoured, or refused by name; two that contradict each other never run."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from bethink.server.asking.asks import BadField
from bethink.server.limits import beside
from bethink.server.wire.openai.chat import Chat
from bethink.types import Request
from tests.unit.server.wire.served import serving


def read(**knobs: Any) -> Request:
    body = {"messages": [{"role": "user", "content": "Why?"}], **knobs}
    request = Chat().read(json.dumps(body).encode())[0].request
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("knobs", "effort", "budget"),
    [
        ({}, "auto", None),
        ({"reasoning_effort": "none"}, "none", 0),
        ({"reasoning_effort": "minimal"}, "low", None),
        ({"reasoning_effort": "xhigh"}, "max", None),
        ({"reasoning": {"effort": "high"}}, "high", None),
        ({"reasoning": {"max_tokens": 99}}, "auto", 99),
        ({"reasoning": {"enabled": False}}, "none", 0),
        ({"reasoning": {"enabled": True}}, "medium", None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "auto", 2048),
        ({"thinking": {"type": "enabled"}}, "medium", None),
        ({"thinking": {"type": "adaptive"}}, "auto", None),
        ({"thinking": {"type": "disabled"}}, "none", 0),
        ({"enable_thinking": False}, "none", 0),
        ({"enable_thinking": True, "thinking_budget": 7}, "auto", 7),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "none", 0),
        ({"chat_template_kwargs": {"thinking": True}}, "medium", None),
        ({"thinking_token_budget": 12}, "auto", 12),
        ({"custom_params": {"thinking_budget": 13}}, "auto", 13),
        ({"reasoning_budget": -1}, "auto", None),
        ({"reasoning_budget": 0}, "auto", 0),
        ({"think": True}, "medium", None),
        ({"think": False}, "none", 0),
        ({"think": "high"}, "high", None),
        ({"bethink": {"budget": 5, "effort": "low"}}, "low", 5),
        ({"reasoning_effort": "high", "think": "high", "enable_thinking": True}, "high", None),
    ],
    ids=json.dumps,
)
def test_a_knob_becomes_what_it_means(knobs: dict[str, Any], effort: str, budget: int | None) -> None:
    request = read(**knobs)
    assert (request.effort, request.budget) == (effort, budget)


@pytest.mark.parametrize(
    ("knobs", "field"),
    [
        ({"reasoning_effort": "high", "reasoning": {"effort": "low"}}, "reasoning.effort"),
        ({"reasoning_effort": "high", "think": "low"}, "think"),
        ({"reasoning_effort": "high", "enable_thinking": False}, "reasoning_effort"),
        ({"reasoning_effort": "none", "thinking_budget": 5}, "thinking_budget"),
        ({"reasoning_effort": "none", "think": True}, "reasoning_effort"),
        ({"thinking": {"type": "disabled"}, "think": True}, "think"),
        ({"thinking": {"type": "disabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"thinking_budget": 5, "reasoning_budget": 6}, "reasoning_budget"),
        ({"chat_template_kwargs": {"enable_thinking": True, "thinking": False}}, "chat_template_kwargs.thinking"),
        ({"reasoning": {"exclude": True}, "include_reasoning": True}, "include_reasoning"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        ({"repetition_penalty": 1.1, "repeat_penalty": 1.2}, "repetition_penalty"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ],
    ids=json.dumps,
)
def test_knobs_that_contradict_each_other_are_refused_by_name(knobs: dict[str, Any], field: str) -> None:
    with pytest.raises(BadField) as refused:
        read(**knobs)
    assert (refused.value.field, refused.value.problem) == (field, "contradiction")


@pytest.mark.parametrize(
    ("knobs", "field"),
    [
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"think": 3}, "think"),
        ({"thinking_budget": -5}, "thinking_budget"),
        ({"reasoning_budget": -2}, "reasoning_budget"),
        ({"reasoning_format": "xml"}, "reasoning_format"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"bethink": {"budge": 5}}, "bethink.budge"),
        ({"bethink": {"within_s": 0}}, "bethink.within_s"),
        ({"temperature": 6}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": [""]}, "stop"),
        ({"stop": list("abcdefghijklmnopq")}, "stop"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 2}, "tools.1"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"n": 0}, "n"),
        ({"store": True}, "store"),
        ({"no_such_knob": 1}, "no_such_knob"),
    ],
    ids=json.dumps,
)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(knobs: dict[str, Any], field: str) -> None:
    with pytest.raises(BadField) as refused:
        read(**knobs)
    assert refused.value.field == field


def test_a_penalty_that_is_off_is_no_wish() -> None:
    """Clients send all their settings; an engine without penalties can honour that there are none."""
    drawing = read(presence_penalty=0, frequency_penalty=0.0, repetition_penalty=1, top_k=-1, logit_bias={}).drawing
    assert drawing.presence_penalty is drawing.frequency_penalty is drawing.repetition_penalty is None
    assert drawing.top_k == 0


def test_drawing_and_tools_arrive_as_they_were_sent() -> None:
    request = read(
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        presence_penalty=0.5,
        repeat_penalty=1.2,
        stop="END",
        logprobs=True,
        top_logprobs=4,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
    )
    drawing = request.drawing
    assert (drawing.top_p, drawing.top_k, drawing.min_p) == (0.5, 7, 0.1)
    assert (drawing.presence_penalty, drawing.repetition_penalty) == (0.5, 1.2)
    assert (drawing.stop, drawing.logprobs) == (("END",), 4)
    assert [t.name for t in request.tools] == ["f"]
    assert (request.tool_choice, request.parallel_tool_calls) == ("function:f", False)


def test_programs_in_a_vote_are_ours_to_ask_for_and_not_more_than_there_are_paths() -> None:
    assert read(bethink={"paths": 8, "programs": 4}).programs == 4
    assert read(bethink={"paths": 8}).programs is None
    with pytest.raises(BadField, match="programs"):
        read(bethink={"programs": 256})


def test_whether_the_oldest_turns_may_be_left_out_is_ours_in_every_dialect() -> None:
    assert read(bethink={"truncation": "auto"}).truncation == "auto"
    assert read().truncation == "disabled"
    with pytest.raises(BadField, match="truncation"):
        read(bethink={"truncation": "middle"})


def test_a_huge_value_is_refused_without_being_said_again() -> None:
    huge = ["x" * 100_000] * 50
    for wrong in (huge, {"a": huge}, "y" * 10**6, [[[[[[huge]]]]]], list(range(100_000))):
        with pytest.raises(BadField) as refused:
            read(max_tokens=wrong)
        assert len(str(refused.value)) < 300
    with pytest.raises(BadField, match="'seven'"):
        read(max_tokens="seven")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", [{"role": "user", "content": "x"}] * 20_001),
        ("tools", [{"type": "function", "function": {"name": "f"}}] * 4097),
        ("stop", ["x"] * 4097),
    ],
)
def test_lists_have_an_end(field: str, value: list[Any]) -> None:
    with pytest.raises(BadField) as refused:
        read(**{field: value})
    assert refused.value.field == field


@pytest.mark.anyio
@pytest.mark.parametrize("size", [100, 10**6])
async def test_a_large_body_is_read_beside_the_event_loop(size: int) -> None:
    threads = list[int]()

    def seen(body: bytes) -> int:
        threads.append(threading.get_ident())
        return len(body)

    assert await beside(seen, b"x" * size) == size
    assert (threads == [threading.get_ident()]) == (size == 100)


@pytest.mark.anyio
async def test_a_large_body_is_answered_as_a_small_one() -> None:
    async with serving() as served:
        body = {"messages": [{"role": "user", "content": "x " * 200_000}], "max_tokens": "seven"}
        told = await served.post("/v1/chat/completions", body, status=400)
    assert told["error"]["param"] == "max_tokens"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, ("n", "stop", "tools")),
        ("/v1/responses", {"input": "x"}, ("tools", "store")),
        ("/v1/messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 50}, ("system", "tools")),
        ("/api/chat", {"messages": [{"role": "user", "content": "x"}]}, ("options", "format", "keep_alive")),
        ("/api/generate", {"prompt": "x"}, ("options", "format", "system", "suffix")),
    ],
)
async def test_null_is_the_default_in_every_dialect(path: str, body: dict[str, Any], more: tuple[str, ...]) -> None:
    nulls = dict.fromkeys(("model", "stream", "bethink", "reasoning", "thinking", "think", *more))
    inner = {"bethink": {"events": None, "budget": None}, "reasoning": {"exclude": None, "effort": None}}
    async with serving() as served:
        for given in (nulls, nulls | inner):
            answer = await served.client.post(path, json=body | given)
            assert answer.status_code == 200, answer.text
            is_lines = path.startswith("/api")
            assert answer.headers["content-type"] == ("application/x-ndjson" if is_lines else "application/json")
        assert (await served.client.post(path, json=body | {"bethink": {"paths": "null"}})).status_code == 400
