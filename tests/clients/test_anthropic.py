"""The `anthropic` client: messages whole and streamed, thinking, tools, counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from bethink.server.wire.anthropic.messages import signature
from tests.clients.conftest import ANSWER, client
from tests.unit.server.wire.served import THOUGHT

if TYPE_CHECKING:
    import anthropic
else:
    anthropic = client("anthropic")

ASKED: Any = {
    "model": "scripted",
    "max_tokens": 4000,
    "messages": [{"role": "user", "content": "Tell me about two and two."}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
TOOL: Any = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}


@pytest.fixture
def ask(url: str) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as opened:
        yield opened


def test_a_thought_and_an_answer_are_blocks(ask: Any) -> None:
    told = ask.messages.create(**ASKED)
    thinking, text = told.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert (getattr(thinking, "thinking", ""), getattr(text, "text", "")) == (THOUGHT, ANSWER)
    assert (told.stop_reason, told.usage.output_tokens > 0) == ("end_turn", True)


def test_the_clients_own_stream_puts_the_message_together(ask: Any) -> None:
    with ask.messages.stream(**ASKED, tools=[TOOL]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert {"thinking", "signature", "input_json", "message_stop"} <= kinds
    thinking, call = final.content
    assert (getattr(thinking, "thinking", ""), getattr(thinking, "signature", "")) == (THOUGHT, signature(THOUGHT))
    assert (call.type, getattr(call, "input", None)) == ("tool_use", {"a": 2, "b": 2})
    assert final.stop_reason == "tool_use"
    assert final.usage.input_tokens > 0


def test_a_returned_turn_with_its_thought_is_history(ask: Any) -> None:
    first = ask.messages.create(**ASKED, tools=[TOOL])
    call = first.content[-1]
    result = {"type": "tool_result", "tool_use_id": getattr(call, "id", ""), "content": "four"}
    turns: Any = [
        *ASKED["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    told = ask.messages.create(**(ASKED | {"messages": turns}), tools=[TOOL])
    assert getattr(told.content[-1], "text", "") == "The tool says four."


def test_tokens_are_counted(ask: Any) -> None:
    counted = ask.messages.count_tokens(model="scripted", messages=ASKED["messages"])
    assert counted.input_tokens == ask.messages.create(**ASKED).usage.input_tokens


def test_errors_are_the_clients_own(ask: Any) -> None:
    with pytest.raises(anthropic.NotFoundError):
        ask.messages.create(**(ASKED | {"model": "claude-9"}))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}}
    with pytest.raises(anthropic.BadRequestError, match="image"):
        ask.messages.create(**(ASKED | {"messages": [{"role": "user", "content": [image]}]}))
