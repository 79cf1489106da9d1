"""The `ollama` client: chat and generate, whole and streamed, tools, formats, models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import ANSWER, client
from tests.unit.server.wire.served import THOUGHT

if TYPE_CHECKING:
    import ollama
else:
    ollama = client("ollama")

MESSAGES = [{"role": "user", "content": "Tell me about two and two."}]


@pytest.fixture
def ask(url: str) -> Iterator[ollama.Client]:
    with ollama.Client(host=url) as opened:
        yield opened


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: the first
        b: the second
    """
    return a + b


def test_chat_answers_with_its_thought_beside_it(ask: ollama.Client) -> None:
    told = ask.chat(
        model="scripted", messages=MESSAGES, think=True, options={"seed": 1, "num_ctx": 4096}, keep_alive="5m"
    )
    assert (told.message.content, told.message.thinking) == (ANSWER, THOUGHT)
    assert (told.done, told.done_reason) == (True, "stop")
    assert told.eval_count


def test_chat_streams_what_it_would_have_said(ask: ollama.Client) -> None:
    parts = list(ask.chat(model="scripted", messages=MESSAGES, stream=True, think="high"))
    assert "".join(part.message.content or "" for part in parts) == ANSWER
    assert "".join(part.message.thinking or "" for part in parts) == THOUGHT
    assert parts[-1].done


def test_a_python_function_is_called_and_its_result_answered(ask: ollama.Client) -> None:
    told = ask.chat(model="scripted", messages=MESSAGES, tools=[add])
    assert told.message.tool_calls is not None
    made = told.message.tool_calls[0].function
    result = add(**made.arguments)
    turns: list[Any] = [*MESSAGES, told.message, {"role": "tool", "content": str(result), "tool_name": made.name}]
    assert ask.chat(model="scripted", messages=turns, tools=[add]).message.content == "The tool says 4."


def test_a_schema_is_held(ask: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
    assert ask.chat(model="scripted", messages=MESSAGES, format=schema).message.content == '{"sum": 4}'


def test_generate_answers_streams_and_goes_on(ask: ollama.Client) -> None:
    assert ask.generate(model="scripted", prompt="Tell me.").response == ANSWER
    parts = ask.generate(model="scripted", prompt="Tell me.", stream=True)
    assert "".join(part.response or "" for part in parts) == ANSWER
    assert ask.generate(model="scripted", prompt="def add(a, b):", raw=True).response == " return a + b"


def test_models_are_listed_shown_and_loaded(ask: ollama.Client) -> None:
    assert [model.model for model in ask.list().models] == ["scripted"]
    assert "tools" in (ask.show("scripted").capabilities or [])
    assert ask.generate(model="scripted").done_reason == "load"
    assert [model.name for model in ask.ps().models] == ["scripted"]


def test_errors_are_the_clients_own(ask: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        ask.chat(model="llama9", messages=MESSAGES)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="num_ctx|context"):
        ask.chat(model="scripted", messages=MESSAGES, options={"num_ctx": 10**7})
    with pytest.raises(ollama.ResponseError, match="embeddings"):
        ask.embed(model="scripted", input="x")
