"""Thinking × JSON schema × tools × streaming, in every dialect: the contract holds and nothing is lost."""

from __future__ import annotations

import json

import pytest

from bethink.engine.scripted import Context, Line
from tests.unit.server.wire.served import THOUGHT, Served, says, serving
from tests.unit.server.wire.speaking import CALLED, CUT, SPEECHES, Question, Speech, Told

pytestmark = pytest.mark.anyio

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 2}}\n</tool_call>'
PROSE = 'I could write <tool_call>{"name": "add", "arguments": {}}</tool_call>, but first I think.'
CAN = frozenset({"json_schema", "logprobs"})


def script(context: Context) -> Line:
    """Thinks with prose about a call; then calls where it was shown tools, holds to a schema where one was asked
    for."""
    turn = context.text.rsplit("assistant\n", 1)[1]
    if "</think>" not in turn:
        return Line(f"{PROSE} {THOUGHT}\n</think>\n\n{_answer(context)}")
    return Line(_answer(context))


def _answer(context: Context) -> str:
    if "<tools>" in context.text and "<tool_response>" not in context.text:
        return CALL
    return '{"sum": 4}' if context.sampling.json_schema is not None or "JSON" in context.text else "It is 4."


async def ask(served: Served, speech: Speech, asked: Question, *, streaming: bool) -> Told:
    body = speech.body(asked)
    if not streaming:
        if speech.name == "chat":
            del body["stream_options"]
        return speech.whole(await served.post(speech.path, body | {"stream": False}))
    if speech.streams_lines:
        return speech.stream(await served.lines(speech.path, body))
    return speech.stream(await served.events(speech.path, body))


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@pytest.mark.parametrize("budget", [None, 0, 20], ids=["thinks", "not", "budget"])
@pytest.mark.parametrize("has_schema", [False, True], ids=["text", "schema"])
@pytest.mark.parametrize("has_tools", [False, True], ids=["alone", "tools"])
async def test_every_combination_answers_and_streams_the_same(
    speech: Speech, budget: int | None, has_schema: bool, has_tools: bool
) -> None:
    asked = Question(budget=budget, has_schema=has_schema, has_tools=has_tools)
    async with serving(script, capabilities=CAN) as served:
        whole = await ask(served, speech, asked, streaming=False)
        streamed = await ask(served, speech, asked, streaming=True)
    assert streamed.said == whole.said
    assert bool(whole.thought) == (budget != 0)
    assert whole.bethink["closed_by"] == ("natural" if budget is None else "budget")
    assert whole.bethink["usage"]["thinking_tokens"] <= (10_000 if budget is None else budget)
    assert "<think>" not in whole.answer
    assert "</think>" not in whole.answer
    if has_tools:
        assert [(name, arguments) for _, name, arguments in whole.calls] == [("add", {"a": 2, "b": 2})]
        assert whole.finish in {*CALLED, "completed", "stop"}
        assert "tool_call" not in whole.answer
    else:
        assert not whole.calls
        assert whole.answer == ('{"sum": 4}' if has_schema else "It is 4.")
        assert not has_schema or json.loads(whole.answer) == {"sum": 4}
    if budget is None:
        assert PROSE in whole.thought


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
async def test_what_is_done_otherwise_than_asked_is_said_with_the_answer(speech: Speech, streaming: bool) -> None:
    async with serving(script, capabilities=CAN) as served:
        cut = await ask(served, speech, Question(budget=600, max_tokens=400), streaming=streaming)
        kept = await ask(served, speech, Question(budget=100, max_tokens=400), streaming=streaming)
    (note,) = cut.bethink["notes"]
    assert note.startswith("the budget of 600 tokens is cut to ")
    assert kept.bethink["notes"] == []


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
async def test_a_vote_tells_its_winner_alike_streaming_or_not(speech: Speech) -> None:
    asked = Question("How many are 2 and 2?", more={"bethink": {"paths": 4}})
    async with serving(says("9", "4", "4", "4")) as served:
        whole = await ask(served, speech, asked, streaming=False)
        streamed = await ask(served, speech, asked, streaming=True)
    assert whole.answer == "4"
    assert whole.bethink["verdict"]["votes"][0] == {"answer": "4", "count": 3}
    assert (streamed.answer, streamed.finish, streamed.usage) == (whole.answer, whole.finish, whole.usage)


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
async def test_an_answer_that_was_cut_says_so_and_is_there(speech: Speech) -> None:
    asked = Question(max_tokens=40, budget=0)
    async with serving(lambda _: Line("So it goes. " * 20)) as served:
        whole = await ask(served, speech, asked, streaming=False)
        streamed = await ask(served, speech, asked, streaming=True)
    assert whole.finish in CUT
    assert whole.answer.startswith("So it goes.")
    assert streamed.said == whole.said


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
async def test_a_thought_never_eats_its_answer(speech: Speech) -> None:
    def endless(context: Context) -> Line:
        return Line("It is 4.") if "</think>" in context.text else Line("", loop="and on and on in circles, ")

    async with serving(endless) as served:
        told = await ask(served, speech, Question(max_tokens=400), streaming=False)
    assert told.answer == "It is 4."
    assert told.finish not in CUT
    assert told.bethink["closed_by"] in {"budget", "loop"}
