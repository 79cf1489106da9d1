"""What was calibrated decides what efforts spend and how sure a vote is; a file that is broken decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import StoreError, UsageError
from bethink.thinking.belief import Belief, Curve
from bethink.thinking.calibration import FILE, Calibration, Chosen, Share, find, here, keep, read
from bethink.thinking.effort import Plan, efforts, plan
from bethink.thinking.spend import Spend
from bethink.thinking.vote import VoteRule, tally, verdict
from bethink.types import EFFORTS, Message, Request
from tests.unit.thinking.conftest import PROMPTED
from tests.unit.thinking.test_vote import by_equality

BELIEF = Belief((Curve(2, ((0.5, 0.2), (1.0, 0.7))), Curve(8, ((0.25, 0.1), (0.75, 0.85)))))
RULE = VoteRule(wave=3, confidence=0.9, futile_after=6, futile_share=0.2)


def made(**changes: Any) -> Calibration:
    chosen = Chosen(Spend(777, 6, RULE), Share(0.5, 0.4, 0.6), 1000.0, "because")
    fields: dict[str, Any] = {
        "model": "scripted:1b",
        "sha256": "ab" * 32,
        "engine": "scripted",
        "form": "own",
        "machine": here(),
        "made": "2026-11-25T04:00:00+00:00",
        "source": "sums",
        "n_questions": 120,
        "efforts": dict.fromkeys(EFFORTS, chosen),
        "belief": BELIEF,
        "error": 0.05,
        "thinking": Share(0.1, -0.02, 0.2),
    }
    return Calibration(**fields | changes)


MADE = made()


def plan_of(
    calibration: Calibration | None = MADE, *, comparable: bool = True, is_value: bool = True, **limits: Any
) -> Plan:
    return plan(
        Request((Message("user", "How many are 3 and 4?"),), **limits),
        PROMPTED,
        comparable=comparable,
        is_value=is_value,
        n_prompt=10,
        context_length=32768,
        calibration=calibration,
    )


knots = st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.999)), min_size=1, max_size=8)
curves = st.lists(st.tuples(st.integers(2, 64), knots), min_size=1, max_size=4, unique_by=lambda c: c[0])


def belief_of(drawn: list[tuple[int, list[tuple[float, float]]]]) -> Belief:
    found: list[Curve] = []
    for n, points in sorted(drawn):
        places = sorted({a for a, _ in points})
        found.append(Curve(n, tuple(zip(places, sorted(p for _, p in points)[: len(places)], strict=True))))
    return Belief(tuple(found))


@given(curves, st.integers(1, 80))
def test_a_probability_is_one_and_rises_with_the_paths_that_agree(
    drawn: list[tuple[int, list[tuple[float, float]]]], n: int
) -> None:
    belief = belief_of(drawn)
    likely = [belief.probability(first, n) for first in range(n + 1)]
    assert all(0 < p < 1 for p in likely)
    assert all(a <= b + 1e-12 for a, b in pairwise(likely))


def test_between_two_numbers_of_paths_lies_what_lies_between_them() -> None:
    assert BELIEF.probability(2, 2) == 0.7
    assert BELIEF.probability(64, 64) == BELIEF.probability(8, 8) == 0.85
    assert BELIEF.probability(4, 4) == pytest.approx(0.775)


def test_a_vote_has_a_probability_and_is_sure_from_the_threshold_on() -> None:
    counted = tally(["7"] * 6 + ["8", "9"], by_equality)
    said = verdict(counted, VoteRule(belief=BELIEF, sure=0.8))
    assert (said.passed, said.probability) == (True, pytest.approx(0.85))
    assert verdict(counted, VoteRule(belief=BELIEF, sure=0.9)).passed is None
    uncalibrated = verdict(counted, VoteRule(sure=0.9))
    assert (uncalibrated.passed, uncalibrated.probability) == (True, None)


def test_a_tie_and_a_single_path_are_never_sure() -> None:
    certain = VoteRule(belief=Belief((Curve(2, ((0.0, 0.99),)),)), sure=0.1)
    assert verdict(tally(["7", "8"], by_equality), certain).passed is None
    alone = verdict(tally(["7"], by_equality), certain)
    assert (alone.passed, alone.probability) == (None, None)


def test_an_effort_spends_what_was_calibrated_and_says_so() -> None:
    settled = plan_of()
    assert (settled.budget, settled.n_paths, settled.rule.wave, settled.rule.belief) == (777, 6, 3, BELIEF)
    assert settled.notes == ("effort auto is calibrated on this machine, 2026-11-25, 120 questions",)
    assert "calibrated on another machine" in plan_of(replace(MADE, is_of_here=False)).notes[0]


def test_an_explicit_number_beats_what_was_calibrated() -> None:
    settled = plan_of(budget=99, paths=2)
    assert (settled.budget, settled.n_paths) == (99, 2)


@pytest.mark.parametrize("limits", [{"budget": 0}, {"temperature": 2.0}])
def test_a_probability_is_said_only_of_votes_like_those_that_were_measured(limits: dict[str, Any]) -> None:
    settled = plan_of(paths=8, sure=0.99, **limits)
    assert settled.rule.belief is None
    assert "says nothing here" in settled.notes[-1]


@pytest.mark.parametrize("limits", [{"max_tokens": 900}, {"max_tokens": 2000, "answer_reserve": 1500}])
@pytest.mark.parametrize("measured", [777, -1])
def test_nor_of_votes_whose_thoughts_max_tokens_cuts_below_what_was_measured(
    limits: dict[str, Any], measured: int
) -> None:
    chosen = replace(MADE.efforts["auto"], spend=Spend(measured, 6, RULE))
    calibration = made(efforts=dict.fromkeys(EFFORTS, chosen))
    assert plan_of(calibration, sure=0.9).rule.belief == BELIEF
    settled = plan_of(calibration, sure=0.9, **limits)
    assert settled.rule.belief is None
    assert "says nothing here" in settled.notes[-1]
    assert ("max_tokens leaves" in settled.notes[1]) == (measured > 0)


@pytest.mark.parametrize("kind", [{"comparable": False}, {"is_value": False}])
def test_what_was_not_measured_keeps_the_shipped_efforts(kind: dict[str, Any]) -> None:
    settled = plan_of(effort="high", **kind)
    assert settled.budget == efforts()["high"].budget
    assert settled.rule.belief is None
    assert settled.notes == ()


def test_how_sure_to_be_needs_a_calibration() -> None:
    assert plan_of(sure=0.95).rule.sure == 0.95
    with pytest.raises(UsageError, match="known how often votes are right"):
        plan_of(None, sure=0.95)
    with pytest.raises(UsageError, match="no probability"):
        plan_of(sure=1.5)


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    keep(made(), tmp_path / "deep" / "down")
    assert read(tmp_path / "deep" / "down") == made()
    assert find(tmp_path / "deep" / "down", "ab" * 32) == (made(), ())
    assert [p.name for p in (tmp_path / "deep" / "down").iterdir()] == [FILE]


def test_where_nothing_was_calibrated_nothing_is_said(tmp_path: Path) -> None:
    assert find(tmp_path / "none", "ab" * 32) == (None, ())


def test_a_calibration_of_another_model_is_left_out_and_told(tmp_path: Path) -> None:
    keep(made(), tmp_path)
    found, (note,) = find(tmp_path, "cd" * 32)
    assert found is None
    assert "another model's" in note


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        del record[name]

    return change


def _with(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: record.update(values)


def _falling(record: dict[str, Any]) -> None:
    record["belief"]["curves"][0]["knots"] = [[0.1, 0.9], [0.2, 0.1]]


def _greedy(record: dict[str, Any]) -> None:
    record["efforts"]["low"]["spend"]["paths"] = 257


@pytest.mark.parametrize(
    "break_it",
    [
        _with(format=2),
        _with(format=None),
        _with(n_questions=True),
        _with(n_questions=1.5),
        _with(error=float("nan")),
        _with(error=10**400),
        _with(efforts={}),
        _with(efforts=[]),
        _with(belief={"curves": []}),
        _with(model=7),
        _with(thinking={"value": 0.5, "low": 0.6, "high": 0.7}),
        _with(notes=[1]),
        _without("belief"),
        _without("machine"),
        _falling,
        _greedy,
    ],
)
def test_a_broken_file_is_ignored_and_named(break_it: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    keep(made(), tmp_path)
    record = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    break_it(record)
    (tmp_path / FILE).write_text(json.dumps(record), encoding="utf-8")
    found, (note,) = find(tmp_path, "ab" * 32)
    assert found is None
    assert str(tmp_path / FILE) in note
    assert "bethink calibrate" in note


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00\xff", '{"format": 1}'])
def test_a_file_that_is_no_record_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="is no calibration"):
        read(tmp_path)
