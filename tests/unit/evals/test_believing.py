"""Probabilities fitted to votes with known truth: honest on questions they were not fitted to."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.evals.believing import Vote, believe, cross_validated, try_on, votes_of, voting
from bethink.evals.candidates import Samples
from bethink.evals.stats import reliability
from bethink.thinking.spend import Spend

from .synthetic import samples

votes = st.tuples(st.sampled_from([2, 4, 8, 16]), st.floats(0, 1), st.booleans()).map(
    lambda drawn: Vote(round(drawn[1] * drawn[0]), drawn[0], float(drawn[2]))
)


@settings(deadline=None)
@given(st.lists(votes, min_size=1, max_size=40), st.integers(2, 40))
def test_any_votes_make_a_belief_that_rises_between_0_and_1(drawn: list[Vote], n: int) -> None:
    belief = believe(drawn)
    likely = [belief.probability(first, n) for first in range(n + 1)]
    assert all(0 < p < 1 for p in likely)
    assert all(a <= b + 1e-12 for a, b in pairwise(likely))


def test_a_belief_finds_the_truth_it_was_shown() -> None:
    draw = Random(0)
    truth = {1: 0.1, 2: 0.3, 3: 0.7, 4: 0.95}
    shown = [Vote(first, 4, float(draw.random() < chance)) for first, chance in truth.items() for _ in range(2000)]
    belief = believe(shown)
    for first, chance in truth.items():
        assert belief.probability(first, 4) == pytest.approx(chance, abs=0.04)


def test_agreement_that_means_nothing_gives_everybody_the_same_probability() -> None:
    draw = Random(1)
    belief = believe([Vote(draw.randrange(1, 9), 8, float(draw.random() < 0.4)) for _ in range(3000)])
    assert belief.probability(8, 8) - belief.probability(1, 8) < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_a_calibrated_set_is_honest_about_questions_it_never_saw(seed: int) -> None:
    spend = Spend(4096, 8)
    shown, unseen = samples(seed, 300), samples(1000 + seed, 2000)
    found = try_on(unseen, spend, believe(votes_of(shown, spend)))
    _, error = reliability([(t.probability, t.is_right) for t in found])
    assert error < 0.07
    _, by_agreement = reliability([(t.agreement, t.is_right) for t in found])
    assert error < by_agreement, "agreement alone is less honest"


def test_what_is_reported_is_about_as_honest_as_what_comes() -> None:
    shown, unseen = samples(5, 300), samples(6, 3000)
    reported = reliability([(t.probability, t.is_right) for t in cross_validated(shown)])[1]
    spend = Spend(4096, 8)
    real = reliability([(t.probability, t.is_right) for t in try_on(unseen, spend, believe(votes_of(shown, spend)))])[1]
    assert abs(reported - real) < 0.08


def test_every_question_is_tried_once_by_what_the_others_chose() -> None:
    found = cross_validated(samples(8, 43))
    assert len(found) == 43
    assert all(0 < t.probability < 1 for t in found)


def test_where_nothing_votes_there_is_nothing_to_be_tried() -> None:
    single = samples(9, 20, n_paths=1)
    assert cross_validated(Samples(single.thinking, [], single.budget)) == []


def test_where_one_path_is_enough_all_that_think_are_judged() -> None:
    assert voting(Spend(4096, 1), samples(1, 3)).paths == 16
    assert voting(Spend(0, 1), samples(1, 3)).paths == 16
    assert voting(Spend(4096, 8), samples(1, 3)) == Spend(4096, 8)
