"""Schemas, forced calls, stop texts and completions on a real small model: what is asked for holds, thinking or not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import bethink
from bethink.model import Model
from bethink.types import Completed, Completion, Drawing, Finished, Message, Request, Result, TextDelta, Tool

pytestmark = [pytest.mark.anyio, pytest.mark.real]

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"animal": {"enum": ["fox", "crow"]}, "n_legs": {"type": "integer", "maximum": 9, "minimum": 0}},
        "required": ["animal", "n_legs"],
        "additionalProperties": False,
    }
)
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
WEATHER = Tool("get_weather", "The weather of a city.", CITY | {"additionalProperties": False})
CLOCK = Tool("get_time", "The time in a city.", CITY | {"additionalProperties": False})


@pytest.fixture(scope="module", params=["openvino", "llamacpp"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    with bethink.load("smollm2:135m", engine=request.param) as loaded:
        loaded.traces = None
        yield loaded


async def result_of(model: Model, question: str, **limits: object) -> Result:
    request = Request((Message("user", question),), seed=1, max_tokens=500, **limits)  # pyright: ignore[reportArgumentType]
    events = [event async for event in model.think(request)]
    result = next(event.result for event in events if isinstance(event, Finished))
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta) and event.phase == "answer")
    assert streamed == result.answer
    return result


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
@pytest.mark.parametrize("budget", [0, 24, 96])
async def test_an_answer_holds_to_its_schema_and_a_thought_does_not(
    model: Model, budget: int, tools: tuple[Tool, ...]
) -> None:
    result = await result_of(
        model, "Who stole the cheese, the fox or the crow?", budget=budget, json_schema=SCHEMA, tools=tools
    )
    if result.finish_reason == "stop":  # not cut: JSON lets white space go on for ever
        assert json.loads(result.answer)["animal"] in ("fox", "crow")
    assert result.usage.thinking_tokens <= budget
    assert bool(result.thinking) == (budget > 0)
    assert not result.thinking.startswith("{")


@pytest.mark.parametrize("choice", ["function:get_time", "required"])
@pytest.mark.parametrize("budget", [0, 24])
async def test_a_forced_call_holds_to_the_tools_schema(model: Model, choice: str, budget: int) -> None:
    result = await result_of(
        model, "What is the time in Rome?", budget=budget, tools=(WEATHER, CLOCK), tool_choice=choice
    )
    names = {"function:get_time": {"get_time"}, "required": {"get_time", "get_weather"}}[choice]
    assert result.finish_reason == "tool_calls"
    assert {call.name for call in result.tool_calls} <= names
    assert list(json.loads(result.tool_calls[0].arguments)) == ["city"]


async def test_a_stop_text_ends_an_answer_and_logprobs_spell_it(model: Model) -> None:
    free = await result_of(model, "Tell me about foxes.", effort="none")
    stop = free.answer.split()[6]
    cut = await result_of(model, "Tell me about foxes.", effort="none", drawing=Drawing(stop=(stop,), logprobs=0))
    assert cut.answer == free.answer[: free.answer.index(stop)].rstrip()
    assert "".join(t.text for t in cut.logprobs).strip().startswith(cut.answer)
    assert all(t.logprob is None or -40 < t.logprob <= 0 for t in cut.logprobs)
    assert cut.usage.answer_tokens < free.usage.answer_tokens


async def test_a_text_goes_on(model: Model) -> None:
    asked = Completion("Once upon a time, there was a fox who", max_tokens=12, seed=1)
    events = [event async for event in model.complete(asked)]
    completed = events[-1]
    assert isinstance(completed, Completed)
    assert completed.text == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert completed.text.startswith(" ")
    assert (completed.usage.answer_tokens, completed.finish_reason) == (12, "length")


async def test_what_the_engine_cached_is_counted_where_it_says_so(model: Model) -> None:
    results = [await result_of(model, "Tell me about foxes and crows. " * 20, effort="none") for _ in range(2)]
    knows = model.engine.info.name == "llamacpp"
    assert (results[1].usage.cached_tokens > 50) == knows
    assert results[1].usage.cached_tokens <= results[1].usage.prompt_tokens
