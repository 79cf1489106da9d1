"""The contract of thinking on a real small model that loops: every limit holds, and every request is answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bethink
from bethink.model import Model
from bethink.types import Finished, Message, Request, Result

pytestmark = [pytest.mark.anyio, pytest.mark.real]

QUESTIONS = (
    "A shirt costs 20 dollars and a hat half as much. How much do 3 hats cost?",
    "Tom has 12 apples and gives 5 away. How many are left?",
)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with bethink.load("smollm2:135m") as loaded:
        loaded.traces = None
        yield loaded


def asked(question: str, **limits: object) -> Request:
    return Request((Message("user", question),), check="math", **limits)  # pyright: ignore[reportArgumentType]  # fields of Request


@pytest.mark.parametrize("budget", [0, 1, 32, 128])
@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_thought_keeps_its_budget_and_is_answered(model: Model, question: str, budget: int) -> None:
    run = model.think(asked(question, budget=budget, paths=1, seed=3, max_tokens=400))
    result = [event.result async for event in run if isinstance(event, Finished)].pop()
    assert result.answer.strip()
    assert result.usage.thinking_tokens <= budget
    sampled = sum(token.origin == "sampled" for token in run.trace.paths[0].tokens)
    assert sampled == result.usage.completion_tokens
    assert result.closed_by in {"natural", "budget", "loop"}


async def test_the_same_seed_gives_the_same_words(model: Model) -> None:
    def ask(seed: int) -> Request:
        return asked(QUESTIONS[0], budget=48, paths=1, seed=seed, temperature=0.8, max_tokens=300)

    one, two = await model.answer(ask(5)), await model.answer(ask(5))
    assert (one.thinking, one.answer) == (two.thinking, two.answer)
    assert (await model.answer(ask(6))).thinking != one.thinking


async def test_several_paths_vote_and_the_tokens_add_up(model: Model) -> None:
    result: Result = await model.answer(asked(QUESTIONS[1], paths=4, budget=64, seed=1, max_tokens=300))
    assert result.verdict.kind == "vote"
    assert sum(vote.count for vote in result.verdict.votes) <= 4
    assert result.usage.completion_tokens == sum(path.usage.completion_tokens for path in result.paths)


async def test_an_edited_thought_is_gone_on_from(model: Model) -> None:
    thought = "A hat costs half of 20 dollars, which is 10 dollars. Three hats cost"
    result = await model.answer(asked(QUESTIONS[0], thought=thought, budget=32, paths=1, seed=1, max_tokens=300))
    assert result.thinking.startswith(thought)
