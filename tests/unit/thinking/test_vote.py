"""The vote: when it is decided, when it is hopeless, and what it says of its leader."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from bethink.thinking.vote import VoteRule, is_decided, is_futile, lead_probability, tally, verdict


def by_equality(answers: Sequence[str]) -> list[list[int]]:
    return [[i for i, a in enumerate(answers) if a == value] for value in dict.fromkeys(answers)]


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_lead_probability_is_the_regularised_beta_function(first: int, second: int) -> None:
    assert lead_probability(first, second) == pytest.approx(1 - betainc(first + 1, second + 1, 0.5), abs=1e-9)


def test_four_of_four_decide_and_three_of_four_do_not() -> None:
    rule = VoteRule()
    assert is_decided(tally(["4"] * 4, by_equality), rule, n_left=12)
    assert not is_decided(tally(["4", "4", "4", "5"], by_equality), rule, n_left=12)


def test_a_decided_vote_waits_for_paths_that_could_overturn_it() -> None:
    six = tally(["4"] * 6, by_equality)
    assert not is_decided(six, VoteRule(), n_running=6, n_left=4)
    assert is_decided(six, VoteRule(), n_running=5, n_left=4)


def test_a_lead_that_no_remaining_path_can_change_is_decided() -> None:
    assert is_decided(tally(["4", "4", "5"], by_equality), VoteRule(), n_running=0, n_left=0)
    assert not is_decided(tally(["4", "5"], by_equality), VoteRule(), n_running=0, n_left=0)


def test_answers_that_scatter_are_given_up_and_called_unsure() -> None:
    scattered = tally([str(i) for i in range(8)], by_equality)
    assert is_futile(scattered, VoteRule())
    assert verdict(scattered, VoteRule()).passed is None


def test_a_path_without_an_answer_counts_in_the_agreement() -> None:
    counted = tally(["4", None, "4", None], by_equality)
    assert (counted.agreement, counted.lead) == (0.5, (2, 0))


def test_one_path_is_no_evidence() -> None:
    assert verdict(tally(["4"], by_equality), VoteRule()).passed is None


def test_no_answer_at_all_is_unsure_not_a_crash() -> None:
    said = verdict(tally([None, None], by_equality), VoteRule())
    assert (said.passed, said.extracted) == (None, None)


@pytest.mark.parametrize("answers", [["4", "5"], ["4", None], ["4", "4", "5", "5"]])
def test_a_tie_and_an_answer_that_nobody_shares_are_unsure(answers: list[str | None]) -> None:
    assert verdict(tally(answers, by_equality), VoteRule()).passed is None


def test_what_the_vote_says_of_itself_is_true() -> None:
    assert verdict(tally(["4", "5"], by_equality), VoteRule()).why == "no two of 2 paths agree"
    said = verdict(tally(["4", "5", "4"], by_equality), VoteRule())
    assert (said.passed, said.why) == (True, "2 of 3 paths agree")


@given(st.integers(1, 64), st.integers(1, 16))
def test_waves_start_every_path_once_and_none_is_much_smaller_than_asked(n_paths: int, wave: int) -> None:
    sizes, rule = list[int](), VoteRule(wave=wave)
    while sum(sizes) < n_paths:
        sizes.append(rule.next_wave(n_paths - sum(sizes)))
    assert sum(sizes) == n_paths
    assert max(sizes) <= wave + wave // 2
    assert len(sizes) == 1 or min(sizes) > wave // 2
