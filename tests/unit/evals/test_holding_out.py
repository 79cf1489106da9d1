"""Figures of questions that had no part in the choice: they do not flatter, and they change no choice."""

from __future__ import annotations

from statistics import fmean

from bethink.evals.choosing import choose
from bethink.evals.holding_out import ENOUGH, held_out
from bethink.types import EFFORTS
from tests.unit.evals.synthetic import samples


def test_what_is_spent_is_chosen_by_all_questions() -> None:
    sampled = samples(1, 80)
    chosen = choose(sampled)
    honest = held_out(sampled, chosen)
    assert honest is not None
    for name in EFFORTS:
        assert (honest[name].spend, honest[name].why) == (chosen[name].spend, chosen[name].why)
        assert honest[name].right.low <= honest[name].right.value <= honest[name].right.high


def test_questions_that_choose_by_chance_are_not_believed() -> None:
    """All settings are equally right here, so the best of them is so by chance, on its own questions only."""
    gains: list[float] = []
    for seed in range(6):
        sampled = samples(seed, ENOUGH, chance=lambda _: 0.4, direct=lambda _: 0.4, n_wrong=1)
        chosen = choose(sampled)
        honest = held_out(sampled, chosen)
        assert honest is not None
        gains += [chosen[name].right.value - honest[name].right.value for name in ("auto", "high", "max")]
    assert fmean(gains) > 0.01


def test_too_few_questions_cannot_be_held_out() -> None:
    sampled = samples(2, ENOUGH - 1)
    assert held_out(sampled, choose(sampled)) is None
