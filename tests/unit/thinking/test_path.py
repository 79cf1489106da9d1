"""The contract of thinking, on written models: a path ends, within its budget, with an answer and the truth about
why."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bethink.engine.scripted import Line
from bethink.thinking.form import Form
from bethink.thinking.policies.deadline import Deadline
from bethink.thinking.policies.loops import INJECTION
from bethink.types import TextDelta, ThoughtClosed
from tests.unit.thinking.conftest import NATIVE, PROMPTED, SCHEMAS, MakeRig

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(virtual_time: tuple[str, dict[str, object]]) -> tuple[str, dict[str, object]]:
    return virtual_time


OPEN = "<think>\n"
LONG = "I wonder about the number of clips that she sold, and how many of them were blue, red or green. " + " ".join(
    f"word{i}" for i in range(400)
)


async def test_a_model_that_closes_its_thought_is_left_alone(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "Two and two.</think>\n\nIt is 4."})
    result = await rig.run()
    assert (result.thinking, result.answer, result.closed_by) == ("Two and two.", "It is 4.", "natural")
    assert len(rig.engine.starts) == 1
    assert result.usage.discarded_tokens == 0


async def test_a_spent_budget_hands_off_and_is_answered(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "It is 4."}, budget=50)
    result = await rig.run()
    assert (result.answer, result.closed_by, result.usage.thinking_tokens) == ("It is 4.", "budget", 50)
    assert NATIVE.handoff.strip() in result.thinking


async def test_a_budget_of_zero_answers_at_once(make_rig: MakeRig) -> None:
    rig = make_rig({"</think>\n\n": "It is 4."}, budget=0)
    result = await rig.run()
    assert (result.thinking, result.answer, result.closed_by) == ("", "It is 4.", "budget")


async def test_a_plain_model_thinks_until_its_turn_ends_and_answers_after_the_lead(make_rig: MakeRig) -> None:
    rig = make_rig({"assistant\n": "Two and two is 4.", "**Final answer:** ": "4"}, profile=PROMPTED)
    result = await rig.run()
    assert (result.thinking, result.answer, result.closed_by) == ("Two and two is 4.", "4", "natural")


async def test_a_plain_model_without_budget_answers_directly(make_rig: MakeRig) -> None:
    rig = make_rig({"assistant\n": "It is 4."}, profile=PROMPTED, budget=0)
    result = await rig.run()
    assert (result.thinking, result.answer, result.closed_by) == ("", "It is 4.", "budget")


async def test_a_plain_model_whose_thought_is_cut_reasons_on_in_its_answer(make_rig: MakeRig) -> None:
    thought = "She sold 48 in April. In May she sold half as many, which is 24."
    script = {"assistant\n": thought, "in April.": " In May it was half of that: 24. Together 72."}
    rig = make_rig(script, profile=PROMPTED, budget=40)
    result = await rig.run()
    assert (result.thinking, result.closed_by) == ("She sold 48 in April.", "budget")
    assert result.answer == "In May it was half of that: 24. Together 72."
    assert (result.usage.thinking_tokens, result.usage.discarded_tokens) == (21, 19)
    assert rig.streamed == {"thinking": result.thinking, "answer": result.answer}
    assert rig.actions == ["roll_back", "close", "stop"]


async def test_a_cut_thought_without_a_whole_sentence_is_said_again_as_the_answer(make_rig: MakeRig) -> None:
    rig = make_rig({"assistant\n": "1. One and one and one is 3."}, profile=PROMPTED, budget=9)
    result = await rig.run()
    assert (result.thinking, result.answer, result.closed_by) == ("", "1. One and one and one is 3.", "budget")
    assert result.usage.discarded_tokens == 9


async def test_a_cut_thought_that_was_edited_keeps_what_the_user_wrote(make_rig: MakeRig) -> None:
    rig = make_rig({"Say 48, ": "no, 24 is it."}, profile=PROMPTED, budget=5, thought="Say 48, ")
    result = await rig.run()
    assert (result.thinking, result.answer) == ("Say 48,", "no, 24 is it.")


async def test_an_answer_held_to_a_schema_cannot_reason_on(make_rig: MakeRig) -> None:
    rig = make_rig(
        {"assistant\n": LONG, "**Final answer:** ": "4"},
        profile=PROMPTED,
        budget=20,
        form=Form(schema='{"type": "integer"}'),
        capabilities=SCHEMAS,
    )
    result = await rig.run()
    assert (result.answer, result.closed_by) == ("4", "budget")
    assert [c.sampling.json_schema for c in rig.engine.starts] == [None, '{"type": "integer"}']
    forced = "".join(t.text for t in rig.trace.paths[0].tokens if t.origin == "forced")
    assert forced.endswith(PROMPTED.handoff + PROMPTED.answer_lead)


async def test_a_turn_that_ends_inside_the_thought_is_closed_and_answered(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "It must be 4.", "</think>\n\n": "It is 4."})
    result = await rig.run()
    assert (result.answer, result.closed_by) == ("It is 4.", "natural")


async def test_an_answer_that_is_empty_is_asked_for_again_and_never_stays_empty(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "I know.\nIt must be 4.</think>\n\n", "</think>\n\n": ""})
    result = await rig.run()
    assert result.answer == "It must be 4."
    assert result.usage.discarded_tokens > 0


async def test_a_thought_opened_again_in_the_answer_is_taken_back(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "Two.</think>\n\nIt is 4.<think>Or not?</think>No."})
    result = await rig.run()
    assert result.answer == "It is 4."
    assert "think>" not in result.answer
    assert rig.streamed["answer"] == result.answer


async def test_half_a_marker_before_a_whole_one_in_the_answer_ends_too(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "Two.</think>\n\n", "</think>\n\n": "4 <thi<think>Or not?</think>No."})
    result = await rig.run()
    assert result.answer == "4 <thi"
    assert rig.streamed["answer"] == result.answer
    assert len(rig.path.chain.traced.tokens) < 100


async def test_a_stray_close_marker_never_shows(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "Still thinking.</think>It is 4."}, budget=20)
    assert "think>" not in (await rig.run()).answer


async def test_an_exact_loop_is_broken_out_of_by_another_token(make_rig: MakeRig) -> None:
    loop = Line("Let me see. ", loop="It is 5, no, 6. ")
    rig = make_rig(
        {OPEN: [loop, Line("Let me see. It is 5, no, 6? Ah.</think>\n\nIt is 4.")]},
        rungs=2,
    )
    result = await rig.run()
    assert result.answer
    assert "roll_back" in rig.actions
    assert result.usage.discarded_tokens >= 48
    assert rig.streamed["thinking"] == result.thinking


async def test_a_model_that_only_loops_is_closed_by_loop_and_still_answers(make_rig: MakeRig) -> None:
    again = Line("", loop="It is 5, no, 6. ")
    rig = make_rig({OPEN: again, INJECTION: again, "</think>\n\n": "It is 4."})
    result = await rig.run()
    assert (result.answer, result.closed_by) == ("It is 4.", "loop")
    assert INJECTION.strip() in result.thinking


async def test_a_looping_answer_ends(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: Line("Hm.</think>\n\n", loop="4 4 4 ")})
    result = await rig.run()
    assert (result.finish_reason, result.closed_by) == ("loop", "natural")


async def test_the_completion_never_passes_max_tokens(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": LONG}, budget=60, max_tokens=300)
    result = await rig.run()
    assert result.finish_reason == "length"
    assert rig.path.chain.n_kept == 300


async def test_a_deadline_closes_the_thought_in_time_for_an_answer(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "It is 4."}, deadline=Deadline(5.0, 8), token_delay_s=0.02)
    result = await rig.run()
    assert (result.answer, result.closed_by) == ("It is 4.", "deadline")
    assert 4.0 < rig.path.elapsed_s <= 5.02


async def test_a_deadline_cuts_a_long_answer(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: "Hm.</think>\n\n" + LONG}, deadline=Deadline(2.0, 8), token_delay_s=0.02)
    result = await rig.run()
    assert result.finish_reason == "deadline"
    assert result.answer
    assert rig.path.elapsed_s <= 2.03


async def test_a_stalled_engine_does_not_outlive_the_deadline(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "It is 4."}, deadline=Deadline(10.0, 8), first_token_s=8.0)
    result = await rig.run()
    assert result.answer
    assert result.closed_by == "deadline"


async def test_answer_now_closes_at_the_next_token(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "It is 4."}, token_delay_s=0.1)
    run = asyncio.ensure_future(rig.run())
    await asyncio.sleep(1.05)
    rig.control.wants_answer = True
    result = await run
    assert (result.answer, result.closed_by) == ("It is 4.", "user")
    assert result.usage.thinking_tokens <= 12


async def test_stop_ends_the_path_at_the_next_token(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG}, token_delay_s=0.1)
    run = asyncio.ensure_future(rig.run())
    await asyncio.sleep(1.05)
    rig.control.wants_stop = True
    result = await run
    assert (result.closed_by, result.finish_reason) == ("user", "user")


async def test_an_edited_thought_goes_on_where_the_user_left_it(make_rig: MakeRig) -> None:
    rig = make_rig({"Let me use 48.": " Half is 24.</think>\n\n72"}, thought="Let me use 48.")
    result = await rig.run()
    assert result.thinking == "Let me use 48. Half is 24."
    assert result.usage.thinking_tokens == len(" Half is 24.") + 1


async def test_every_token_stands_in_the_trace_once(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "It is 4."}, budget=50)
    result = await rig.run()
    traced = rig.trace.paths[0].tokens
    usage = result.usage
    assert len([t for t in traced if t.origin == "sampled"]) == usage.completion_tokens
    kept = [t.id for t in traced if t.is_kept and t.text]
    assert kept == rig.path.chain.ids[len(rig.path.prompt_ids) :]


async def test_the_closing_is_told_once_and_counts_the_thought(make_rig: MakeRig) -> None:
    rig = make_rig({OPEN: LONG, "</think>\n\n": "4"}, budget=50)
    await rig.run()
    assert [e for e in rig.events if isinstance(e, ThoughtClosed)] == [ThoughtClosed(0, "budget", 50)]
    assert [e.n_tokens for e in rig.events if isinstance(e, TextDelta) and e.phase == "answer"]


PARTS = st.sampled_from(
    ["<think>", "</think>", "I am thinking. ", "7 ", "\n\n", "It is 4.", "思", "😀", "loop loop ", "<|im_end|>", "<thi"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spoken=st.lists(PARTS, max_size=12).map("".join),
    loop=st.sampled_from(["", "again ", "</think>", "<think>", " ", "\n"]),
    budget=st.sampled_from([0, 1, 7, 40, 400]),
    is_native=st.booleans(),
)
async def test_whatever_a_model_writes_the_contract_holds(
    make_rig: MakeRig, spoken: str, loop: str, budget: int, is_native: bool
) -> None:
    def script(_: object) -> Line:  # the same words follow every context: the worst model there is
        return Line(spoken, loop=loop)

    rig = make_rig(script, profile=NATIVE if is_native else PROMPTED, budget=budget, max_tokens=800)
    result = await rig.run()
    assert result.answer.strip()
    assert not is_native or not any(m in result.answer for m in NATIVE.markers)
    assert result.usage.thinking_tokens <= budget
    assert rig.path.chain.n_kept <= 800 + 60
    assert result.closed_by in {"natural", "budget", "loop"}
    assert rig.streamed == {"thinking": result.thinking, "answer": result.answer}
