"""A measurement over the scripted engine: milliseconds a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bethink.engine.scripted import Context, Line, Script
from bethink.evals.arms import parse_arms
from bethink.evals.measure import Order, measure
from bethink.evals.registry import open_task
from bethink.evals.results import Line as ResultLine
from bethink.evals.results import read_results
from bethink.evals.task import Task
from bethink.model import Model
from tests.unit.cli.conftest import scripted_model

Measure = Callable[..., Sequence[ResultLine]]


def adds(context: Context) -> Line:
    """A reasoning model that adds two numbers, and is wrong where the second one is 3."""
    question = context.text.rsplit("user\n", 1)[1].partition("<|im_end|>")[0]
    a, b = (int(word) for word in question.split() if word.isdigit())
    return Line(f"<think>\n{a} and {b}.\n</think>\n\nThe answer is \\boxed{{{a + b + (b == 3)}}}.")


@pytest.fixture
def sums(tmp_path: Path) -> Task:
    rows = [{"id": f"q{n}", "question": f"What is 10 + {n} ?", "answer": 10 + n} for n in range(6)]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return open_task(str(path))


@pytest.fixture
def measured(tmp_path: Path, sums: Task) -> Iterator[Measure]:
    """Measure the sums into `tmp_path / "out"` and return its lines."""
    models: list[Model] = []

    def run(arms: str = "plain", script: Script = adds, parallel: int = 4, seeds: int = 1) -> Sequence[ResultLine]:
        models.append(scripted_model(script, None, "qwen3"))
        order = Order(parse_arms(arms), seed=7, n_seeds=seeds, max_tokens=400, parallel=parallel)
        measure(sums, order, models[-1], tmp_path / "out")
        return read_results(tmp_path / "out")

    yield run
    for model in models:
        model.close()
