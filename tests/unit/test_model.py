"""A model over the scripted engine: requests become results, several paths vote, and the events tell the same story."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Fault, Line, Script, ScriptedEngine
from bethink.errors import EngineError, UsageError
from bethink.model import Model, Run
from bethink.profiles import Profile
from bethink.thinking.answers import compared_answer
from bethink.trace import Trace
from bethink.types import Event, Finished, Message, PathDone, Request, Result, Started, TextDelta
from tests.unit.scripted_models import PLAIN, scripted_model

pytestmark = pytest.mark.anyio

QWEN = PLAIN
LEAD = QWEN.answer_lead


def make_model(script: Script, *, profile: Profile = QWEN, traces: Path | None = None, **settings: Any) -> Model:
    return scripted_model(script, profile=profile, traces=traces, **settings)


def asked(text: str = "How many are 3 and 4?", **limits: Any) -> Request:
    return Request((Message("user", text),), **limits)


async def events_of(run: Run) -> list[Event]:
    return [event async for event in run]


def voters(answers: list[str]) -> Script:
    """The n-th thought to start ends in the n-th answer."""
    thoughts: dict[str, str] = {}

    def script(context: Context) -> Line:
        if context.text.endswith(LEAD):
            thought = context.text.rsplit("assistant\n", 1)[1]
            return Line(next(a for t, a in thoughts.items() if thought.startswith(t)))
        n = len(thoughts)
        thoughts[f"Thought number {n}."] = answers[n]
        return Line(f"Thought number {n}.")

    return script


async def test_a_vote_ends_when_four_of_four_agree() -> None:
    model = make_model(voters(["7", "7.0", "7", "$7$"] + ["8"] * 4))
    result = await model.answer(asked(paths=8))
    assert result.answer == "7"
    assert result.verdict.passed is True
    assert (result.verdict.agreement, len(result.paths)) == (1.0, 4)


def of_lengths(thoughts: list[tuple[int, str]]) -> Script:
    """The n-th thought to start has so many words and ends in that answer."""
    begun: list[str] = []

    def script(context: Context) -> Line:
        if context.text.endswith(LEAD):
            thought = context.text.rsplit("assistant\n", 1)[1]
            return Line(next(answer for at, (_, answer) in enumerate(thoughts) if thought.startswith(f"Thought {at}:")))
        n = len(begun)
        begun.append("")
        return Line(f"Thought {n}:" + "".join(f" word{k}" for k in range(thoughts[n][0])))

    return script


async def test_the_last_path_is_not_waited_for_when_it_is_far_longer_than_the_others() -> None:
    script = of_lengths([(20, "7"), (2000, "8"), (30, "7"), (25, "9")])
    model = make_model(script, token_delay_s=0.002)
    run = model.think(asked(paths=4, budget=20_000))
    result = finished(await events_of(run))
    straggler = result.paths[1]
    assert (result.answer, result.verdict.agreement, straggler.is_cancelled) == ("7", 2 / 3, True)
    ended = sorted(path.usage.completion_tokens for path in result.paths if path.index != 1)
    most = int(model.rule.straggler * ended[1])
    assert straggler.usage.discarded_tokens > most
    (cause,) = [d.cause for d in run.trace.decisions if d.path == 1 and d.action == "stop"]
    assert cause == f"the others have ended, and nobody waits for more than {most} tokens"


async def test_a_last_path_that_is_only_somewhat_longer_votes() -> None:
    model = make_model(of_lengths([(20, "7"), (45, "8"), (30, "7"), (25, "9")]))
    result = await model.answer(asked(paths=4))
    assert [path.is_cancelled for path in result.paths] == [False] * 4
    assert result.verdict.agreement == 0.5


async def test_of_three_paths_the_last_is_waited_for() -> None:
    """Two are too few to say what is long."""
    model = make_model(of_lengths([(20, "7"), (400, "8"), (30, "9")]))
    result = await model.answer(asked(paths=3))
    assert [path.is_cancelled for path in result.paths] == [False] * 3


async def test_where_answers_are_no_values_every_path_is_waited_for() -> None:
    model = make_model(of_lengths([(20, "Blue."), (400, "Red."), (30, "Green."), (25, "Grey.")]))
    result = await model.answer(asked("Which colour do you like?", paths=4))
    assert not any(path.is_cancelled for path in result.paths)


async def test_answers_that_scatter_are_given_up_as_unsure() -> None:
    model = make_model(voters([str(n) for n in range(16)]))
    result = await model.answer(asked(paths=16))
    assert result.verdict.passed is None
    assert len(result.paths) == model.rule.futile_after
    assert result.answer


async def test_a_majority_wins_over_the_first_path() -> None:
    result = await make_model(voters(["9", "7", "7", "8"])).answer(asked(paths=4))
    assert result.answer == "7"
    assert [(v.answer, v.count) for v in result.verdict.votes] == [("7", 2), ("9", 1), ("8", 1)]


async def test_one_path_is_no_evidence_and_says_so() -> None:
    result = await make_model(voters(["7"])).answer(asked(paths=1))
    assert (result.verdict.kind, result.verdict.passed) == ("none", None)


async def test_usage_is_the_sum_over_all_paths_and_the_trace_agrees(tmp_path: Path) -> None:
    run = make_model(voters(["7", "8", "9", "7"]), traces=tmp_path).think(asked(paths=4))
    result = finished(await events_of(run))
    sampled = sum(t.origin == "sampled" for p in run.trace.paths for t in p.tokens)
    assert result.usage.completion_tokens == sampled
    saved = Trace.load(tmp_path / f"{result.trace_id}.json")
    assert saved.result is not None
    assert saved.result["answer"] == result.answer
    assert saved.result["usage"]["completion_tokens"] == sampled


async def test_old_traces_make_room_for_the_one_just_written(tmp_path: Path) -> None:
    old = tmp_path / "20260101-000000-abcdef.json"
    old.write_text("{}")
    os.utime(old, (0, 0))
    model = make_model(voters(["7"]), traces=tmp_path)
    model.traces_bytes = 1
    result = await model.answer(asked(paths=1))
    assert [file.stem for file in tmp_path.iterdir()] == [result.trace_id]


async def test_an_old_trace_that_cannot_be_removed_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "20260101-000000-abcdef.json"
    old.write_text("{}")
    os.utime(old, (0, 0))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)  # what a folder of another user does
    model = make_model(voters(["7"]), traces=tmp_path)
    model.traces_bytes = 1
    result = await model.answer(asked(paths=1))
    assert (tmp_path / f"{result.trace_id}.json").is_file()
    assert "traces take more than their limit" in caplog.text


async def test_a_deadline_counts_from_before_the_model_was_loaded_where_it_was_loaded_for_the_question() -> None:
    model = make_model({"assistant\n": " ".join(f"word{n}" for n in range(500)), LEAD: "7"}, token_delay_s=0.01)
    model.load_s = 60.0
    request = asked(paths=1, within_s=61.0)
    result = await model.answer(request, counts_loading=True)
    assert (result.closed_by, result.timing.load_s) == ("deadline", 60.0)
    assert 60 < result.timing.total_s < 61.5
    assert result.timing.tokens_per_s > 10  # a rate of thinking, not of loading
    assert (await model.answer(replace(request, within_s=0.5))).timing.load_s == 0
    events = [event async for event in model.think(request, counts_loading=True)]
    assert isinstance(events[0], Started)
    assert "loading the model took 60.0 s of the 61 s that the deadline allows" in events[0].notes


def finished(events: list[Event]) -> Result:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.result


async def test_streamed_text_is_the_text_of_the_result() -> None:
    events = await events_of(make_model(voters(["7"])).think(asked(paths=1)))
    result = finished(events)
    assert isinstance(events[0], Started)
    for phase, text in (("thinking", result.thinking), ("answer", result.answer)):
        assert "".join(e.text for e in events if isinstance(e, TextDelta) and e.phase == phase) == text


async def test_every_path_is_told_when_it_is_done() -> None:
    events = await events_of(make_model(voters(["7", "8", "7", "7"])).think(asked(paths=4)))
    done = [e for e in events if isinstance(e, PathDone)]
    assert sorted(e.result.index for e in done) == [0, 1, 2, 3]
    assert done[-1].n_running == 0


async def test_the_same_seed_gives_the_same_result() -> None:
    def model() -> Model:
        return make_model({"assistant\n": ["It is 7.", "It is 8.", "It is 9."], LEAD: ["7", "8"]})

    one, two = [await model().answer(asked(paths=1, seed=5, temperature=1.0)) for _ in range(2)]
    assert (one.answer, one.thinking) == (two.answer, two.thinking)


async def test_answer_now_reaches_every_path() -> None:
    model = make_model({LEAD: "7", "assistant\n": Line("Hm. ", loop="")}, token_delay_s=0.002)
    model.escapes = None

    def endless(context: Context) -> Line:
        return Line("7") if context.text.endswith(LEAD) else Line("".join(f"{n} and on. " for n in range(2000)))

    model = make_model(endless, token_delay_s=0.002)
    run = model.think(asked(paths=2))
    asyncio.get_running_loop().call_later(0.1, run.answer_now)
    result = finished(await events_of(run))
    assert result.closed_by == "user"
    assert {p.answer for p in result.paths} == {"7"}


async def test_an_engine_that_dies_is_one_clear_error() -> None:
    model = make_model(voters(["7"] * 4), faults=[None, Fault("dies", 3)])
    with pytest.raises(EngineError):
        await events_of(model.think(asked(paths=4)))


async def test_a_reader_that_goes_away_frees_the_engine() -> None:
    model = make_model(voters(["7"] * 4), token_delay_s=0.001)
    async for event in model.think(asked(paths=4)):
        if isinstance(event, TextDelta):
            break
    await asyncio.sleep(0.05)
    engine = model.engine
    assert isinstance(engine, ScriptedEngine)
    assert engine.n_running == 0


async def test_history_is_sent_without_earlier_thinking() -> None:
    model = make_model(voters(["7"]))
    history = (
        Message("user", "Hi"),
        Message("assistant", "Hello", thinking="SECRET"),
        Message("user", "How many are 3 and 4?"),
    )
    run = model.think(Request(history, paths=1))
    await events_of(run)
    assert "SECRET" not in run.trace.prompt_text
    assert "Hello" in run.trace.prompt_text


@pytest.mark.parametrize("limits", [{"check": "magic"}, {"effort": "huge"}, {"budget": -1}])
async def test_a_wrong_request_is_refused_before_anything_runs(limits: dict[str, Any]) -> None:
    model = make_model(voters(["7"]))
    with pytest.raises(UsageError):
        model.think(asked(**limits))
    assert isinstance(model.engine, ScriptedEngine)
    assert model.engine.starts == []


def test_what_is_compared_is_the_answers_own_statement() -> None:
    assert compared_answer("51", r"The answer is within \boxed{}", lead=LEAD) == "51"
    assert compared_answer("", r"so it is \boxed{72}") == "72"
    assert compared_answer("We add.\nIt is 7.", "", lead=LEAD) == "7"
