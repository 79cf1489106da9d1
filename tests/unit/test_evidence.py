"""Evidence in asking: what is proven ends the run, what is refuted has no vote, and programs vote by what they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Line, ScriptedEngine
from bethink.errors import SandboxMissing, UsageError
from bethink.model import Model, Run
from bethink.trace import Trace
from bethink.types import Event, Finished, Message, PathDone, Request, Result, Started
from bethink.verify.sandbox import Sandbox, SharedSandbox
from tests.unit.scripted_models import PLAIN, scripted_model

pytestmark = pytest.mark.anyio

QWEN = PLAIN
SEED = 5
WISH = "Do not solve it"
QUESTION = "Write a Python function double(n)."
RIGHT, ALSO_RIGHT, WRONG = "return 2 * n", "return n + n", "return n * n"
HANGS = "while True: pass"
INPUTS = "Here they are:\n1. double(3)\ndouble(-1)\ndouble(x)\ndouble(3)\n`double(10)`"
TESTS = "assert double(2) == 4\nassert double(3) == 6\nassert double(0) == 0"


def program(body: str) -> str:
    return f"Sure.\n```python\ndef double(n):\n    {body}\n```"


def answers(said: Sequence[str], inputs: str = INPUTS) -> Callable[[Context], Line]:
    """Path n says the n-th text; the wish for inputs is answered with `inputs`."""

    def script(context: Context) -> Line:
        if WISH in context.text:
            return Line(inputs)
        return Line(said[(context.sampling.seed - SEED) // 1_000_003 % len(said)])

    return script


def make_model(
    said: Sequence[str] | Callable[[Context], Line], *, traces: Path | None = None, **settings: Any
) -> Model:
    return scripted_model(said if callable(said) else answers(said), traces=traces, **settings)


def asked(text: str = QUESTION, **limits: Any) -> Request:
    settings: dict[str, Any] = {"seed": SEED, "budget": 0, **limits}
    return Request((Message("user", text),), **settings)


async def events_of(run: Run) -> list[Event]:
    return [event async for event in run]


def finished(events: list[Event]) -> Result:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.result


class NoSandbox(SharedSandbox):
    """A machine without one."""

    def get(self, *, unsafe_local: bool = False) -> Sandbox:
        del unsafe_local
        raise SandboxMissing("bwrap is not installed", "install bubblewrap")


# What is judged by itself.


async def test_a_proven_answer_ends_the_run_and_the_others_are_discarded() -> None:
    slow = "n" * 3000
    model = make_model([slow, slow, "yes", slow], token_delay_s=0.001)
    events = await events_of(model.think(asked("Say yes.", check="cmd:grep -q yes", paths=8)))
    result = finished(events)
    assert (result.answer, result.verdict.kind, result.verdict.passed) == ("yes", "cmd", True)
    assert len(result.paths) == 4
    assert sum(path.is_cancelled for path in result.paths) == 3
    assert result.usage.discarded_tokens == sum(p.usage.discarded_tokens for p in result.paths) > 0
    done = [event for event in events if isinstance(event, PathDone)]
    assert next(e.result.passed for e in done if e.result.index == 2) is True


async def test_the_trace_says_which_path_was_proven(tmp_path: Path) -> None:
    model = make_model(["no", "yes"], traces=tmp_path)
    result = await model.answer(asked("Say yes.", check="cmd:grep -q yes", paths=2))
    trace = Trace.load(tmp_path / f"{result.trace_id}.json")
    (proven,) = [d for d in trace.decisions if d.action == "proven"]
    assert "path 2" in proven.cause
    first, second = trace.paths
    assert (first.passed, second.passed) in ((False, True), (None, True))  # both are judged at once; the proof ends it


async def test_where_all_are_refuted_the_first_answers_and_the_verdict_says_why() -> None:
    result = await make_model(["a", "b"]).answer(asked("Say yes.", check="cmd:grep yes", paths=2))
    assert result.answer == "a"
    assert result.verdict.passed is False
    assert "none of 2 passed" in result.verdict.why


async def test_an_answer_that_cannot_be_judged_is_better_than_a_refuted_one(tmp_path: Path) -> None:
    judge = tmp_path / "judge.sh"
    judge.write_text("read answer; test $answer = b && exit 5; exit 1\n")
    result = await make_model(["a\n", "b\n"]).answer(asked("Say b.", check=f"cmd:sh {judge}", paths=2))
    assert result.answer.strip() == "b"
    assert result.verdict.passed is None


async def test_a_judge_that_takes_too_long_keeps_the_deadline_and_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "still-there"
    judge = tmp_path / "judge.sh"
    judge.write_text(f"sleep 3; touch {mark}\n")
    began = time.monotonic()
    result = await make_model(["a"]).answer(asked("Say a.", check=f"cmd:sh {judge}", paths=1, within_s=1.0))
    assert time.monotonic() - began < 1.8
    assert result.answer == "a"
    assert result.verdict.passed is None
    await asyncio.sleep(2.5)
    assert not mark.exists()


async def test_stopping_ends_a_judge_at_once() -> None:
    model = make_model(["a"])
    run = model.think(asked("Say a.", check="cmd:sleep 30", paths=1))
    asyncio.get_running_loop().call_later(0.3, run.stop)
    began = time.monotonic()
    result = finished(await events_of(run))
    assert time.monotonic() - began < 2
    assert (result.answer, result.verdict.passed) == ("a", None)


SCHEMA = '{"type": "object", "required": ["age"]}'


async def test_a_schema_is_validated_where_the_engine_cannot_constrain() -> None:
    model = make_model(['{"name": 1}', '{"age": 7}'])
    run = model.think(asked("How old?", check="schema", json_schema=SCHEMA, paths=2))
    result = finished(await events_of(run))
    assert (result.verdict.kind, result.verdict.passed) == ("schema", True)
    assert (result.verdict.extracted, result.verdict.why) == ('{"age": 7}', "the schema holds")
    assert '"required"' in run.trace.prompt_text


async def test_a_schema_constrains_the_answer_where_the_engine_can() -> None:
    model = make_model(['{"age": 7}'], capabilities=frozenset({"json_schema"}))
    await model.answer(asked("How old?", check="schema", json_schema=SCHEMA))
    assert isinstance(model.engine, ScriptedEngine)
    assert model.engine.starts[-1].sampling.json_schema == SCHEMA


async def test_an_answer_that_breaks_the_schema_is_refuted() -> None:
    result = await make_model(["I am seven."]).answer(asked("How old?", check="schema", json_schema=SCHEMA))
    assert (result.verdict.passed, result.answer) == (False, "I am seven.")


@pytest.mark.parametrize(
    "limits",
    [
        {"check": "schema"},
        {"check": "schema", "json_schema": "{"},
        {"check": "schema:file.json"},
        {"check": "cmd:"},
        {"check": "math", "tests": "assert f(1)"},
        {"check": "code", "tests": " "},
        {"check": "code", "tests": "assert f(1"},
        {"check": "code", "tests": '[{"input": 1}]'},
    ],
)
async def test_evidence_that_cannot_be_had_is_refused_before_anything_runs(limits: dict[str, Any]) -> None:
    model = make_model(["a"])
    with pytest.raises(UsageError):
        model.think(asked(**limits))


# Programs.


async def test_a_program_that_passes_its_tests_is_proven(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(WRONG), "I cannot.", program(RIGHT), program(WRONG)]) as model:
        result = await model.answer(asked(check="code", tests=TESTS, paths=4))
    assert result.answer == program(RIGHT)
    assert result.verdict.passed is True
    assert result.verdict.why == "3 of 3 tests passed"
    assert result.verdict.extracted == f"def double(n):\n    {RIGHT}"


async def test_inputs_and_outputs_are_tests_too(sandbox: Sandbox) -> None:
    del sandbox
    cases = '[{"stdin": "2", "stdout": "4"}, {"stdin": "3", "stdout": "6"}]'
    said = "```python\nprint(2 * int(input()))\n```"
    with make_model([said]) as model:
        result = await model.answer(asked("Double it.", tests=cases, paths=1))
    assert (result.verdict.passed, result.verdict.why) == (True, "2 of 2 tests passed")


async def test_programs_that_all_fail_say_which_test_failed(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(WRONG)]) as model:
        result = await model.answer(asked(check="code", tests=TESTS, paths=2))
    assert result.verdict.passed is False
    assert "double(3) == 6" in result.verdict.why


async def test_programs_vote_by_what_they_do_on_inputs_that_the_model_wrote(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(WRONG), program(RIGHT), program(ALSO_RIGHT), "I cannot."]) as model:
        run = model.think(asked(check="code", paths=4))
        result = finished(await events_of(run))
    assert result.answer == program(RIGHT)
    assert (result.verdict.kind, result.verdict.passed) == ("code", True)
    assert result.verdict.why == "2 of 4 programs behave alike on 3 inputs"
    assert [(v.answer, v.count) for v in result.verdict.votes] == [("double(3) → 6", 2), ("double(3) → 9", 1)]
    aside = run.trace.paths[-1]
    assert (aside.purpose, aside.answer) == ("inputs", INPUTS)
    sampled = sum(t.origin == "sampled" for p in run.trace.paths for t in p.tokens)
    assert result.usage.completion_tokens == sampled
    assert result.usage.probe_tokens == sum(t.origin == "sampled" for t in aside.tokens)
    assert {p.index for p in result.paths} == {0, 1, 2, 3}
    (learned,) = [d for d in run.trace.decisions if d.action == "learned"]
    assert "double(3); double(-1); double(10)" in learned.cause


async def test_inputs_are_of_the_kinds_that_the_examples_have(sandbox: Sandbox) -> None:
    del sandbox
    said = answers([program(RIGHT)], "'a')\ndouble([1])\ndouble(3.5)\ndouble(2)\ndouble(1, 2)")
    with make_model(said) as model:
        run = model.think(asked(f"{QUESTION}\n>>> double(2.5)\n5.0", check="code", paths=2))
        result = finished(await events_of(run))
        assert isinstance(model.engine, ScriptedEngine)
        assert model.engine.starts[-1].text.endswith("```python\ndouble(2.5)\ndouble(")
    assert "2 of 2 programs behave alike on 2 inputs" in result.verdict.why
    assert "keeps" in result.verdict.why


async def test_a_tie_of_programs_is_unsure_and_gives_the_first(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(WRONG), program(RIGHT)]) as model:
        result = await model.answer(asked(check="code", paths=2))
    assert (result.answer, result.verdict.passed) == (program(WRONG), None)


async def test_a_program_that_breaks_the_questions_example_has_no_vote(sandbox: Sandbox) -> None:
    del sandbox
    question = f"{QUESTION}\n>>> double(3)\n6"
    with make_model([program(WRONG), program(WRONG), program(WRONG), program(RIGHT)]) as model:
        result = await model.answer(asked(question, check="code", paths=4))
    assert result.answer == program(RIGHT)
    assert result.verdict.passed is None
    assert "it keeps to the question's example" in result.verdict.why
    assert "3 broke" in result.verdict.why


async def test_an_example_alone_proves_nothing(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(RIGHT)]) as model:
        result = await model.answer(asked(f"{QUESTION}\nassert double(3) == 6", check="code", paths=1))
    assert result.verdict.passed is None
    assert "keeps to the question's example" in result.verdict.why


async def test_where_every_program_breaks_the_example_the_verdict_is_failed(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(WRONG)]) as model:
        result = await model.answer(asked(f"{QUESTION}\n>>> double(3)\n6", check="code", paths=2))
    assert result.verdict.passed is False
    assert "double(3) == 6" in result.verdict.why


@pytest.mark.parametrize("nonsense", ["I am a language model.", "double(\n" * 50, "double(open('x'))", "quadruple(1)"])
async def test_inputs_that_are_nonsense_leave_the_answer_unsure(sandbox: Sandbox, nonsense: str) -> None:
    del sandbox
    with make_model(answers([program(RIGHT)], nonsense)) as model:
        result = await model.answer(asked(check="code", paths=2))
    assert result.answer == program(RIGHT)
    assert result.verdict.passed is None
    assert "no inputs" in result.verdict.why


async def test_a_hostile_program_neither_votes_nor_hurts(sandbox: Sandbox, tmp_path: Path) -> None:
    del sandbox
    mark = tmp_path / "touched"
    hostile = f"import os; open({str(mark)!r}, 'w'); os._exit(0)"
    with make_model([program(hostile), program(RIGHT), program(hostile), program(ALSO_RIGHT)]) as model:
        result = await model.answer(asked(check="code", paths=4))
    assert result.answer == program(RIGHT)
    assert not mark.exists()
    assert result.verdict.votes[0].count == 2


async def test_a_program_that_hangs_does_not_break_the_deadline(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(HANGS)]) as model:
        model.sandbox.get()
        began = time.monotonic()
        result = await model.answer(asked(check="code", tests=TESTS, paths=1, within_s=2.0))
        assert time.monotonic() - began < 3
    assert result.verdict.passed is not True
    assert result.answer == program(HANGS)


async def test_stopping_ends_programs_that_run(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(HANGS)]) as model:
        run = model.think(asked(check="code", tests=TESTS, paths=1))
        asyncio.get_running_loop().call_later(0.5, run.stop)
        began = time.monotonic()
        result = finished(await events_of(run))
        assert time.monotonic() - began < 3
        await asyncio.to_thread(model.sandbox.get().run, "pass")  # it still works for others
    assert result.answer == program(HANGS)


async def test_auto_compares_programs_where_a_function_is_asked_for(sandbox: Sandbox) -> None:
    del sandbox
    with make_model([program(RIGHT)]) as model:
        run = model.think(asked(budget=None))
        result = finished(await events_of(run))
    assert run.plan.n_paths > 1
    assert result.verdict.why == "4 of 4 programs behave alike on 3 inputs"


async def test_without_a_sandbox_auto_answers_and_says_so() -> None:
    model = make_model([program(RIGHT)])
    model.sandbox = NoSandbox()
    events = await events_of(model.think(asked()))
    started = events[0]
    assert isinstance(started, Started)
    assert "bwrap is not installed" in started.notes[-1]
    assert started.paths == 1
    assert finished(events).verdict.kind == "none"


async def test_without_a_sandbox_code_is_refused_before_anything_runs() -> None:
    model = make_model([program(RIGHT)])
    model.sandbox = NoSandbox()
    with pytest.raises(SandboxMissing):
        model.think(asked(check="code"))
    assert isinstance(model.engine, ScriptedEngine)
    assert model.engine.starts == []


async def test_paths_without_evidence_do_not_vote() -> None:
    result = await make_model(["7", "8", "8", "8"]).answer(asked("How many?", check="none", paths=4))
    assert (result.answer, result.verdict.kind, result.verdict.votes) == ("7", "none", ())
