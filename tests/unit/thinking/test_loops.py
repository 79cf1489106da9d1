"""Loops are found by period and by sentence, and sound text is left alone."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bethink.thinking.policies.loops import MIN_RUN, PeriodDetector, SentenceDetector


def first_alarm(ids: list[int], factor: int = 1) -> tuple[int, tuple[int, int]] | None:
    detector = PeriodDetector(factor)
    for at, token_id in enumerate(ids):
        if (found := detector.feed(token_id)) is not None:
            return at, found
    return None


@given(st.integers(1, 256), st.integers(0, 300))
def test_every_period_up_to_256_is_found_as_soon_as_its_run_is_long_enough(period: int, n_before: int) -> None:
    before = list(range(1000, 1000 + n_before))
    alarm = first_alarm(before + [i % period for i in range(4 * period + 100)])
    assert alarm is not None
    at, (found, run) = alarm
    assert found == period
    assert run == max(2 * period, MIN_RUN)
    assert at == n_before + period + run - 1


@given(st.integers(3500, 12_000), st.integers(1, 256))
def test_a_loop_late_in_a_long_thought_is_found_as_one_at_its_beginning(n_before: int, period: int) -> None:
    alarm = first_alarm([*range(1000, 1000 + n_before), *(i % period for i in range(4 * period + 100))])
    assert alarm == (n_before + period + max(2 * period, MIN_RUN) - 1, (period, max(2 * period, MIN_RUN)))


def test_the_run_points_back_to_the_end_of_the_first_copy() -> None:
    ids = [9, 8, 7] + [1, 2, 3] * 40
    alarm = first_alarm(ids)
    assert alarm is not None
    at, (_, run) = alarm
    kept = ids[: at + 1 - run]
    assert kept == [9, 8, 7, 1, 2, 3]


@given(st.lists(st.integers(0, 10**6), max_size=400, unique=True))
def test_tokens_that_never_repeat_are_no_loop(ids: list[int]) -> None:
    assert first_alarm(ids) is None


def test_an_answer_may_hold_longer_runs_than_a_thought() -> None:
    assert first_alarm([0] * 150) is not None
    assert first_alarm([0] * 150, factor=4) is None


def sentence_alarm(sentences: list[str]) -> int | None:
    detector = SentenceDetector()
    for at, sentence in enumerate(sentences):
        if detector.feed(sentence + " ") is not None:
            return at
    return None


@given(st.lists(st.integers(0, 150), max_size=40))
def test_a_sentence_that_repeats_is_found_however_its_text_is_cut_into_tokens(cuts: list[int]) -> None:
    text = "The answer must be larger. So I try another number!\n" * 5
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    detector = SentenceDetector()
    found = [detector.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    assert any(n is not None for n in found)


def test_a_sentence_said_four_times_is_a_loop_whatever_stands_between() -> None:
    said = ["The answer must be larger than that.", "So I try another number.", "Hmm, 5 does not work here."]
    assert sentence_alarm(said * 5) is not None


def test_arithmetic_that_differs_in_numbers_is_sound() -> None:
    assert sentence_alarm([f"On day {i} she sells {i * 3} clips to her friends." for i in range(6)]) is None


def test_a_list_that_only_counts_on_is_a_loop_in_the_end() -> None:
    assert sentence_alarm([f"Then we add {i} to the running total again." for i in range(20)]) is not None
