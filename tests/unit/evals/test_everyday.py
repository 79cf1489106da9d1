"""Everyday problems: each kind by hand once, and every answer a number that its own verifier takes."""

from __future__ import annotations

import re

import pytest

from bethink.evals.tasks.everyday import KINDS, everyday

TASK = everyday("everyday", 0)


@pytest.mark.parametrize("i", range(len(KINDS)))
def test_the_same_number_is_the_same_problem_and_its_answer_passes(i: int) -> None:
    example = TASK.example(i)
    assert everyday("everyday", 0).example(i) == example
    assert TASK.verify(example, f"The answer is {example.gold}.").passed
    assert not TASK.verify(example, f"The answer is {int(example.gold or 0) + 1}.").passed
    assert int(example.gold or -1) >= 0


def numbers(question: str) -> list[int]:
    return [int(word) for word in re.findall(r"\d+", question)]


def test_prices_queues_and_fences_are_as_counted_by_hand() -> None:
    for i in range(0, 20 * len(KINDS), len(KINDS)):
        cost, shirts, hats = numbers(TASK.example(i + 2).question)
        assert TASK.example(i + 2).gold == str(shirts * cost + hats * cost // 2)
        before, behind, gone = numbers(TASK.example(i + 7).question)
        assert TASK.example(i + 7).gold == str(before - gone + 1 + behind)
        wide, long, gap = numbers(TASK.example(i + 11).question)
        posts = {(x, y) for x in range(0, wide + 1, gap) for y in range(0, long + 1, gap)}
        edge = [p for p in posts if p[0] in (0, wide) or p[1] in (0, long)]
        assert TASK.example(i + 11).gold == str(len(edge))


def test_another_seed_asks_other_questions() -> None:
    assert everyday("everyday", 1).example(0).question != TASK.example(0).question
    assert everyday("everyday", 1).sha256 != TASK.sha256
