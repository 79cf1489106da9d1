"""Efforts are chosen from samples with known truth: never worse than the next cheaper one, dearer only for a gain."""

from __future__ import annotations

from math import inf
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.evals.candidates import Samples, candidates, front, tried
from bethink.evals.choosing import LADDER, auto, choose
from bethink.evals.simulate import Item, Sampled
from bethink.evals.stats import bootstrap_many
from bethink.thinking.effort import efforts
from bethink.thinking.spend import Spend
from bethink.types import EFFORTS

from .synthetic import samples


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(0, 2), st.sampled_from([1, 2, 5, 8, 16]))
def test_more_effort_is_never_less_right(seed: int, n: int, worth: float, n_paths: int) -> None:
    sampled = samples(seed, n, direct=lambda chance: min(1.0, worth * chance), n_paths=n_paths)
    chosen = choose(sampled)
    assert set(chosen) == set(EFFORTS)
    rights = [fmean(tried(sampled, chosen[name].spend).rights) for name in ("none", *LADDER)]
    assert rights == sorted(rights)
    assert [chosen[name].right.value for name in ("none", *LADDER)] == rights
    assert chosen["auto"].right.value <= chosen["high"].right.value


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_an_effort_costs_more_only_where_it_is_shown_to_be_better(seed: int, n: int) -> None:
    sampled = samples(seed, n)
    chosen = choose(sampled)
    below = dict(zip(LADDER, ("none", *LADDER), strict=False))
    below["high"] = max("medium", "auto", key=lambda name: chosen[name].right.value)
    for dearer, cheaper in below.items():
        a, b = tried(sampled, chosen[cheaper].spend), tried(sampled, chosen[dearer].spend)
        if b.tokens > a.tokens:
            gains = [x - y for x, y in zip(b.rights, a.rights, strict=True)]
            assert bootstrap_many([gains])[0].low > 0


def test_no_effort_spends_more_than_it_ships_with() -> None:
    chosen = choose(samples(1, 80))
    for name in LADDER:
        most = efforts()[name]
        assert chosen[name].spend.paths <= most.paths
        assert chosen[name].spend.budget <= (inf if most.budget < 0 else most.budget)
    assert chosen["none"].spend == Spend(0, 1)


def test_where_a_vote_helps_much_high_effort_votes() -> None:
    chosen = choose(samples(2, 200, chance=lambda draw: 0.45 + 0.1 * draw.random()))
    assert chosen["high"].spend.paths == 8
    assert chosen["high"].right.value > chosen["low"].right.value + 0.2
    assert chosen["medium"].why.startswith("+")
    assert chosen["auto"].spend.paths > 1


def test_where_thinking_harms_no_effort_thinks() -> None:
    chosen = choose(samples(3, 100, direct=lambda _: 1.0))
    assert {chosen[name].spend.budget for name in EFFORTS} == {0}
    assert "spends what none spends" in chosen["low"].why


def test_where_all_paths_are_alike_nothing_is_paid_for_more_of_them() -> None:
    chosen = choose(samples(4, 100, chance=lambda draw: float(draw.random() < 0.5), n_wrong=1))
    assert {chosen[name].spend.paths for name in EFFORTS} == {1}


def test_a_thought_that_a_budget_cuts_counts_as_one_without_an_answer() -> None:
    item = Item("q", (Sampled("7", True, 110, 100), Sampled("7", True, 710, 700)))
    cut = Samples([item], [], 4096).items(Spend(512, 2))[0]
    assert cut.paths == (item.paths[0], Sampled(None, False, 522, 512))


def test_a_small_budget_is_a_candidate_only_where_it_saves_something() -> None:
    short = samples(5, 20, thinking=90)
    assert {c.spend.budget for c in candidates(short, efforts()["auto-comparable"])} == {0, 4096}
    long = Samples(
        [Item(str(at), (Sampled("7", True, 310, 300), Sampled("8", False, 4010, 4000))) for at in range(20)], [], 4096
    )
    assert 512 in {c.spend.budget for c in candidates(long, efforts()["auto-comparable"])}


@given(st.integers(0, 10**6), st.integers(1, 30))
@settings(deadline=None, max_examples=20)
def test_nothing_beats_the_front(seed: int, n: int) -> None:
    found = candidates(samples(seed, n), efforts()["max"])
    best = front(found)
    assert all(any(b.right >= c.right and b.tokens <= c.tokens for b in best) for c in found)
    assert auto(samples(seed, n)).candidate.spend.paths <= efforts()["auto-comparable"].paths


def test_choosing_the_same_twice_chooses_the_same() -> None:
    assert choose(samples(6, 50)) == choose(samples(6, 50))


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_questions_show_nothing(n: int) -> None:
    chosen = choose(samples(7, n, chance=lambda _: 1.0, direct=lambda _: 0.0))
    assert chosen["low"].spend.budget == 0
    assert "not shown" in chosen["low"].why or "nothing dearer is shown" in chosen["low"].why
