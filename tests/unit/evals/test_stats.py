from __future__ import annotations

from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.evals.stats import (
    accuracy,
    bootstrap,
    chance_error,
    coverage,
    least_difference,
    maj_at_k,
    paired,
    pass_at_k,
    reliability,
)


def test_accuracy_has_wilsons_interval() -> None:
    found = accuracy([1.0] * 8 + [0.0] * 2)
    assert (round(found.low, 4), found.value, round(found.high, 4)) == (0.4902, 0.8, 0.9433)


def test_no_right_answer_is_no_certainty() -> None:
    found = accuracy([0.0] * 10)
    assert found.low == 0
    assert 0.2 < found.high < 0.35


def test_several_seeds_of_a_question_are_no_more_questions() -> None:
    seeds = [0.5, 1.0, 0.0, 0.5] * 5
    assert accuracy(seeds) == bootstrap(seeds, (0.0, 1.0))


def test_a_paired_difference_is_exact_and_goes_both_ways() -> None:
    a = {str(i): float(i < 10) for i in range(100)}
    b = {str(i): float(5 <= i < 25) for i in range(100)}
    forth, back = paired(a, b), paired(b, a)
    assert forth is not None
    assert back is not None
    assert forth.difference.value == pytest.approx(0.1)
    assert (forth.only_a, forth.only_b) == (5, 15)
    assert forth.p == pytest.approx(0.04139, abs=1e-5)  # two-sided binomial of 5 in 20
    assert back.difference.value == pytest.approx(-forth.difference.value)
    assert back.p == pytest.approx(forth.p)
    assert forth.difference.low < 0.1 < forth.difference.high


def test_only_questions_that_both_answered_are_compared() -> None:
    found = paired({"a": 1.0, "b": 0.0}, {"b": 1.0, "c": 1.0})
    assert found is not None
    assert (found.n, found.difference.value) == (1, 1.0)
    assert paired({"a": 1.0}, {"b": 1.0}) is None


def test_a_hundred_questions_show_nothing_under_ten_points() -> None:
    assert least_difference(100, 0.128) == pytest.approx(0.1, abs=0.001)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(rights: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(rights)))
    by_hand = fmean(any(chosen) for chosen in combinations(rights, k))
    assert pass_at_k(len(rights), sum(rights), k) == pytest.approx(by_hand)


@settings(deadline=None)
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=8), st.sets(st.integers(0, 3)), st.data())
def test_maj_at_k_is_the_mean_over_all_subsets_with_ties_split(
    answers: list[int], right: set[int], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(answers)))

    def vote(chosen: tuple[int, ...]) -> float:
        counts = {a: chosen.count(a) for a in chosen if a >= 0}
        leaders = [a for a, n in counts.items() if n == max(counts.values())]
        return sum(a in right for a in leaders) / len(leaders) if leaders else 0.0

    by_hand = fmean(vote(chosen) for chosen in combinations(answers, k))
    classes = [(answers.count(a), a in right) for a in sorted(set(answers)) if a >= 0]
    assert maj_at_k(classes, answers.count(-1), k) == pytest.approx(by_hand)


def test_more_samples_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="pass@3 of 2"):
        pass_at_k(2, 1, 3)
    with pytest.raises(ValueError, match="maj@0"):
        maj_at_k([(2, True)], 0, 0)


def test_agreement_that_is_a_probability_has_no_calibration_error() -> None:
    pairs = [(0.75, 1.0)] * 3 + [(0.75, 0.0)] + [(1.0, 1.0)] * 4
    bins, error = reliability(pairs)
    assert error == pytest.approx(0.0)
    assert [(b.low, b.n) for b in bins] == [(0.6, 4), (0.8, 4)]
    assert reliability([]) == ([], 0.0)


def test_few_answers_show_an_error_by_chance_and_many_hardly_any() -> None:
    few, many = chance_error([0.1, 0.5, 0.9] * 10), chance_error([0.1, 0.5, 0.9] * 1000, n_draws=20)
    assert 0.05 < few < 0.15
    assert many < 0.015
    assert chance_error([]) == 0.0


def test_coverage_answers_the_surest_first() -> None:
    assert coverage([(0.5, 0.0), (1.0, 1.0)]) == [(1.0, 0.5, 1.0), (0.5, 1.0, 0.5)]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_few_questions_that_all_differ_the_same_way_are_no_finding(n: int) -> None:
    found = paired({str(i): 0.0 for i in range(n)}, {str(i): 1.0 for i in range(n)})
    assert found is not None
    assert found.difference.value == 1.0
    assert found.difference.low < 0
    assert found.difference.high == 1.0


def test_six_questions_of_six_are_a_finding_as_for_the_exact_test() -> None:
    found = paired({str(i): 0.0 for i in range(6)}, {str(i): 1.0 for i in range(6)})
    assert found is not None
    assert found.p is not None
    assert found.p < 0.05
    assert found.difference.low > 0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_an_interval_holds_its_mean_and_has_a_width(values: list[float]) -> None:
    found = bootstrap(values)
    assert -1 - 1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1 + 1e-9
    assert found.high - found.low > 0.05


def test_no_difference_in_many_questions_is_a_narrow_one() -> None:
    found = bootstrap([0.0] * 200)
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (0.0, -0.018, 0.018)
