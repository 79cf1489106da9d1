from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import UsageError
from bethink.evals.arms import Arm, parse_arms


def test_the_arms_of_the_documentation_are_what_they_say() -> None:
    plain, low, vote, budget = parse_arms("plain, effort=low, vote:16, budget:256")
    assert plain == Arm("plain", is_plain=True)
    assert (low.effort, low.paths, low.budget) == ("low", None, None)
    assert (vote.effort, vote.paths, vote.is_fixed) == ("auto", 16, False)
    assert (budget.budget, budget.paths) == (256, 1)


def test_settings_are_joined_and_a_temperature_stands_at_the_end() -> None:
    (arm,) = parse_arms("budget:64+fixed:8@0.5")
    assert (arm.budget, arm.paths, arm.is_fixed, arm.temperature) == (64, 8, True, 0.5)


def test_some_paths_of_a_vote_may_write_programs() -> None:
    plain, one, two = parse_arms("vote:16, vote:16+programs:4, programs=4+vote:16")
    assert (plain.programs, one.programs, two.programs) == (None, 4, 4)
    assert (one.paths, two.paths) == (16, 16)


def test_the_order_of_settings_does_not_matter() -> None:
    one, two = parse_arms("budget:64+vote:4, vote:4+budget:64")
    assert (one.budget, one.paths) == (two.budget, two.paths) == (64, 4)


def test_only_a_plain_arm_without_temperature_repeats_itself() -> None:
    greedy, zero, warm, vote = parse_arms("plain, plain@0, plain@0.7, vote:4")
    assert [a.is_greedy for a in (greedy, zero, warm, vote)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no arm"),
        (" , ", "there is no arm"),
        ("plan", "did you mean plain?"),
        ("effort=huge", "none, low, medium"),
        ("vote:0", "from 1 to 256"),
        ("vote:four", "from 1 to 256"),
        ("budget:-1", "from 0 to"),
        ("budget:²", "from 0 to"),
        ("plain@hot", "plain@0.7"),
        ("plain@nan", "plain@0.7"),
        ("plain:3", "plain takes none"),
        ("plain+vote:4", "plain is the engine without control"),
        ("vote:4+fixed:4", "sets fixed twice"),
        ("plain, plain", "is there twice"),
        ("within:0s", "within:20s"),
        ("vote:4+programs:4", "some of the paths of a vote"),
        ("programs:1+budget:64", "some of the paths of a vote"),
        ("fixed:16+programs:4", "some of the paths of a vote"),
        ("plain+programs:4", "plain is the engine without control"),
        ("vote:4+programs:-1", "from 0 to"),
    ],
)
def test_a_wrong_arm_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_arms(text)
    assert says in f"{caught.value} {caught.value.hint}"


@given(st.text(alphabet="plainvotefxdbug:=+@,.0123456789 ", max_size=40))
def test_any_text_is_arms_or_a_usage_error(text: str) -> None:
    try:
        arms = parse_arms(text)
    except UsageError:
        return
    assert len({arm.name for arm in arms}) == len(arms) > 0
