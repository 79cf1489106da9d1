"""OpenAI's chat completions: history in all its forms, thoughts where clients look for them, errors that name a
field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bethink.server.asking.asks import BadField
from tests.unit.server.wire.served import ANSWER, SIMPLE, THOUGHT, says, serving

pytestmark = pytest.mark.anyio

PATH = "/v1/chat/completions"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "2 and 2?"}], "seed": 1}


@pytest.mark.parametrize(
    "assistant",
    [
        {"content": "Four.", "reasoning_content": "I add."},
        {"content": "Four.", "reasoning": "I add."},
        {"content": "Four.", "reasoning": "I add.", "reasoning_content": "I add."},
        {"content": "<think>\nI add.\n</think>\n\nFour."},
        {"content": [{"type": "text", "text": "<think>I add.</think>Four."}]},
    ],
    ids=["reasoning_content", "reasoning", "both", "inline", "parts"],
)
async def test_a_thought_of_an_earlier_turn_is_taken_in_all_its_forms_and_not_shown_again(assistant: Any) -> None:
    turns = [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", **assistant},
        {"role": "user", "content": "So?"},
    ]
    async with serving() as served:
        await served.post(PATH, {"messages": turns})
    assert "<|im_start|>assistant\nFour.<|im_end|>" in served.prompt
    assert "I add" not in served.prompt


async def test_a_last_turn_that_is_only_a_thought_is_gone_on_with() -> None:
    turns = [*ASKED["messages"], {"role": "assistant", "content": None, "reasoning_content": "Two and two "}]
    async with serving() as served:
        told = await served.post(PATH, {"messages": turns})
    assert told["choices"][0]["message"]["reasoning_content"] == THOUGHT
    assert told["choices"][0]["message"]["content"] == ANSWER


async def test_thoughts_stand_inline_where_that_is_asked_for_and_come_back_as_thoughts() -> None:
    asked = ASKED | {"reasoning_format": "none"}
    async with serving() as served:
        whole = (await served.post(PATH, asked))["choices"][0]["message"]
        events = await served.events(PATH, asked)
    assert whole["content"] == f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"
    assert "reasoning_content" not in whole
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events) == whole["content"]


@pytest.mark.parametrize("knobs", [{"reasoning": {"exclude": True}}, {"include_reasoning": False}], ids=json.dumps)
async def test_a_thought_that_is_not_wanted_is_thought_and_not_told(knobs: dict[str, Any]) -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | knobs)
        events = await served.events(PATH, ASKED | knobs)
    assert "reasoning" not in told["choices"][0]["message"]
    assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert all("reasoning" not in e["choices"][0]["delta"] for e in events)


async def test_choices_differ_and_each_is_streamed_by_its_number() -> None:
    asked = ASKED | {"n": 3, "thinking_budget": 50}
    async with serving(says("a", "b", "c", "d", "e", "f", "g")) as served:
        whole = await served.post(PATH, asked)
        events = await served.events(PATH, asked)
    answers = [choice["message"]["content"] for choice in whole["choices"]]
    assert len(set(answers)) > 1
    told = [
        "".join(c["delta"].get("content") or "" for e in events for c in e["choices"] if c["index"] == n)
        for n in range(3)
    ]
    assert told == answers


async def test_stop_texts_end_the_answer_and_never_the_thought() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"stop": ["four", " is"]})
    message = told["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == (THOUGHT, "It")
    assert told["choices"][0]["finish_reason"] == "stop"


async def test_logprobs_are_of_the_answers_tokens_alike_streaming_or_not() -> None:
    asked = ASKED | {"logprobs": True, "top_logprobs": 2}
    async with serving() as served:
        whole = (await served.post(PATH, asked))["choices"][0]["logprobs"]["content"]
        events = await served.events(PATH, asked)
    assert "".join(token["token"] for token in whole) == ANSWER
    assert bytes(byte for token in whole for byte in token["bytes"]).decode() == ANSWER
    parts = [e["choices"][0]["logprobs"] for e in events if e["choices"]]
    assert [token for part in parts if part for token in part["content"]] == whole


async def test_a_call_and_its_result_are_a_conversation() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    turns = [
        *ASKED["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "four"},
    ]
    tools = [{"type": "function", "function": {"name": "add"}}]
    async with serving() as served:
        await served.post(PATH, {"messages": turns, "tools": tools})
    assert '{"name": "add", "arguments": {"a": 2}}' in served.prompt
    assert "<tool_response>\nfour\n</tool_response>" in served.prompt


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([{"role": "user"}], "messages.0.content"),
        ([{"role": "user", "content": 5}], "messages.0.content"),
        ([{"role": "boss", "content": "x"}], "messages.0.role"),
        ([{"role": "user", "content": "x", "colour": "red"}], "messages.0.colour"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "messages.0.content.0.type",
        ),
        (
            [{"role": "user", "content": "x", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            "messages.0.tool_calls",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}],
            "messages.0.tool_calls.0.function.arguments",
        ),
    ],
)
async def test_a_message_that_cannot_be_read_is_refused_by_its_place(messages: Any, field: str) -> None:
    async with serving() as served:
        told = await served.post(PATH, {"messages": messages}, status=400)
    assert told["error"]["param"] == field
    assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b'{"messages": NaN}', b"\xff\xfe", b"null"])
async def test_a_body_that_is_no_request_is_one_clear_error(body: bytes) -> None:
    async with serving() as served:
        answer = await served.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_a_million_wrong_messages_are_one_error() -> None:
    async with serving() as served:
        told = await served.post(PATH, {"messages": [{"role": "x"}] * 200_000}, status=400)
    assert told["error"]["param"] == "messages.0.role"


async def test_what_an_engine_cannot_do_is_an_error_and_no_silence() -> None:
    async with serving(SIMPLE, capabilities=frozenset[Any]()) as served:
        for knob in ({"presence_penalty": 1}, {"logprobs": True}, {"response_format": {"type": "json_object"}}):
            told = await served.post(PATH, ASKED | knob, status=400)
            assert told["error"]["code"] == "capability_missing", knob


async def test_a_list_of_nothing_but_mistakes_is_one_mistake() -> None:
    async with serving() as served:
        for wrong in ({"stop": [1] * 1000}, {"tools": [1] * 1000}, {"messages": [1] * 1000}):
            with pytest.raises(BadField) as caught:
                served.read(PATH, ASKED | wrong)
            cause = caught.value.__context__
            assert isinstance(cause, ValidationError)
            assert cause.error_count() < 10


async def test_no_stream_is_wished_by_null() -> None:
    async with serving() as served:
        assert (await served.post(PATH, ASKED | {"stream": None}))["choices"][0]["message"]["content"] == ANSWER
