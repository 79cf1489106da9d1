from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bethink.engine.scripted import Context, Line, ScriptedEngine
from bethink.errors import EngineClosed, UsageError
from bethink.evals.arms import parse_arms
from bethink.evals.measure import Order, measure, write_report
from bethink.evals.results import ResultFolder, read_results
from bethink.evals.summary import by_question
from bethink.evals.task import Task
from tests.unit.cli.conftest import scripted_model

from .conftest import Measure, adds

ARMS = "plain, fixed:3, vote:4, budget:64"


def test_every_question_is_asked_once_in_every_arm_and_judged(measured: Measure) -> None:
    lines = measured(ARMS)
    assert Counter(line.arm for line in lines) == {"plain": 6, "fixed:3": 6, "vote:4": 6, "budget:64": 6}
    assert len({line.key for line in lines}) == len(lines)
    for line in lines:
        assert (line.lenient, line.strict, line.error) == (line.id != "q3", line.id != "q3", None)
        assert line.tokens > 0
        assert line.question.startswith("What is 10")


def test_every_output_of_every_path_is_kept(measured: Measure) -> None:
    lines = measured("fixed:3")
    assert all(len(line.paths) == 3 for line in lines)
    for line in lines:
        assert not any(path.is_cancelled for path in line.paths)
        assert all("The answer is" in path.answer and path.thinking.strip() for path in line.paths)
        assert sum(path.tokens for path in line.paths) == line.tokens
        assert line.agreement == 1.0


def test_what_stands_in_a_program_that_gave_no_value_is_no_answer(measured: Measure) -> None:
    def script(context: Context) -> Line:
        return Line("unused = 5\n```\n") if context.text.endswith("```python\n") else adds(context)

    lines = measured("vote:2+programs:1", script)
    assert all(line.error is None and len(line.paths) == 2 for line in lines)
    assert all(line.paths[1].extracted is None and line.paths[1].right is not True for line in lines)


def test_a_plain_answer_of_a_reasoning_model_is_told_apart_from_its_thought(measured: Measure) -> None:
    line = measured("plain")[0]
    assert "think" not in line.answer
    assert line.thinking.strip().endswith(".")


def test_a_run_goes_on_where_it_was_and_asks_nothing_twice(measured: Measure, tmp_path: Path) -> None:
    before = measured(ARMS)
    results = tmp_path / "out" / "results.jsonl"
    whole = results.read_bytes()
    asked: list[str] = []

    def script(context: Context) -> Line:
        asked.append(context.text)
        return adds(context)

    kept = whole.splitlines(keepends=True)
    results.write_bytes(b"".join(kept[:20]) + kept[20][:30])  # killed in the middle of a line
    after = measured(ARMS, script)
    assert {line.key for line in after} == {line.key for line in before}
    assert results.read_bytes().startswith(b"".join(kept[:20]))
    n_starts = sum({"plain": 1, "budget:64": 1, "fixed:3": 3, "vote:4": 4}[line.arm] for line in after[20:])
    assert len(asked) <= n_starts
    asked.clear()
    assert len(measured(ARMS, script)) == 24
    assert asked == []


@pytest.mark.parametrize("at", range(0, 400, 37))
def test_a_file_cut_anywhere_is_read_up_to_its_last_whole_line(measured: Measure, tmp_path: Path, at: int) -> None:
    measured("plain")
    results = tmp_path / "out" / "results.jsonl"
    whole = results.read_bytes()
    os.truncate(results, len(whole) - 1 - at)
    n_whole = whole[: len(whole) - 1 - at].count(b"\n")
    assert len(read_results(tmp_path / "out")) == n_whole
    assert len(measured("plain")) == 6
    assert all(json.loads(line) for line in results.read_bytes().splitlines())


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(measured: Measure, tmp_path: Path) -> None:
    measured("plain")
    results = tmp_path / "out" / "results.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(lines[0] + b'{"id": "x"}\n' + lines[1])
    with pytest.raises(UsageError, match=r"line 2 of .*results\.jsonl"):
        measured("plain")


def test_other_settings_are_refused_with_what_differs(measured: Measure, sums: Task, tmp_path: Path) -> None:
    measured("plain")
    model = scripted_model(adds)
    with pytest.raises(UsageError) as caught:
        measure(sums, Order(parse_arms("plain, vote:4"), seed=8, max_tokens=400), model, tmp_path / "out")
    assert 'arms is ["plain"], not ["plain", "vote:4"]' in str(caught.value)
    assert "seed is 7, not 8" in str(caught.value)
    assert "max_tokens" not in str(caught.value)


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with (
        ResultFolder.open(tmp_path / "out", {}),
        pytest.raises(UsageError, match="another process"),
    ):
        ResultFolder.open(tmp_path / "out", {})


def test_a_question_that_fails_is_a_failure_on_record_and_in_the_denominator(measured: Measure, tmp_path: Path) -> None:
    def script(context: Context) -> Line:
        if "10 + 1 " in context.text:
            raise ValueError("the model fell over")
        return adds(context)

    lines = measured("plain", script)
    failed = next(line for line in lines if line.id == "q1")
    assert failed.error == "ValueError: the model fell over"
    assert failed.lenient is False
    assert sum(by_question(lines, strict=False).values()) == 4
    assert write_report(tmp_path / "out").arms[0].lenient.value == pytest.approx(4 / 6)
    assert len(measured("plain")) == 6, "a failure is an answer: it is not asked again"


def test_an_engine_that_is_gone_ends_the_run_and_the_next_one_goes_on(measured: Measure, tmp_path: Path) -> None:
    with pytest.raises(EngineClosed):
        measured("plain", _closing_after(3), parallel=1)
    done = read_results(tmp_path / "out")
    assert 0 < len(done) < 6
    assert sum(line.error is not None for line in done) >= 1
    assert len(measured("plain")) == 6


def _closing_after(n: int) -> Callable[[Context], Line]:
    n_seen = 0

    def closing(context: Context) -> Line:
        nonlocal n_seen
        n_seen += 1
        if n_seen > n:
            raise EngineClosed("the engine died")
        return adds(context)

    return closing


def test_seeds_repeat_what_chance_decides_and_nothing_else(measured: Measure) -> None:
    lines = measured("plain, plain@0.7, budget:64", seeds=3)
    assert Counter(line.arm for line in lines) == {"plain": 6, "plain@0.7": 18, "budget:64": 18}
    assert {line.seed for line in lines} == {7, 8, 9}
    assert by_question([line for line in lines if line.arm == "plain@0.7"], strict=False)["q3"] == 0.0


def test_no_more_paths_start_than_may_run_at_once(sums: Task, tmp_path: Path) -> None:
    engines: list[ScriptedEngine] = []
    most = 0

    def script(context: Context) -> Line:
        nonlocal most
        most = max(most, engines[0].n_running)
        return adds(context)

    model = scripted_model(script, token_delay_s=0.001)
    assert isinstance(model.engine, ScriptedEngine)
    engines.append(model.engine)
    measure(sums, Order(parse_arms("plain, fixed:2"), parallel=3, max_tokens=400), model, tmp_path / "out")
    assert most == 2, "each start sees those that run beside it"


def test_the_machines_seconds_are_shared_and_add_up_to_its_time(sums: Task, tmp_path: Path) -> None:
    model = scripted_model(adds, token_delay_s=0.0005)
    began = time.monotonic()
    measure(sums, Order(parse_arms("plain, vote:4"), parallel=8, max_tokens=400), model, tmp_path / "out")
    elapsed_s = time.monotonic() - began
    lines = read_results(tmp_path / "out")
    assert 0 < sum(line.seconds for line in lines) <= elapsed_s
    assert all(line.seconds <= line.latency_s + 0.05 for line in lines)


def test_no_questions_from_a_number_on_is_an_error(sums: Task) -> None:
    with pytest.raises(UsageError, match="none from number 6 on"):
        Order(parse_arms("plain"), first=6).indices(sums)
    assert Order(parse_arms("plain"), first=4, n=10).indices(sums) == range(4, 6)
