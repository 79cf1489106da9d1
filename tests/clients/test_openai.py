"""The `openai` client: chat, Responses, completions and models, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import ANSWER, client
from tests.unit.server.wire.served import THOUGHT

if TYPE_CHECKING:
    import openai
else:
    openai = client("openai")

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
MESSAGES: Any = [{"role": "user", "content": "Tell me about two and two."}]


@pytest.fixture
def ask(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_chat_answers_with_its_thought_beside_it(ask: openai.OpenAI) -> None:
    told = ask.chat.completions.create(model="scripted", messages=MESSAGES, reasoning_effort="high", seed=1)
    message = told.choices[0].message
    assert message.content == ANSWER
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == message.model_extra["reasoning"] == THOUGHT
    assert told.usage is not None
    assert told.usage.completion_tokens_details is not None
    assert told.usage.completion_tokens_details.reasoning_tokens
    assert told.usage.prompt_tokens_details is not None
    assert told.usage.prompt_tokens_details.cached_tokens == 0


def test_chat_streams_what_it_would_have_said(ask: openai.OpenAI) -> None:
    parts = list(
        ask.chat.completions.create(
            model="scripted", messages=MESSAGES, stream=True, stream_options={"include_usage": True}, logprobs=True
        )
    )
    deltas = [part.choices[0].delta for part in parts if part.choices]
    assert "".join(delta.content or "" for delta in deltas) == ANSWER
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == THOUGHT
    assert parts[-1].usage is not None
    tokens = [
        token for part in parts if part.choices and (told := part.choices[0].logprobs) for token in told.content or ()
    ]
    assert "".join(token.token for token in tokens) == ANSWER


def test_the_clients_own_accumulator_puts_a_call_together(ask: openai.OpenAI) -> None:
    with ask.chat.completions.stream(model="scripted", messages=MESSAGES, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert calls is not None
    assert (calls[0].function.name, json.loads(calls[0].function.arguments)) == ("add", {"a": 2, "b": 2})


def test_a_call_is_answered_in_the_next_request(ask: openai.OpenAI) -> None:
    first = ask.chat.completions.create(model="scripted", messages=MESSAGES, tools=[TOOL]).choices[0].message
    assert first.tool_calls is not None
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "four"}
    turns: Any = [*MESSAGES, first, result]
    told = ask.chat.completions.create(model="scripted", messages=turns, tools=[TOOL])
    assert told.choices[0].message.content == "The tool says four."


def test_a_pydantic_model_is_parsed_from_the_answer(ask: openai.OpenAI) -> None:
    from pydantic import BaseModel

    class Sum(BaseModel):
        sum: int

    told = ask.chat.completions.parse(model="scripted", messages=MESSAGES, response_format=Sum)
    assert told.choices[0].message.parsed == Sum(sum=4)


def test_responses_hold_a_thought_and_an_answer(ask: openai.OpenAI) -> None:
    told = ask.responses.create(model="scripted", input="Tell me.", reasoning={"effort": "low", "summary": "auto"})
    assert told.output_text == ANSWER
    reasoning: Any = told.output[0]
    assert reasoning.type == "reasoning"
    assert (reasoning.content[0].text, reasoning.summary[0].text) == (THOUGHT, THOUGHT)
    assert told.usage is not None
    assert told.usage.output_tokens_details.reasoning_tokens
    again = ask.responses.create(model="scripted", input="And now?", previous_response_id=told.id)
    assert again.output_text == ANSWER
    assert ask.responses.retrieve(told.id).output_text == ANSWER
    assert ask.responses.input_items.list(told.id).data
    ask.responses.delete(told.id)
    with pytest.raises(openai.NotFoundError):
        ask.responses.retrieve(told.id)


def test_the_clients_own_response_stream_ends_in_the_whole_response(ask: openai.OpenAI) -> None:
    tool: Any = {"type": "function", **TOOL["function"], "strict": False}
    with ask.responses.stream(model="scripted", input="Tell me.", tools=[tool]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    call: Any = final.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "add", {"a": 2, "b": 2})


def test_completions_go_on_with_text(ask: openai.OpenAI) -> None:
    told = ask.completions.create(model="scripted", prompt="def add(a, b):", max_tokens=40)
    assert told.choices[0].text == " return a + b"
    parts = ask.completions.create(model="scripted", prompt="def add(a, b):", stream=True)
    assert "".join(part.choices[0].text for part in parts) == " return a + b"


def test_models_are_listed(ask: openai.OpenAI) -> None:
    assert [model.id for model in ask.models.list()] == ["scripted"]


def test_errors_are_the_clients_own(ask: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask.chat.completions.create(model="scripted", messages=MESSAGES, extra_body={"thinking_budget": -1})
    assert refused.value.param == "thinking_budget"
    with pytest.raises(openai.NotFoundError):
        ask.chat.completions.create(model="gpt-9", messages=MESSAGES)
    with pytest.raises(openai.APIStatusError) as embeddings:
        ask.embeddings.create(model="scripted", input="x")
    assert embeddings.value.status_code == 501
