"""Anthropic's messages: blocks in both directions, events in their order, errors of the right type."""

from __future__ import annotations

from typing import Any

import pytest

from bethink.engine.scripted import Context, Line
from bethink.server.wire.anthropic.messages import signature
from tests.unit.server.wire.served import ANSWER, THOUGHT, Served, serving

pytestmark = pytest.mark.anyio

PATH = "/v1/messages"
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "2 and 2?"}],
    "max_tokens": 600,
    "seed": 1,
    "thinking": {"type": "enabled", "budget_tokens": 100},
}
TOOL = {"name": "add", "input_schema": {"type": "object"}}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 2}}\n</tool_call>'


def calling(context: Context) -> Line:
    said = f"I add.\n{CALL}" if "<tools>" in context.text else ANSWER
    return Line(said if "</think>" in context.text else f"{THOUGHT}\n</think>\n\n{said}")


async def history(served: Served, *turns: Any, **more: Any) -> str:
    """What the model read of these turns."""
    await served.post(PATH, {"max_tokens": 600, "messages": [*turns, {"role": "user", "content": "So?"}], **more})
    return served.prompt


async def test_a_thought_is_a_signed_block_before_the_answer() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED)
    assert [block["type"] for block in told["content"]] == ["thinking", "text"]
    assert told["content"][0] == {"type": "thinking", "thinking": THOUGHT, "signature": signature(THOUGHT)}
    assert (told["stop_reason"], told["stop_sequence"]) == ("end_turn", None)


async def test_null_means_what_leaving_it_away_means() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"stream": None})
    assert told["content"][-1]["text"] == ANSWER


async def test_the_events_come_in_anthropics_order_with_whole_blocks() -> None:
    async with serving(calling) as served:
        events = await served.events(PATH, ASKED | {"tools": [TOOL]})
    assert all(event["event"] == event["type"] for event in events)
    kinds = [event["type"] for event in events if event["type"] != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert kinds == ["message_start", "ping", *block, *block, *block, "message_delta", "message_stop"]
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["thinking", "text", "tool_use"]
    signed = [e["delta"]["signature"] for e in events if e.get("delta", {}).get("type") == "signature_delta"]
    assert signed == [signature(THOUGHT)]
    assert events[0]["message"]["usage"]["input_tokens"] == events[-2]["usage"]["input_tokens"] > 0
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


async def test_who_does_not_speak_of_thinking_gets_the_answer_alone() -> None:
    asked = {key: value for key, value in ASKED.items() if key != "thinking"}
    async with serving() as served:
        told = await served.post(PATH, asked)
        events = await served.events(PATH, asked)
    assert told["content"] == [{"type": "text", "text": ANSWER}]
    assert told["usage"]["output_tokens"] > len(ANSWER)
    assert "thinking_delta" not in str(events)


async def test_an_omitted_thought_is_an_empty_signed_block() -> None:
    asked = ASKED | {"thinking": {"type": "enabled", "budget_tokens": 100, "display": "omitted"}}
    async with serving() as served:
        told = await served.post(PATH, asked)
        events = await served.events(PATH, asked)
    assert told["content"][0] == {"type": "thinking", "thinking": "", "signature": signature(THOUGHT)}
    assert "thinking_delta" not in str(events)
    assert signature(THOUGHT) in str(events)


@pytest.mark.parametrize("thought", [THOUGHT, "Edited by hand."])
async def test_a_returned_thought_is_history_edited_or_not(thought: str) -> None:
    blocks = [
        {"type": "thinking", "thinking": thought, "signature": signature(THOUGHT)},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "text", "text": "Four."},
    ]
    async with serving() as served:
        prompt = await history(served, {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": blocks})
    assert "<|im_start|>assistant\nFour.<|im_end|>" in prompt
    assert "c2VjcmV0" not in prompt


async def test_a_last_block_of_thought_is_gone_on_with() -> None:
    begun = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Two and two "}]}
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"messages": [*ASKED["messages"], begun]})
    assert told["content"][0]["thinking"] == THOUGHT


async def test_an_answer_cannot_be_begun_for_the_model() -> None:
    begun = {"role": "assistant", "content": "The sum is"}
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"messages": [*ASKED["messages"], begun]}, status=400)
    assert told["error"]["type"] == "invalid_request_error"
    assert told["error"]["param"] == "messages"


async def test_calls_and_results_are_a_conversation() -> None:
    used = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 2}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "no such"}],
        "is_error": True,
    }
    async with serving(calling) as served:
        await served.post(
            PATH,
            ASKED
            | {
                "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
                "tools": [TOOL],
                "messages": [
                    {"role": "user", "content": "2+2?"},
                    {"role": "assistant", "content": [{"type": "text", "text": "I add."}, used]},
                    {"role": "user", "content": [result, {"type": "text", "text": "Try again."}]},
                ],
            },
        )
    prompt = served.prompt
    assert "Be brief." in prompt
    assert '{"name": "add", "arguments": {"a":2}}' in prompt
    assert "<tool_response>\nError: no such\n</tool_response>" in prompt
    assert prompt.index("no such") < prompt.index("Try again.")


@pytest.mark.parametrize(
    ("choice", "meaning"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "add"}, "function:add"),
    ],
)
async def test_a_choice_of_tools_means_what_it_says(choice: dict[str, str], meaning: str) -> None:
    async with serving(calling) as served:
        request = served.read(PATH, ASKED | {"tools": [TOOL], "tool_choice": choice})
    assert request.tool_choice == meaning


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"max_tokens": None}, 400, "invalid_request_error"),
    ({"model": "gpt-9"}, 404, "not_found_error"),
    ({"messages": []}, 400, "invalid_request_error"),
    ({"tool_choice": {"type": "tool", "name": "f"}}, 400, "invalid_request_error"),
    ({"mcp_servers": [{}]}, 400, "invalid_request_error"),
    ({"max_tokens": 10**9}, 400, "invalid_request_error"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, 400, "invalid_request_error"),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]},
        400,
        "invalid_request_error",
    ),
]


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    WRONG,
)
async def test_errors_have_anthropics_shape(change: dict[str, Any], status: int, kind: str) -> None:
    body = {key: value for key, value in (ASKED | change).items() if value is not None}
    async with serving() as served:
        told = await served.post(PATH, body, status=status)
    assert (told["type"], told["error"]["type"]) == ("error", kind)
    assert told["error"]["message"]


async def test_a_body_that_is_too_large_is_told_in_anthropics_words() -> None:
    async with serving() as served:
        served.service.limits = type(served.service.limits)(body_bytes=100)
        told = await served.post(PATH, ASKED | {"system": "x" * 200}, status=413)
    assert told["error"]["type"] == "request_too_large"


async def test_tokens_are_counted_as_the_request_will_count_them() -> None:
    asked = {key: ASKED[key] for key in ("messages", "thinking")} | {"system": "Be brief.", "tools": [TOOL]}
    async with serving(calling) as served:
        counted = await served.post(f"{PATH}/count_tokens", asked)
        told = await served.post(PATH, asked | {"max_tokens": 600})
    assert counted == {"input_tokens": told["usage"]["input_tokens"]}


async def test_a_stop_sequence_is_named() -> None:
    asked = ASKED | {"stop_sequences": ["nowhere", " is"]}
    async with serving() as served:
        whole = await served.post(PATH, asked)
        events = await served.events(PATH, asked)
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", " is")
    assert whole["content"][-1] == {"type": "text", "text": "It"}
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": " is"}


async def test_headers_of_anthropics_clients_are_taken() -> None:
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "interleaved-thinking-2025-05-14"}
    async with serving() as served:
        answer = await served.client.post(PATH, json=ASKED, headers=headers)
    assert answer.status_code == 200
