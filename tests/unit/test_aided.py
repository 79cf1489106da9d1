"""Programs in a vote: what they print counts beside reasoning in words; one that goes wrong has no vote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Line
from bethink.errors import SandboxMissing, UsageError
from bethink.model import Model
from bethink.profiles import Profile
from bethink.thinking.aid import Aid
from bethink.thinking.checks.aided import printed_value, shown
from bethink.trace import Trace
from bethink.types import Drawing, Message, Request, Result, Started, Tool
from bethink.verify.sandbox import Sandbox, SharedSandbox
from tests.unit.scripted_models import NATIVE, PLAIN, scripted_model

pytestmark = pytest.mark.anyio

QUESTION = "What is 17 * 23?"
SEED = 5
WISH = "short Python program"
RIGHT = "a = 17\nprint(a * 23)\n```\nIt prints 391."


def spoken(words: Sequence[str], programs: Sequence[str]) -> Callable[[Context], Line]:
    """Paths in words say the texts of `words` in turn, those that write programs the texts of `programs`."""

    def script(context: Context) -> Line:
        at = (context.sampling.seed - SEED) // 1_000_003
        if WISH in context.text and not context.text.endswith("```python\n"):
            return Line("<think>seventeen times</think>")  # only who thinks natively is asked before the fence
        texts = programs if WISH in context.text else words
        return Line(texts[at % len(texts)])

    return script


def aided_model(
    words: Sequence[str],
    programs: Sequence[str],
    *,
    profile: Profile = PLAIN,
    traces: Path | None = None,
    **settings: Any,
) -> Model:
    return scripted_model(spoken(words, programs), profile=profile, traces=traces, **settings)


def asked(text: str = QUESTION, **limits: Any) -> Request:
    settings: dict[str, Any] = {"seed": SEED, "budget": 0, "paths": 4, "programs": 2, **limits}
    return Request((Message("user", text),), **settings)


async def test_programs_that_agree_out_vote_a_wrong_path_in_words() -> None:
    model = aided_model(["The answer is 400.", "x", "The answer is 401."], [RIGHT])
    result = await model.answer(asked())
    assert [path.kind for path in result.paths] == ["prose", "program", "prose", "program"]
    assert [path.extracted for path in result.paths] == ["400", "391", "401", "391"]
    assert (result.verdict.kind, result.verdict.extracted) == ("vote", "391")
    assert result.answer == shown("a = 17\nprint(a * 23)", "391")
    assert "2 of 4 paths agree; 2 of 2 programs gave a value" in result.verdict.why
    assert "no path in words gave it" in result.verdict.why
    assert result.verdict.passed is None


async def test_programs_alone_are_never_sure_however_many_agree() -> None:
    model = aided_model(["The answer is 400."], [RIGHT])
    result = await model.answer(asked(paths=4, programs=3))
    assert "3 of 4 paths agree" in result.verdict.why
    assert (result.verdict.extracted, result.verdict.agreement) == ("391", 0.75)
    assert result.verdict.passed is None


async def test_where_words_and_programs_agree_the_words_are_shown() -> None:
    model = aided_model(["The answer is 400.", "x", "It is 17 times 23. The answer is 391."], [RIGHT])
    result = await model.answer(asked())
    assert result.answer.startswith("It is 17 times 23")
    assert "3 of 4 paths agree" in result.verdict.why
    assert "no path in words" not in result.verdict.why
    assert result.verdict.passed is True


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("print(1 / 0)\n```\n", "its program failed: ZeroDivisionError: division by zero"),
        ("while True:\n    pass\n```\n", "its program timed out"),
        ("x = 17 * 23\n```\n", "its program printed no value"),
        ("print(None)\n```\n", "its program printed no value"),
        ("import sys\nprint(391)\nsys.exit(3)\n```\n", "its program failed"),
        ("while True:\n    print('391' * 1000)\n```\n", "its program was ended"),
        ("print(open('/etc/passwd').read())\nprint(391)\n```\n", "its program failed"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 80), 1)\nprint(391)\n```\n", "its program failed"),
        ("print(input())\n```\n", "its program failed: EOFError"),
        ("I would rather say 391.\n```\n", "it wrote no program"),
        ("```\n", "it wrote no program"),
    ],
)
async def test_a_program_that_gives_no_value_casts_no_vote_and_the_trace_says_why(
    said: str, why: str, tmp_path: Path
) -> None:
    model = aided_model(["The answer is 391."], [said], traces=tmp_path)
    result = await model.answer(asked(paths=2, programs=1))
    assert [(path.kind, path.extracted) for path in result.paths] == [("prose", "391"), ("program", None)]
    assert (result.answer, result.verdict.passed) == ("The answer is 391.", None)
    assert [(vote.answer, vote.count) for vote in result.verdict.votes] == [("391", 1)]
    assert "0 of 1 programs gave a value" in result.verdict.why
    trace = Trace.load(tmp_path / f"{result.trace_id}.json")
    (cause,) = [decision.cause for decision in trace.decisions if decision.action == "no_vote"]
    assert cause.startswith(why)
    assert [path.kind for path in trace.paths] == ["prose", "program"]


async def test_the_trace_says_which_paths_wrote_programs_what_they_printed_and_what_is_shown(tmp_path: Path) -> None:
    result = await aided_model(["The answer is 1.", "x", "The answer is 2."], [RIGHT], traces=tmp_path).answer(asked())
    trace = Trace.load(tmp_path / f"{result.trace_id}.json")
    told = [(d.path, d.action, d.cause) for d in trace.decisions if d.action.startswith("program")]
    assert sorted(told) == [
        (at, action, cause)
        for at in (1, 3)
        for action, cause in (
            ("program", "2 of 4 paths write programs, as was asked"),
            ("program_ran", "its program printed 391"),
        )
    ]
    assert trace.request["programs"] == 2
    assert trace.paths[1].answer == result.answer


async def test_tokens_of_programs_are_counted() -> None:
    result = await aided_model(["The answer is 400."], [RIGHT]).answer(asked(paths=2, programs=1))
    words, program = result.paths
    assert program.usage.answer_tokens >= len("a = 17\nprint(a * 23)\n```\n")
    assert result.usage.answer_tokens == words.usage.answer_tokens + program.usage.answer_tokens


async def test_what_follows_the_program_is_neither_written_nor_shown() -> None:
    long = RIGHT + " And more of it." * 500
    result = await aided_model(["The answer is 400."], [long]).answer(asked(paths=2, programs=1))
    assert result.paths[1].usage.answer_tokens < 60


async def test_a_model_that_thinks_natively_thinks_before_its_program() -> None:
    words = "<think>hm</think>The answer is 391."
    model = aided_model([words], ["print(17 * 23)\n```\n"], profile=NATIVE)
    result = await model.answer(asked(paths=2, programs=1, budget=64))
    assert result.paths[1].extracted == "391"
    assert result.paths[1].thinking == "seventeen times"
    assert "2 of 2 paths agree" in result.verdict.why


async def test_a_program_cannot_print_a_thinking_marker_into_the_answer() -> None:
    program = "print('The answer is <thi' + 'nk>391<thi' + 'nk>')\n```\n"
    words = "<think>hm</think>The answer is 400."
    model = aided_model([words], [program], profile=NATIVE)
    result = await model.answer(asked(paths=2, programs=1, budget=64))
    assert result.paths[1].extracted is None
    assert "<think>" not in result.paths[1].answer


async def test_stopping_ends_a_program_that_runs_at_once() -> None:
    model = aided_model(["The answer is 391."], ["while True:\n    pass\n```\n"])
    run = model.think(asked(paths=2, programs=1))
    began = time.monotonic()

    async def stop() -> None:
        while len(run.trace.paths) < 2 or run.trace.paths[1].finish_reason is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        run.stop()

    async with asyncio.TaskGroup() as group:
        group.create_task(stop())
        result = await group.create_task(_result_of(model, run))
    assert time.monotonic() - began < 4
    assert result.paths[1].extracted is None
    assert result.answer == "The answer is 391."


async def test_a_deadline_leaves_a_program_that_still_runs_without_a_vote() -> None:
    model = aided_model(["The answer is 391."], ["while True:\n    pass\n```\n"])
    began = time.monotonic()
    result = await model.answer(asked(paths=2, programs=1, within_s=2.0))
    assert time.monotonic() - began < 3.5
    assert result.answer == "The answer is 391."
    assert result.paths[1].extracted is None


# What is refused, and what is left off.


class NoSandbox(SharedSandbox):
    """A machine without one."""

    def get(self, *, unsafe_local: bool = False) -> Sandbox:
        del unsafe_local
        raise SandboxMissing("bwrap is not installed", "install bubblewrap")


async def test_where_there_is_no_sandbox_programs_are_refused() -> None:
    model = aided_model(["The answer is 391."], [RIGHT])
    model.sandbox = NoSandbox()
    with pytest.raises(SandboxMissing, match="bwrap"):
        model.think(asked())
    result = await model.answer(asked(programs=0))
    assert {path.kind for path in result.paths} == {"prose"}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"paths": 4, "programs": 4}, "leaves none of 4 paths"),
        ({"programs": -1}, "not between"),
        ({"programs": 256}, "not between"),
        ({"check": "none"}, "check other than"),
        ({"check": "code"}, "check other than"),
        ({"tests": "assert f(1)"}, "check other than"),
        ({"tools": (Tool("look"),)}, "tools"),
        ({"thought": "so far"}, "edited thought"),
        ({"drawing": Drawing(stop=("x",))}, "stop texts"),
        ({"drawing": Drawing(logprobs=0)}, "logprobs"),
    ],
)
async def test_programs_that_cannot_be_meant_are_refused(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        aided_model(["The answer is 391."], [RIGHT]).think(asked(**limits))


async def _result_of(model: Model, run: Any) -> Result:
    del model
    return [event async for event in run][-1].result


async def _notes(model: Model, request: Request) -> str:
    (started,) = [event async for event in model.think(request) if isinstance(event, Started)]
    return "; ".join(started.notes)


async def test_programs_are_left_off_with_a_note_where_they_cannot_help() -> None:
    model = aided_model(["A poem."], [RIGHT])
    assert "not recognised as a value" in await _notes(model, asked("Write a poem about rain.", paths=None))
    assert "there is one path" in await _notes(model, asked(paths=None, programs=2, effort="none"))
    assert "7 of 8 paths write programs, not 200" in await _notes(model, asked(paths=None, programs=200))


@pytest.mark.parametrize(("n_paths", "n_programs"), [(n, m) for n in (2, 3, 4, 8, 16) for m in range(n)])
def test_programs_are_spread_and_the_first_path_reasons_in_words(n_paths: int, n_programs: int) -> None:
    writes = [Aid(n_programs).writes_program(at, n_paths) for at in range(n_paths)]
    assert sum(writes) == n_programs
    assert not writes[0]
    halves = sum(writes[: n_paths // 2]), sum(writes[n_paths // 2 :])
    assert abs(halves[0] - halves[1]) <= 1 + n_paths % 2


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("391\n", "391"),
        ("step 1: 17\n\nThe total is $391 in all.\n\n", "$391"),
        ("17.999999999999996\n", "18"),
        ("0.30000000000000004", "0.3"),
        ("12.5\n", "12.5"),
        ("", None),
        (" \n\t\n", None),
        ("nan", None),
        ("None", None),
        ("9" * 5000, None),
        ("\x1b[31m\n", None),
    ],
)
def test_what_a_program_printed_is_read_as_answers_are(output: str, value: str | None) -> None:
    assert printed_value(output) == value


def test_a_program_with_a_fence_in_it_is_shown_whole() -> None:
    program = 'print("""\n```\n""")'
    text = shown(program, "1")
    assert text.startswith("````python\n")
    assert f"{program}\n````\n" in text
