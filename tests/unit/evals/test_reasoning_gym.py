from __future__ import annotations

import re
from typing import cast

import pytest

from bethink.errors import UsageError
from bethink.evals.registry import open_task
from bethink.evals.tasks.reasoning_gym import ReasoningGym

pytest.importorskip("reasoning_gym", reason="needs bethink[eval]")


def test_the_same_seed_gives_the_same_questions_and_another_none_of_them() -> None:
    one, again, other = (open_task("reasoning_gym:leg_counting", seed=seed) for seed in (3, 3, 4))
    asked = [[task.example(i).question for i in range(30)] for task in (one, again, other)]
    assert asked[0] == asked[1]
    assert not set(asked[0]) & set(asked[2])
    assert not set(asked[0]) & {one.example(i, "train").question for i in range(30)}


def test_repeated_questions_are_dropped_and_a_generator_that_runs_dry_says_so() -> None:
    class Small:
        def __getitem__(self, index: int, /) -> dict[str, object]:
            return {"question": f"{index % 3} + 0?", "answer": str(index % 3)}

    task = ReasoningGym("g", "chain_sum", 0, lambda _: Small(), "", "")
    assert len({task.example(i).question for i in range(3)}) == 3
    with pytest.raises(UsageError, match="no more than 3 different questions"):
        task.example(3)


def test_numbers_are_compared_as_numbers_and_texts_to_the_letter() -> None:
    legs = cast("ReasoningGym", open_task("rg:leg-counting"))
    assert legs.compares == "math"
    assert legs.verify(legs.example(0), f"so \\boxed{{{legs.example(0).gold}.0}}").passed is True
    words = cast("ReasoningGym", open_task("reasoning_gym:spell_backward"))
    example = words.example(0)
    assert words.compares == "none"
    assert words.verify(example, f"<answer> {example.gold} </answer>").passed is True
    assert words.verify(example, f"<answer>{example.gold}x</answer>").passed is False


def test_a_fraction_to_be_simplified_must_be_simplified() -> None:
    task = open_task("reasoning_gym:fraction_simplification")
    example = task.example(0)
    assert task.verify(example, f"<answer>{example.gold}</answer>").passed is True
    top, bottom = re.findall(r"\d+", example.gold or "")
    assert task.verify(example, f"<answer>$ {2 * int(top)}/{2 * int(bottom)} $</answer>").passed is False


@pytest.mark.parametrize("name", ["countdown", "n_queens", "composite"])
def test_a_generator_that_no_key_decides_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="many right answers"):
        open_task(f"reasoning_gym:{name}")


def test_an_unknown_generator_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(UsageError) as caught:
        open_task("reasoning_gym:chain_sums")
    assert "chain_sum" in caught.value.hint
