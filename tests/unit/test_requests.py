"""What a request may ask for beside its question: how tokens are drawn, tools, what was cached; and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Line, ScriptedEngine
from bethink.errors import CapabilityMissing, ContextFull, UsageError
from bethink.model import Model
from bethink.profiles import load_profiles
from bethink.thinking.form import CALL_LEAD
from bethink.trace import Trace
from bethink.types import Drawing, Message, Request, Sampling, TextDelta, Tool, ToolCall, ToolCallDelta
from tests.unit.test_model import asked, events_of, finished, make_model

pytestmark = pytest.mark.anyio

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER, CLOCK = Tool("weather", "Tells it.", CITY), Tool("clock")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
ALL = frozenset({"logprobs", "top_logprobs", "json_schema", "penalties"})
START = "assistant\n"


def starts_of(model: Model) -> list[Context]:
    assert isinstance(model.engine, ScriptedEngine)
    return model.engine.starts


def sampling_of(model: Model) -> Sampling:
    return starts_of(model)[-1].sampling


async def test_what_a_request_wants_of_drawing_reaches_the_engine() -> None:
    model = make_model({START: "It is so."}, capabilities=ALL)
    drawing = Drawing(0.9, 7, 0.1, 0.5, -0.5, 1.2, logprobs=3)
    await model.answer(asked("Why?", drawing=drawing))
    sampling = sampling_of(model)
    assert (sampling.top_p, sampling.top_k, sampling.min_p) == (0.9, 7, 0.1)
    assert (sampling.presence_penalty, sampling.frequency_penalty, sampling.repetition_penalty) == (0.5, -0.5, 1.2)
    assert (sampling.logprobs, sampling.top_logprobs) == (True, 3)


async def test_what_it_does_not_say_is_the_profiles() -> None:
    model = make_model({START: "It is so."})
    model.profile = replace(model.profile, sampling=replace(model.profile.sampling, top_p=0.8, top_k=5))
    await model.answer(asked("Why?", drawing=Drawing(top_k=0)))
    assert (sampling_of(model).top_p, sampling_of(model).top_k, sampling_of(model).logprobs) == (0.8, 0, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("top_p", value) for value in (0.0, -1.0, 1.1, math.nan, math.inf)],
        *[("top_k", value) for value in (-1, 1 << 40)],
        *[("min_p", value) for value in (-0.1, 1.0, math.nan)],
        *[(name, value) for name in ("presence_penalty", "frequency_penalty") for value in (-2.1, 2.1, math.nan)],
        *[("repetition_penalty", value) for value in (0.0, -1.0, 10.1, math.nan)],
        *[("logprobs", value) for value in (-1, 21)],
        *[("stop", value) for value in (("",), ("a",) * 33, ("a" * 1001,))],
    ],
)
async def test_a_value_that_means_nothing_is_refused_by_its_fields_name(field: str, value: Any) -> None:
    model = make_model({}, capabilities=ALL)
    with pytest.raises(UsageError, match=field):
        model.think(asked(drawing=Drawing(**{field: value})))


@pytest.mark.parametrize(
    ("drawing", "capabilities"),
    [
        (Drawing(presence_penalty=0.1), ALL - {"penalties"}),
        (Drawing(frequency_penalty=0.1), ALL - {"penalties"}),
        (Drawing(repetition_penalty=1.1), ALL - {"penalties"}),
        (Drawing(logprobs=1), ALL - {"top_logprobs"}),
        (Drawing(logprobs=0), ALL - {"logprobs"}),
    ],
)
async def test_what_the_engine_cannot_do_is_refused_before_it_is_asked(
    drawing: Drawing, capabilities: frozenset[Any]
) -> None:
    with pytest.raises(CapabilityMissing):
        make_model({}, capabilities=capabilities).think(asked(drawing=drawing))
    off = Drawing(presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0)
    make_model({}, capabilities=capabilities).think(asked(drawing=off))


async def test_stop_texts_and_logprobs_reach_the_result() -> None:
    model = make_model({START: "One, two, three."})
    run = model.think(asked("Count!", drawing=Drawing(stop=(", three",), logprobs=0)))
    result = finished(await events_of(run))
    assert (result.answer, result.finish_reason) == ("One, two", "stop")
    assert "".join(t.text for t in result.logprobs) == "One, two"


async def test_cached_tokens_are_those_the_engine_tells_of() -> None:
    assert (await make_model({START: "So."}, n_cached=9).answer(asked("Why?"))).usage.cached_tokens == 9
    assert (await make_model({START: "So."}).answer(asked("Why?"))).usage.cached_tokens == 0
    most = await make_model({START: "So."}, n_cached=10**6).answer(asked("Why?"))
    assert most.usage.cached_tokens == most.usage.prompt_tokens


# Tools.


async def test_tools_are_shown_and_their_calls_are_the_result(tmp_path: Path) -> None:
    model = make_model({START: CALL}, traces=tmp_path)
    run = model.think(asked("How many degrees has it in Rome and 3 other places?", tools=(WEATHER,)))
    events = await events_of(run)
    result = finished(events)
    assert "Tells it." in run.trace.prompt_text
    assert (result.answer, result.finish_reason, len(result.paths)) == ("", "tool_calls", 1)
    assert result.tool_calls == result.paths[0].tool_calls
    assert [(e.id, e.name) for e in events if isinstance(e, ToolCallDelta)] == [(result.tool_calls[0].id, "weather")]
    kept = Trace.load(tmp_path / f"{result.trace_id}.json")
    assert kept.result is not None
    assert kept.result["tool_calls"][0]["arguments"] == '{"city": "Rome"}'


async def test_a_trace_from_before_tools_still_loads(tmp_path: Path) -> None:
    model = make_model({START: "So."}, traces=tmp_path)
    result = await model.answer(asked("Why?"))
    file = tmp_path / f"{result.trace_id}.json"
    raw = json.loads(file.read_text())
    for path in raw["paths"]:
        del path["tool_calls"]
    del raw["result"]["tool_calls"], raw["request"]["tools"], raw["request"]["drawing"]
    file.write_text(json.dumps(raw))
    assert Trace.load(file).paths[0].answer == "So."


async def test_with_the_choice_none_the_model_sees_no_tools_and_calls_none() -> None:
    model = make_model({START: CALL})
    run = model.think(asked("Why?", tools=(WEATHER,), tool_choice="none"))
    result = finished(await events_of(run))
    assert "Tells it." not in run.trace.prompt_text
    assert (result.answer, result.tool_calls) == (CALL, ())


@pytest.mark.parametrize("choice", ["required", "function:weather"])
async def test_a_call_that_is_wanted_is_begun_and_held_to_the_tools_schema(choice: str) -> None:
    def script(context: Context) -> Line:
        schema = json.loads(context.sampling.json_schema or "null")
        if schema is None:
            return Line("")
        if "anyOf" in schema:
            assert [one["properties"]["name"] for one in schema["anyOf"]] == [{"const": "weather"}, {"const": "clock"}]
            return Line('{"name": "weather", "arguments": {"city": "Rome"}}')
        assert schema == CITY
        return Line('{"city": "Rome"}')

    model = make_model(script, capabilities=ALL)
    result = await model.answer(asked("Why?", tools=(WEATHER, CLOCK), tool_choice=choice))
    assert [(c.name, json.loads(c.arguments)) for c in result.tool_calls] == [("weather", {"city": "Rome"})]
    assert (result.answer, result.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize("choice", ["required", "function:weather"])
async def test_a_call_that_the_engine_could_not_hold_the_model_to_is_refused(choice: str) -> None:
    model = make_model({START: CALL})
    with pytest.raises(CapabilityMissing, match=choice):
        model.think(asked("Why?", tools=(WEATHER, CLOCK), tool_choice=choice))
    assert (await model.answer(asked("Why?", tools=(WEATHER, CLOCK)))).finish_reason == "tool_calls"


async def test_references_inside_a_tools_schema_still_mean_the_same_in_the_choice_of_all() -> None:
    seen: list[Any] = []

    def script(context: Context) -> Line:
        seen.append(json.loads(context.sampling.json_schema or "null"))
        return Line('{"name": "clock", "arguments": {}}')

    deep = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}
    model = make_model(script, capabilities=ALL)
    await model.answer(asked("Why?", tools=(CLOCK, Tool("deep", "", deep)), tool_choice="required"))
    arguments = seen[0]["anyOf"][1]["properties"]["arguments"]
    assert arguments["properties"]["a"] == {"$ref": "#/anyOf/1/properties/arguments/$defs/a"}


async def test_an_answer_to_a_tools_result_is_an_answer() -> None:
    call = ToolCall("call_1", "weather", '{"city": "Rome"}')
    history = (
        Message("user", "And in Rome?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "18 degrees", tool_call_id="call_1"),
    )
    model = make_model({START: "It has 18 degrees."})
    run = model.think(Request(history, tools=(WEATHER,), budget=0))
    assert finished(await events_of(run)).answer == "It has 18 degrees."
    assert "<tool_response>\n18 degrees\n</tool_response>" in run.trace.prompt_text


async def test_what_makes_a_plain_model_think_stands_with_the_question_not_with_a_tools_result() -> None:
    call = ToolCall("call_1", "weather", "")
    history = (
        Message("user", "And in Rome?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "18 degrees", tool_call_id="call_1"),
    )
    run = make_model({START: "So.", CALL_LEAD: "So."}).think(Request(history, tools=(WEATHER,), budget=100))
    await events_of(run)
    assert "And in Rome?\n\nThink" in run.trace.prompt_text


async def test_an_edited_thought_takes_no_room_from_the_answer_but_from_the_context() -> None:
    thought = "I think. " * 60
    model = make_model({thought: "So.", "Final answer:** ": "It is 4." * 20}, context_length=2000)
    result = await model.answer(asked("Why?", thought=thought, max_tokens=400, budget=50))
    assert result.answer == "It is 4." * 20
    assert result.finish_reason == "stop"
    with pytest.raises(ContextFull):
        model.think(asked("Why?", thought=thought * 4))


@pytest.mark.parametrize("said_since", [1, 2, 3])
async def test_what_is_asked_decides_the_evidence_whatever_was_said_since(said_since: int) -> None:
    call = ToolCall("call_1", "weather", "")
    since = (
        Message("assistant", "I look.", tool_calls=(call,)),
        Message("tool", "18 degrees", tool_call_id="call_1"),
        Message("assistant", "It has"),
    )
    history = (Message("user", "How many degrees are 3 more than in Rome?"), *since[:said_since])
    run = make_model({}).think(Request(history, tools=(WEATHER,), tool_choice="none"))
    assert run.check.asks_for_value
    assert run.plan.n_paths > 1


@pytest.mark.parametrize(
    "limits",
    [
        {"tool_choice": "required"},
        {"tool_choice": "function:weather"},
        {"tool_choice": "function:moon", "tools": (WEATHER,)},
        {"tool_choice": "function", "tools": (WEATHER,)},
        {"tool_choice": "any", "tools": (WEATHER,)},
        {"tool_choice": "auto:weather", "tools": (WEATHER,)},
        {"tools": (WEATHER, WEATHER)},
        {"tools": (Tool(""),)},
        {"tools": (Tool('a"b'),)},
        {"tools": (Tool("x" * 65),)},
        {"tools": (Tool("a", "", {"type": "string"}),)},
        {"tools": (Tool("a", "", {"type": "object", "properties": 7}),)},
        {"tools": (Tool("a", "", {"a": {1, 2}}),)},
        {"tools": (Tool("a", "", {"maximum": math.nan}),)},
        {"tools": tuple(Tool(f"t{n}") for n in range(257))},
    ],
)
async def test_tools_that_cannot_be_meant_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_model({}, capabilities=ALL).think(asked(**limits))


CALLED = Message("assistant", "", tool_calls=(ToolCall("c1", "weather", "{}"),))


@pytest.mark.parametrize(
    "history",
    [
        (Message("user", "Hi"), Message("tool", "18")),
        (Message("user", "Hi"), Message("tool", "18", tool_call_id="c1")),
        (Message("user", "Hi"), CALLED, Message("tool", "18", tool_call_id="c2")),
        (Message("user", "Hi"), CALLED, Message("user", "18", tool_call_id="c1")),
        (Message("user", "Hi", tool_calls=CALLED.tool_calls),),
        *[
            (Message("user", "Hi"), Message("assistant", "", tool_calls=(ToolCall("c1", "weather", arguments),)))
            for arguments in ("{", "[]", "7", "NaN", "[" * 100_000)
        ],
    ],
)
async def test_a_history_of_calls_that_does_not_hold_together_is_refused(history: tuple[Message, ...]) -> None:
    with pytest.raises(UsageError):
        make_model({}).think(Request(history))


async def test_a_path_that_calls_has_no_vote() -> None:
    n = 0

    def script(context: Context) -> Line:
        nonlocal n
        if context.text.endswith(CALL_LEAD):
            return Line("7")
        n += 1
        return Line(CALL if n == 1 else f"{n}. " + " ".join(map(str, range(60))))  # which takes longer than to call

    result = await make_model(script).answer(asked(paths=4, check="math", tools=(WEATHER,)))
    assert (result.answer, result.tool_calls) == ("7", ())
    assert [vote.answer for vote in result.verdict.votes] == ["7"]
    assert (result.verdict.agreement or 1) < 1
    assert [path.extracted for path in result.paths if path.tool_calls] == [None]


@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize("has_schema", [False, True])
@pytest.mark.parametrize("has_tools", [False, True])
@pytest.mark.parametrize("budget", [0, 200])
async def test_thinking_schema_tools_and_streaming_go_together(
    is_native: bool, has_schema: bool, has_tools: bool, budget: int
) -> None:
    profile = next(p for p in load_profiles() if p.name == ("qwen3" if is_native else "qwen2.5"))
    opening = "<think>\n" if is_native else START

    def script(context: Context) -> Line:
        if context.sampling.json_schema is not None:
            return Line('{"city": "Rome"}')
        if context.text.endswith(opening) and budget:
            return Line("I think." + "</think>\n\nIt is so." * is_native)
        return Line("It is so.")

    model = make_model(script, profile=profile, capabilities=ALL)
    request = asked(
        "Why?",
        budget=budget,
        json_schema=json.dumps(CITY) if has_schema else None,
        tools=(WEATHER,) if has_tools else (),
    )
    events = await events_of(model.think(request))
    result = finished(events)
    assert result.answer == ('{"city": "Rome"}' if has_schema else "It is so.")
    assert result.thinking == ("I think." if budget else "")
    assert "".join(e.text for e in events if isinstance(e, TextDelta) and e.phase == "answer") == result.answer


def long_history(n_turns: int) -> tuple[Message, ...]:
    turns = [(Message("user", f"Question {n}?"), Message("assistant", f"Answer {n}. " * 10)) for n in range(n_turns)]
    return (Message("system", "Be kind."), *(m for turn in turns for m in turn), Message("user", "And now?"))


async def test_of_a_conversation_that_outgrew_the_context_the_oldest_turns_are_left_out_where_they_may_be() -> None:
    model = make_model({START: "So."}, context_length=2000)
    request = Request(long_history(30), budget=0)
    with pytest.raises(ContextFull):
        model.think(request)
    result = await model.answer(replace(request, truncation="auto"))
    told = starts_of(model)[-1].text
    assert result.answer == "So."
    assert "Be kind." in told
    assert "And now?" in told
    assert "Question 29?" in told
    assert "Question 0?" not in told
    (note,) = [note for note in result.notes if "left out" in note]
    assert (
        note
        == f"{61 + 1 - told.count('<|im_start|>') + 1} messages at the beginning left out: the context has 2,000 tokens"
    )


async def test_a_conversation_that_fits_loses_nothing_and_no_note_says_so() -> None:
    model = make_model({START: "So."}, context_length=20_000)
    result = await model.answer(Request(long_history(3), budget=0, truncation="auto"))
    assert "Question 0?" in starts_of(model)[-1].text
    assert not [note for note in result.notes if "left out" in note]


async def test_one_question_that_is_too_long_by_itself_is_refused_all_the_same() -> None:
    model = make_model({START: "So."}, context_length=200)
    with pytest.raises(ContextFull):
        model.think(Request((Message("user", "word " * 400),), truncation="auto"))


async def test_turns_are_left_out_for_the_room_that_the_answer_and_tools_were_promised_too() -> None:
    model = make_model({START: "So."}, context_length=2000)
    request = Request(long_history(6), budget=0, max_tokens=1500, truncation="auto")
    with pytest.raises(ContextFull):
        model.think(replace(request, truncation="disabled"))
    result = await model.answer(request)
    assert result.answer == "So."
    assert "And now?" in starts_of(model)[-1].text
    assert any("left out" in note for note in result.notes)
    with pytest.raises(ContextFull):
        model.think(replace(request, max_tokens=2000))
