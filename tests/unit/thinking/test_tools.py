"""Tools, schemas, thinking and stop texts together, on written models: what is a call, and what is an answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bethink.engine.scripted import Context, Line
from bethink.profiles import Profile
from bethink.thinking.form import Form
from bethink.types import TextDelta, Tool, ToolCallDelta
from tests.unit.thinking.conftest import NATIVE, PROMPTED, SCHEMAS, MakeRig, Rig

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(virtual_time: tuple[str, dict[str, object]]) -> tuple[str, dict[str, object]]:
    return virtual_time


WEATHER = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
CLOCK = Tool("clock")
TOOLS = Form(tools=(WEATHER, CLOCK))
ARGUMENTS = '{"city": "Rome"}'
CALL = f'<tool_call>\n{{"name": "weather", "arguments": {ARGUMENTS}}}\n</tool_call>'
OPENING = '<tool_call>\n{"name": "weather", "arguments": '
FORCED = Form(tools=(WEATHER,), opening=OPENING, opening_schema="{}", ending="}\n</tool_call>", most_calls=1)
JSON = Form(schema='{"type": "object"}')
OPEN = "<think>\n"
START = "assistant\n"
both = pytest.mark.parametrize("profile", [NATIVE, PROMPTED], ids=["native", "prompted"])


def calls_of(rig: Rig) -> list[tuple[str, str]]:
    return [(e.name, e.arguments) for e in rig.events if isinstance(e, ToolCallDelta)]


async def test_an_answer_that_is_a_call_is_a_call_and_no_text(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: f"I must look.</think>\n\n{CALL}"}, form=TOOLS)
    result = await rig.run()
    assert (result.answer, result.finish_reason, result.thinking) == ("", "tool_calls", "I must look.")
    assert [(c.name, c.arguments) for c in result.tool_calls] == [("weather", ARGUMENTS)] == calls_of(rig)
    assert not [e for e in rig.events if isinstance(e, TextDelta) and e.phase == "answer"]
    assert rig.trace.paths[0].tool_calls[0]["name"] == "weather"


async def test_words_before_a_call_are_streamed_and_kept(make_rig: MakeRig) -> None:
    rig = make_rig({START: f"Let me look.\n{CALL}"}, profile=PROMPTED, budget=0, form=TOOLS)
    result = await rig.run()
    assert (result.answer, result.finish_reason, len(result.tool_calls)) == ("Let me look.", "tool_calls", 1)
    assert rig.streamed["answer"] == "Let me look."


async def test_calls_differ_in_their_ids_and_repeat_with_the_seed(make_rig: MakeRig) -> None:
    one, two = [await make_rig({START: CALL + CALL}, profile=PROMPTED, budget=0, form=TOOLS).run() for _ in range(2)]
    assert one.tool_calls == two.tool_calls
    assert len({call.id for call in one.tool_calls}) == 2


async def test_one_call_ends_the_turn_where_only_one_is_wanted(make_rig: MakeRig) -> None:
    form = Form(tools=(WEATHER,), most_calls=1)
    rig = make_rig({START: f"{CALL}\n{CALL} and on and on"}, profile=PROMPTED, budget=0, form=form)
    result = await rig.run()
    assert (len(result.tool_calls), result.answer, result.finish_reason) == (1, "", "tool_calls")
    assert result.usage.answer_tokens == len(CALL)


@pytest.mark.parametrize("marker", NATIVE.markers)
@pytest.mark.parametrize("form", [CALL, CALL[12:-13], f"```json\n{CALL[12:-13]}\n```", f"Let me look.\n{CALL}"])
async def test_a_marker_in_an_argument_is_a_text_of_the_call(make_rig: MakeRig, marker: str, form: str) -> None:
    city = f"between {marker} and {marker}"
    rig = make_rig({OPEN: f"I look.</think>\n\n{form.replace('Rome', city)}"}, form=TOOLS)
    result = await rig.run()
    assert [json.loads(c.arguments) for c in result.tool_calls] == [{"city": city}]
    assert (result.thinking, len(rig.engine.starts)) == ("I look.", 1)


@pytest.mark.parametrize("marker", NATIVE.markers)
async def test_a_marker_in_an_argument_of_a_forced_call_is_its_text_too(make_rig: MakeRig, marker: str) -> None:
    arguments = json.dumps({"city": marker})
    rig = make_rig({OPEN: "I look.</think>", OPENING: arguments}, form=FORCED, capabilities=SCHEMAS)
    assert [c.arguments for c in (await rig.run()).tool_calls] == [arguments]


async def test_a_thought_opened_again_in_what_is_no_call_is_taken_back(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: 'Hm.</think>\n\n<tool_call>\n{"name"\n<think>Or not.'}, form=TOOLS, max_tokens=400)
    result = await rig.run()
    assert "roll_back" in rig.actions
    assert not any(m in result.answer for m in NATIVE.markers)


async def test_prose_in_the_thought_is_no_call(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: f"I could write {CALL} but need not.</think>\n\nIt rains."}, form=TOOLS)
    result = await rig.run()
    assert (result.answer, result.tool_calls, result.finish_reason) == ("It rains.", (), "stop")


async def test_a_call_in_the_thought_before_an_answer_is_no_call(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: f"Perhaps:\n{CALL}</think>\n\nIt rains."}, form=TOOLS)
    assert (await rig.run()).tool_calls == ()


@pytest.mark.parametrize("ending", ["", "</think>", "</think>\n\n", "\n</think>\n\n"])
async def test_a_call_in_the_thought_that_closes_without_an_answer_is_not_lost(make_rig: MakeRig, ending: str) -> None:
    rig = make_rig({OPEN: f"I must look.\n{CALL}{ending}"}, form=TOOLS)
    result = await rig.run()
    assert (result.answer, result.finish_reason, result.closed_by) == ("", "tool_calls", "natural")
    assert [c.arguments for c in result.tool_calls] == [ARGUMENTS]
    assert result.thinking == f"I must look.\n{CALL}"


async def test_a_plain_model_that_ends_its_turn_with_a_call_means_it(make_rig: MakeRig) -> None:
    rig = make_rig({START: f"I must look.\n{CALL}"}, profile=PROMPTED, form=TOOLS)
    result = await rig.run()
    assert (result.answer, result.finish_reason, len(result.tool_calls)) == ("", "tool_calls", 1)


@pytest.mark.parametrize("budget", [0, 20, 1000])
@both
async def test_a_forced_call_is_begun_for_the_model_and_completed(
    make_rig: MakeRig, profile: Profile, budget: int
) -> None:
    thought = "I shall look at the weather in Rome, since it is what I am asked about." + "</think>" * profile.is_native
    rig = make_rig(
        {START if profile is PROMPTED else OPEN: thought, OPENING: ARGUMENTS},
        profile=profile,
        budget=budget,
        form=FORCED,
        capabilities=SCHEMAS,
    )
    result = await rig.run()
    assert [(c.name, c.arguments) for c in result.tool_calls] == [("weather", ARGUMENTS)]
    assert (result.answer, result.finish_reason) == ("", "tool_calls")
    assert result.usage.thinking_tokens <= budget
    held_to = [c.sampling.json_schema for c in rig.engine.starts]
    assert held_to[-1] == "{}"
    assert set(held_to[:-1]) <= {None}


async def test_a_forced_call_needs_no_schemas(make_rig: MakeRig) -> None:
    form = Form(tools=(WEATHER,), opening=OPENING, ending="}\n</tool_call>", most_calls=1)
    rig = make_rig({OPENING: f"{ARGUMENTS}}}\n</tool_call>\nAnd?"}, profile=PROMPTED, budget=0, form=form)
    assert [c.arguments for c in (await rig.run()).tool_calls] == [ARGUMENTS]


async def test_more_calls_may_follow_one_that_was_required(make_rig: MakeRig) -> None:
    form = Form(tools=(WEATHER, CLOCK), opening="<tool_call>\n", opening_schema="{}", ending="\n</tool_call>")
    script = {"<tool_call>\n": CALL[12:-13], "</tool_call>": '\n<tool_call>\n{"name": "clock"}\n</tool_call>'}

    def model(context: Context) -> Line:
        said = context.text.rsplit(START, 1)[1]
        return Line(script["</tool_call>" if said.endswith("</tool_call>") else "<tool_call>\n"])

    rig = make_rig(model, profile=PROMPTED, budget=0, form=form, capabilities=SCHEMAS)
    assert [c.name for c in (await rig.run()).tool_calls] == ["weather", "clock"]
    assert [c.sampling.json_schema for c in rig.engine.starts] == ["{}", None]


@pytest.mark.parametrize("budget", [0, 20, 1000])
@both
async def test_a_schema_is_held_against_the_answer_and_never_against_the_thought(
    make_rig: MakeRig, profile: Profile, budget: int
) -> None:
    def model(context: Context) -> Line:
        if context.sampling.json_schema is not None:
            return Line('{"a": 1}')
        if context.text.endswith((OPEN, START)):
            return Line("I think about it for quite a while, and then I know." + "</think>\n\nFree" * profile.is_native)
        return Line("Free and unheld.")

    rig = make_rig(model, profile=profile, budget=budget, form=JSON, capabilities=SCHEMAS)
    result = await rig.run()
    assert json.loads(result.answer) == {"a": 1}
    assert ("think about" in result.thinking) == (budget > 0)
    assert [c.sampling.json_schema for c in rig.engine.starts][-1] == JSON.schema
    assert rig.streamed == {"thinking": result.thinking, "answer": result.answer}


@pytest.mark.parametrize("says", [CALL, "It rains.", "<tool> is what?", "<b>It</b>", "", "<tool_cal"])
@pytest.mark.parametrize("budget", [0, 20, 1000])
@both
async def test_with_tools_and_a_schema_an_answer_is_a_call_or_holds_to_the_schema(
    make_rig: MakeRig, profile: Profile, budget: int, says: str
) -> None:
    def model(context: Context) -> Line:
        if context.sampling.json_schema is not None:
            return Line('{"a": 1}')
        if context.text.endswith(OPEN) or (context.text.endswith(START) and budget):
            return Line("I think about it for quite a while." + f"</think>\n\n{says}" * profile.is_native)
        return Line(says)

    form = Form(tools=(WEATHER,), schema='{"type": "object"}')
    rig = make_rig(model, profile=profile, budget=budget, form=form, capabilities=SCHEMAS)
    result = await rig.run()
    if says == CALL:
        assert (result.answer, [c.arguments for c in result.tool_calls]) == ("", [ARGUMENTS])
    else:
        assert (json.loads(result.answer), result.tool_calls) == ({"a": 1}, ())
    assert rig.streamed == {"thinking": result.thinking, "answer": result.answer}
    assert len([t for t in rig.trace.paths[0].tokens if t.origin == "sampled"]) == result.usage.completion_tokens
    assert result.usage.thinking_tokens <= budget


async def test_a_stop_text_ends_the_answer_and_never_the_thought(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "One. END of that.</think>\n\nTwo. END Three."}, form=Form(stop=("END",)))
    result = await rig.run()
    assert (result.thinking, result.answer, result.finish_reason) == ("One. END of that.", "Two.", "stop")
    assert rig.streamed["answer"] == "Two."
    assert len(rig.engine.starts) == 1


async def test_an_answer_that_begins_with_a_stop_text_is_not_empty(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "I know.\nIt is 4.</think>\n\nEND"}, form=Form(stop=("END",)))
    result = await rig.run()
    assert (result.answer, rig.streamed["answer"]) == ("It is 4.", "It is 4.")


@pytest.mark.parametrize("stop", ["<", "tool", "\n", '"name"', "weather", "</", "}"])
@both
async def test_a_stop_text_in_words_that_are_forced_stops_nothing(
    make_rig: MakeRig, profile: Profile, stop: str
) -> None:
    thought = "I must look." + "</think>" * profile.is_native
    script = {START if profile is PROMPTED else OPEN: thought, OPENING: ARGUMENTS}
    rig = make_rig(script, profile=profile, form=replace(FORCED, stop=(stop,)), capabilities=SCHEMAS)
    result = await rig.run()
    assert ([c.arguments for c in result.tool_calls], result.stop_text) == ([ARGUMENTS], None)
    said = {START if profile is PROMPTED else OPEN: f"I must look.\n{CALL}{CALL}"}
    rig = make_rig(said, profile=profile, form=replace(TOOLS, stop=(stop,)))
    result = await rig.run()
    assert ([c.arguments for c in result.tool_calls], result.stop_text) == ([ARGUMENTS] * 2, None)


@pytest.mark.parametrize(
    ("stop", "answer"),
    [("4", "It is"), (" ", "It"), ("It", "I have no answer to give."), ("I", "I have no answer to give.")],
)
async def test_words_put_in_the_models_mouth_end_before_a_stop_text(make_rig: MakeRig, stop: str, answer: str) -> None:
    rig = make_rig({OPEN: "I know.\nIt is 4.</think>\n\nEND"}, form=Form(stop=("END", stop)))
    result = await rig.run()
    assert (result.answer, rig.streamed["answer"]) == (answer, answer)
    assert (result.stop_text, result.finish_reason) == ("END", "stop")


@pytest.mark.parametrize("thought", ["It is four and not five, I am sure.", "几几几几几几几几几几几几"])
@pytest.mark.parametrize("max_tokens", [45, 50, 80])
async def test_words_put_in_the_models_mouth_keep_to_max_tokens(
    make_rig: MakeRig, thought: str, max_tokens: int
) -> None:
    def script(_: Context) -> Line:
        return Line(f"{thought}</think>", loop=" ")

    rig = make_rig(script, max_tokens=max_tokens)
    result = await rig.run()
    assert rig.path.chain.n_kept <= max_tokens
    assert result.answer
    assert thought.startswith(result.answer)
    assert rig.streamed["answer"] == result.answer
    assert (result.answer == thought) == (max_tokens >= 80)


async def test_a_hand_off_is_left_out_where_it_would_leave_no_room_for_an_answer(make_rig: MakeRig) -> None:
    def script(_: Context) -> Line:
        return Line("I think on and on and on.", loop=" more")

    rig = make_rig(script, budget=50, max_tokens=70)
    result = await rig.run()
    assert rig.path.chain.n_kept <= 70
    assert (result.closed_by, result.usage.thinking_tokens) == ("budget", 50)
    assert result.answer


async def test_logprobs_come_with_the_text_they_are_of(make_rig: MakeRig) -> None:
    line = Line(f"Hm.</think>\n\n Two ENEN é. {CALL} END", others=(("x", -3.0), ("y", -2.0)))
    rig = make_rig({OPEN: line}, form=Form(stop=("END",), tools=(WEATHER,), n_logprobs=2))
    result = await rig.run()
    assert b"".join(t.raw for t in result.logprobs).decode() == result.answer == "Two ENEN é."
    deltas = [e for e in rig.events if isinstance(e, TextDelta)]
    assert tuple(t for e in deltas for t in e.logprobs) == result.logprobs
    for delta in deltas:
        carried = b"".join(t.raw for t in delta.logprobs).decode()
        assert carried == (delta.text if delta.phase == "answer" else "")
    assert {t.logprob for t in result.logprobs} == {-0.1}
    assert result.logprobs[0].top == (("T", -0.1), ("y", -2.0))


async def test_a_marker_that_is_dropped_takes_no_logprobs_from_the_text_before_it(make_rig: MakeRig) -> None:
    def script(_: Context) -> Line:
        return Line("<tool_call>", loop="</think>")

    form = Form(tools=(WEATHER,), n_logprobs=1)
    rig = make_rig(script, budget=0, max_tokens=800, form=form)
    result = await rig.run()
    assert result.answer == "<tool_call>"
    assert b"".join(token.raw for token in result.logprobs).decode() == result.answer


async def test_what_a_limit_cut_is_no_call(make_rig: MakeRig) -> None:
    rig = make_rig({START: CALL}, profile=PROMPTED, budget=0, form=TOOLS, max_tokens=len(CALL) - 15)
    result = await rig.run()
    assert (result.tool_calls, result.finish_reason) == ((), "length")
    assert result.answer.startswith("<tool_call>")


@pytest.mark.parametrize(("room", "n_calls"), [(20, 0), (len(CALL) + 4, 1), (2 * len(CALL) + 4, 2)])
@pytest.mark.parametrize("profile", [NATIVE, PROMPTED])
async def test_calls_with_which_a_thought_ended_are_told_whole_and_as_far_as_max_tokens_reaches(
    make_rig: MakeRig, profile: Profile, room: int, n_calls: int
) -> None:
    thought = f"So.\n{CALL}\n{CALL}"
    most = len(thought) + len(profile.close_text if profile.is_native else "") + room

    def script(_: Context) -> Line:
        return Line(thought)

    rig = make_rig(script, profile=profile, budget=len(thought) + 1, max_tokens=most, form=TOOLS)
    result = await rig.run()
    assert rig.path.chain.n_kept <= most
    assert len(result.tool_calls) == n_calls
    assert result.finish_reason == ("tool_calls" if n_calls == 2 else "length")
    assert result.answer.strip() or result.tool_calls
    assert "<tool_call>" not in result.answer


PARTS = st.sampled_from(
    ["<tool_call>", "</tool_call>", CALL, CALL[:30], CALL[12:-13], CALL.replace("Rome", "<think>a</think>"),
     CALL.replace("Rome", "</think>").replace("weather", "moon"), "```json\n", "```",
     "<think>", "</think>", "I think. ", "\n\n", "END", "EN", "It is 4.", "é", "😀", "<|im_end|>", "<t", '"', "}"]
)  # fmt: skip
FORMS = (
    Form(),
    TOOLS,
    FORCED,
    JSON,
    Form(stop=("END", "4")),
    Form(stop=("END", "\n"), tools=(WEATHER,), n_logprobs=1),
    Form(tools=(WEATHER,), schema='{"type": "object"}', n_logprobs=0),
    Form(tools=(WEATHER,), most_calls=1),
    Form(tools=(WEATHER, CLOCK), opening="<tool_call>\n", ending="\n</tool_call>"),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spoken=st.lists(PARTS, max_size=10).map("".join),
    loop=st.sampled_from(["", "again ", "</think>", CALL, " ", "END"]),
    budget=st.sampled_from([0, 1, 40, 400]),
    max_tokens=st.sampled_from([500, 560, 800]),
    profile=st.sampled_from([NATIVE, PROMPTED]),
    form=st.sampled_from(FORMS),
)
async def test_whatever_a_model_writes_and_whatever_is_asked_the_contract_holds(
    make_rig: MakeRig, spoken: str, loop: str, budget: int, max_tokens: int, profile: Profile, form: Form
) -> None:
    def script(context: Context) -> Line:
        if context.sampling.json_schema is not None:
            return Line(ARGUMENTS)
        return Line(spoken, loop=loop)

    rig = make_rig(script, profile=profile, budget=budget, max_tokens=max_tokens, form=form, capabilities=SCHEMAS)
    result = await rig.run()
    assert result.answer.strip() or result.tool_calls
    assert not profile.is_native or not any(m in result.answer for m in NATIVE.markers)
    assert result.usage.thinking_tokens <= budget
    assert rig.path.chain.n_kept <= max_tokens
    assert rig.streamed == {"thinking": result.thinking, "answer": result.answer}
    assert [(c.name, c.arguments) for c in result.tool_calls] == calls_of(rig)
    assert all(isinstance(json.loads(c.arguments), dict) for c in result.tool_calls)
    assert not result.tool_calls or {c.name for c in result.tool_calls} <= {t.name for t in form.tools}
    assert len(result.tool_calls) <= (form.most_calls or 10**6)
    assert (result.finish_reason == "tool_calls") <= bool(result.tool_calls)
    spoke_for_it = any(d.cause == "the answer stayed empty" for d in rig.trace.decisions)
    assert not any(stop in result.answer for stop in form.stop)
    sampled = [t for t in rig.trace.paths[0].tokens if t.origin == "sampled"]
    assert len(sampled) == result.usage.completion_tokens
    if form.n_logprobs is not None and not result.tool_calls and not spoke_for_it:
        assert result.answer in b"".join(t.raw for t in result.logprobs).decode("utf-8", "replace")
