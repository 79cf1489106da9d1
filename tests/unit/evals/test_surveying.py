"""How much is sampled follows from how fast the model is here and how long there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import UsageError
from bethink.evals.mixture import open_questions
from bethink.evals.results import RESULTS, SETTINGS, Line, PathLine
from bethink.evals.surveying import BUDGETS, N_PATHS, Shape, fitting, read_samples, shape_of, together
from bethink.store.datasets import Dataset


def test_a_fast_model_with_time_gets_all_paths_and_long_thoughts() -> None:
    assert fitting(450.0, 32, 1200) == Shape(16, 4096)


def test_a_slow_model_gets_fewer_paths_and_shorter_thoughts() -> None:
    assert fitting(150.0, 32, 1200) == Shape(8, 1024)
    assert fitting(20.0, 32, 120) == Shape(4, 512)
    assert fitting(20.0, 32, 120, n_paths=6).n_paths == 6


def test_where_paths_together_would_all_be_cut_off_fewer_run_at_once() -> None:
    assert together(450.0, 32, 1200) == 32
    assert together(60.0, 32, 300) == 8
    assert together(5.0, 32, 60) == 4


@given(st.floats(0.001, 1e6), st.integers(1, 256), st.floats(0.1, 1e6))
def test_more_time_never_samples_less(speed: float, parallel: int, seconds: float) -> None:
    short, long = fitting(speed, parallel, seconds), fitting(speed, parallel, 2 * seconds)
    assert short.n_paths <= long.n_paths
    assert short.budget <= long.budget
    assert short.n_paths in N_PATHS
    assert short.budget in BUDGETS


def written(folder: Path, lines: list[Line], arms: list[str]) -> Path:
    from dataclasses import asdict

    (folder / SETTINGS).write_text(json.dumps({"arms": arms}), encoding="utf-8")
    (folder / RESULTS).write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines), encoding="utf-8")
    return folder


def line(id: str, arm: str, *answers: str, error: str | None = None) -> Line:
    paths = tuple(PathLine("", "", answer, answer == "7", 10, 5, "natural") for answer in answers)
    return Line(id, 0, arm, 0, "q", "7", extracted=answers[0] if answers else None, error=error, paths=paths)


def test_only_questions_that_were_asked_in_both_ways_count_and_a_failure_is_wrong(tmp_path: Path) -> None:
    shape = Shape(4, 512)
    thinks, direct = (arm.name for arm in shape.arms)
    lines = [
        line("a", thinks, "7", "7.0", "8", "9"),
        line("a", direct, "8"),
        line("b", thinks, error="the engine died"),
        line("b", direct, "7"),
        line("c", thinks, "7", "7", "7", "7"),
    ]
    found = read_samples(written(tmp_path, lines, [thinks, direct]))
    assert (found.n, found.budget) == (2, 512)
    assert [[p.label for p in item.paths] for item in found.thinking] == [["7", "7", "8", "9"], [None] * 4]
    assert len(found.direct[0].paths) == 1


@pytest.mark.parametrize("arms", [[], ["plain"], ["fixed:4+budget:512"], [7], None, ["fixed:4", "fixed:1+budget:0"]])
def test_another_measurement_is_no_calibration(arms: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no samples of a calibration"):
        shape_of(written(tmp_path, [], arms))


def test_the_mixed_questions_are_all_different_and_have_numbers_for_answers() -> None:
    task = open_questions(None, 3)
    found = [task.example(i) for i in range(120)]
    assert len({e.id for e in found}) == len({e.question for e in found}) == 120
    assert all(task.judge(e, e.gold).passed for e in found)
    assert task.example(7) == found[7]
    assert open_questions(None, 4).sha256 != task.sha256


def test_ones_own_questions_may_be_on_a_hub(tmp_path: Path) -> None:
    path = tmp_path / "fetched"
    path.write_text("".join(json.dumps({"question": f"{n}?", "answer": n}) + "\n" for n in range(50)), "utf-8")
    asked: list[str] = []

    def fetch(name: str) -> Dataset:
        asked.append(name)
        return Dataset(name, path, "0" * 64, path.stat().st_size, "a hub", "source", "mit")

    task = open_questions(Path("hf:org/repo:own.jsonl"), 0, fetch)
    assert asked == ["hf:org/repo:own.jsonl"]
    assert (task.size(), task.source) == (50, "a hub")


def test_ones_own_questions_come_in_an_order_of_chance(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"question": f"{n}?", "answer": n}) + "\n" for n in range(50)), "utf-8")
    order = [e.gold for e in open_questions(path, 0).examples]
    assert order != [str(n) for n in range(50)]
    assert sorted(map(str, order)) == sorted(str(n) for n in range(50))
    assert order == [e.gold for e in open_questions(path, 0).examples]
