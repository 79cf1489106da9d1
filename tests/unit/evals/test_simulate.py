from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.errors import UsageError
from bethink.evals.arms import NEVER
from bethink.evals.simulate import Item, Outcome, Sampled, random_exit, read_kept, replay, replay_all, same_tokens
from bethink.thinking.vote import VoteRule

from .conftest import Measure


def item(*answers: str | None, right: str = "7", tokens: int = 10) -> Item:
    return Item("q", tuple(Sampled(a, a == right, tokens) for a in answers))


def test_four_of_four_end_the_vote_and_are_sure() -> None:
    assert replay(item(*"77777777"), VoteRule(), 8) == Outcome(1.0, 40, 4, is_sure=True, n_agree=4)


def test_answers_that_scatter_are_given_up() -> None:
    found = replay(item(*"0123456789abcdef"), VoteRule(), 16)
    assert (found.n_paths, found.is_sure) == (8, False)


def test_a_tie_is_not_sure() -> None:
    assert replay(item("7", "8"), NEVER, 2).is_sure is False
    assert replay(item(*"7788"), NEVER, 4).is_sure is False


def test_a_started_wave_is_paid_in_full() -> None:
    assert replay(item(*"7777"), VoteRule(), 3).tokens == 30


def test_paths_without_an_answer_vote_for_nobody() -> None:
    assert replay(item(None, None, "7", None), NEVER, 4).is_right == 1.0
    assert replay(item(None, None), NEVER, 2) == Outcome(0.0, 20, 2, is_sure=False)


def test_the_control_of_equal_tokens_costs_as_much_as_the_rule() -> None:
    items = [item(*"7897"), item(*"9777")]
    fixed = {k: [replay(i, NEVER, k) for i in items] for k in (1, 2, 3, 4)}
    got = [Outcome(1.0, 20, 2), Outcome(1.0, 30, 3)]
    control = same_tokens(got, fixed)
    assert control == [fmean([fixed[2][at].is_right, fixed[3][at].is_right]) for at in (0, 1)]


def test_leaving_at_random_is_the_mean_over_all_ways() -> None:
    items = [item(*"7897"), item(*"9777")]
    fixed = {k: [replay(i, NEVER, k) for i in items] for k in (1, 2, 3, 4)}
    got = [Outcome(1.0, 10, 1), Outcome(1.0, 40, 4)]
    assert random_exit(got, fixed) == [0.5 * fixed[1][at].is_right + 0.5 * fixed[4][at].is_right for at in (0, 1)]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from(["7", "8", "9", None]), min_size=4, max_size=4), min_size=1, max_size=6))
def test_no_rule_costs_more_than_all_paths_or_less_than_one_wave(answers: list[list[str | None]]) -> None:
    found = replay_all([item(*row) for row in answers], "any")
    everything = next(r for r in found.rules if r.name == "fixed 4")
    for rule in found.rules:
        assert 10 <= rule.tokens <= everything.tokens == 40
        assert 0 <= rule.right <= found.any_right
        if rule.against_random is not None and rule.paths == 4.0:
            assert rule.against_random.value == pytest.approx(0.0)


def test_a_measurement_is_replayed_with_its_other_arms_as_controls(measured: Measure, tmp_path: Path) -> None:
    measured("plain, fixed:4, budget:64")
    kept = read_kept(tmp_path / "out")
    assert list(kept.items) == ["fixed:4"]
    found = replay_all(kept.items["fixed:4"], "fixed:4", kept.singles)
    names = [r.name for r in found.rules]
    assert {"control: plain", "control: budget:64", "adaptive 0.95"} <= set(names)
    assert found.any_right == pytest.approx(5 / 6)


def test_seeds_of_a_question_do_not_pretend_to_be_questions() -> None:
    rows = [("7", "8", "8", "8"), ("7", "7", "8", "8"), ("9", "7", "7", "8"), ("9", "9", "9", "7")]
    once = [replace(item(*row), name=f"{at}\0") for at, row in enumerate(rows)]
    found = replay_all(once, "one seed")
    again = replay_all([replace(i, name=f"{i.question}\0{seed}") for seed in range(5) for i in once], "five seeds")
    assert (again.n, again.n_answers) == (found.n, 5 * found.n_answers) == (4, 20)
    assert [r.against_first for r in again.rules] == [r.against_first for r in found.rules]


def test_an_arm_with_cancelled_paths_is_not_replayed(measured: Measure, tmp_path: Path) -> None:
    measured("plain")
    with pytest.raises(UsageError) as caught:
        read_kept(tmp_path / "out")
    assert "fixed:16" in caught.value.hint


def test_samples_of_the_older_form_are_read(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    rows = [
        {
            "index": 3,
            "paths": [{"answer": "7.0", "right": True, "tokens": 5}, {"answer": "7", "right": True, "tokens": 6}],
        }
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"index": 4, "pa', encoding="utf-8")
    kept = read_kept(path)
    assert kept.items["votes"][0].paths == (Sampled("7.0", True, 5), Sampled("7.0", True, 6))


def test_a_replay_gives_up_the_last_path_of_a_wave_as_the_council_does() -> None:
    paths = [Sampled(a, a == "7", n) for a, n in (("7", 100), ("8", 1000), ("7", 110), ("9", 120))]
    item, rule = Item("q", tuple(paths)), VoteRule()
    assert replay(item, rule, 4) == Outcome(1.0, 100 + 110 + 120 + int(rule.straggler * 110), 4, True, 2)
    assert replay(item, NEVER, 4) == Outcome(1.0, 1330, 4, True, 2)


def test_a_last_path_is_given_up_when_the_others_have_ended_and_not_before() -> None:
    paths = [Sampled(a, a == "7", n) for a, n in (("7", 100), ("8", 1000), ("7", 110), ("9", 900))]
    assert replay(Item("q", tuple(paths)), VoteRule(), 4).tokens == 100 + 900 + 110 + 900


def test_paths_without_a_vote_do_not_say_what_is_long() -> None:
    paths = [Sampled(a, a == "7", n) for a, n in ((None, 100), ("7", 1000), (None, 110), ("9", 120))]
    assert replay(Item("q", tuple(paths)), VoteRule(), 4).tokens == 1330


def test_a_path_that_is_a_wave_by_itself_is_waited_for() -> None:
    paths = [Sampled(a, a == "7", n) for a, n in (("7", 100), ("8", 110), ("9", 120), ("7", 1000))]
    assert replay(Item("q", tuple(paths)), VoteRule(wave=1), 4).tokens == 1330
