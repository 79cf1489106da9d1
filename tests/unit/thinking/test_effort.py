"""Effort, budget and limits become one plan; room for an answer is reserved first; nonsense is refused."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import ContextFull, UsageError
from bethink.thinking.checks import MAX_QUESTION_CHARS, asks_for_function
from bethink.thinking.effort import ASKED_CHARS, efforts, is_comparable, plan
from bethink.types import EFFORTS, Message, Request
from tests.unit.thinking.conftest import NATIVE, PROMPTED

QUESTION = (Message("user", "How many are 3 and 4?"),)


def plan_of(comparable: bool = True, context: int = 32768, n_prompt: int = 100, **limits: Any) -> Any:
    return plan(Request(QUESTION, **limits), PROMPTED, comparable=comparable, n_prompt=n_prompt, context_length=context)


@pytest.mark.parametrize(
    "question",
    [
        "How many clips did she sell if she sold 48 and then half as many?",
        "What is 17 * 23?",
        "Which is a prime?\nA) 4\nB) 5\nC) 6",
        "Solve 3x + 4 = 10.",
    ],
)
def test_questions_with_a_value_or_choices_can_be_compared(question: str) -> None:
    assert is_comparable(question)


@pytest.mark.parametrize(
    "question",
    [
        "Write a haiku about rain.",
        "What is the capital of France?",
        "Write a function that adds 2 numbers.",
        "Hello!",
        "",
    ],
)
def test_other_questions_are_answered_once(question: str) -> None:
    assert not is_comparable(question)


HOSTILE = (
    "A) x\n", "\nA) ", "A) ", "\n(A", "(", "\n", " ", "\t", "\u3000", "what is ", "how ", "what is the\n", "1", "one ",
    "`", "```", "````a ",
    "def f", "\ndef f", ">>> f", "\n>>> f(", "write ", "complete this ", "a", ".", "几", "\x00",
    "\r",
)  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_a_million_hostile_characters_take_no_time_on_the_event_loop(part: str) -> None:
    question = part * (1_000_000 // len(part))
    began = process_time()
    is_comparable(question)
    asks_for_function(question[-MAX_QUESTION_CHARS:])
    assert process_time() - began < 1.0  # milliseconds; it was minutes


def test_what_is_asked_stands_at_the_end_of_a_long_question() -> None:
    long = "The weather was fine and nothing happened. " * 30_000
    assert is_comparable(f"{long}\nWhich is a prime?\nA) 4\nB) 5")
    assert is_comparable(f"{long}\nHow many are 3 and 4?")
    assert not is_comparable(f"A) 4\nB) 5\n{long}")
    assert not is_comparable("x" * ASKED_CHARS + "A) 4 B) 5" + "x" * (ASKED_CHARS - 9)), "it begins no line"


def test_every_effort_is_in_the_mapping_and_spends_no_less_than_the_one_before() -> None:
    spends = [efforts()[name] for name in EFFORTS if name != "auto"]
    budgets = [s.budget if s.budget >= 0 else 10**9 for s in spends]
    assert budgets == sorted(budgets)
    assert [s.paths for s in spends] == sorted(s.paths for s in spends)


def test_auto_votes_where_answers_can_be_compared_and_answers_directly_elsewhere() -> None:
    assert plan_of(comparable=True).n_paths > 1
    direct = plan_of(comparable=False)
    assert (direct.n_paths, direct.thinking_tokens) == (1, 0)


def test_auto_lets_a_reasoning_model_think_about_everything() -> None:
    settled = plan(Request(QUESTION), NATIVE, comparable=False, n_prompt=10, context_length=32768)
    assert settled.n_paths == 1
    assert settled.thinking_tokens > 0


def test_an_explicit_number_beats_the_effort() -> None:
    settled = plan_of(effort="max", budget=77, paths=3)
    assert (settled.thinking_tokens, settled.n_paths) == (77, 3)


@given(st.integers(200, 30000), st.integers(0, 40000))
def test_an_answer_always_has_room(max_tokens: int, budget: int) -> None:
    settled = plan_of(max_tokens=max_tokens, budget=budget)
    assert settled.thinking_tokens + settled.answer_reserve <= max_tokens
    assert settled.answer_reserve >= min(256, max_tokens // 4)
    assert settled.thinking_tokens <= budget


@given(st.integers(1, 30000))
def test_half_of_a_small_limit_is_the_answers_unless_a_budget_is_given(max_tokens: int) -> None:
    assert plan_of(max_tokens=max_tokens).answer_reserve >= min(256, max_tokens // 2)


def test_a_budget_beside_a_small_limit_is_kept_to_and_the_answer_has_the_rest() -> None:
    settled = plan_of(max_tokens=60, budget=32)
    assert settled.thinking_tokens == 32
    assert settled.answer_reserve == 60 - 32 - 60 // 8
    assert not settled.notes


def test_a_small_limit_alone_is_all_the_answers() -> None:
    settled = plan_of(max_tokens=200)
    assert settled.thinking_tokens == 0
    assert settled.notes == ("max_tokens leaves no room to think",)
    assert plan_of(effort="high", n_prompt=30_000).notes == ("the context leaves 2,257 tokens to think",)


def test_a_budget_that_max_tokens_cuts_is_told() -> None:
    assert any("cut" in note for note in plan_of(max_tokens=1000, budget=5000).notes)


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers() -> None:
    with pytest.raises(ContextFull, match="32760"):
        plan_of(n_prompt=32760)
    with pytest.raises(ContextFull, match="40000"):
        plan_of(max_tokens=40000)


@pytest.mark.parametrize(
    "limits",
    [
        {"effort": "huge"},
        {"budget": -1},
        {"max_tokens": 0},
        {"within_s": 0},
        {"within_s": float("nan")},
        {"paths": 0},
        {"paths": 10_000},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"answer_reserve": 0},
    ],
)
def test_nonsense_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan_of(**limits)
