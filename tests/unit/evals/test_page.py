"""Settings in the words of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bethink.evals.arms import NEVER
from bethink.evals.page import spends, stops
from bethink.thinking.spend import Spend
from bethink.thinking.vote import VoteRule

WHOLE = replace(NEVER, wave=8)


@pytest.mark.parametrize(
    ("spend", "words", "ends"),
    [
        (Spend(0, 1), "one path, no thought", ""),
        (Spend(2048, 1), "one path, 2,048 tokens of thought", ""),
        (Spend(-1, 8, WHOLE), "8 paths, any thought", "all paths vote"),
        (Spend(512, 8, VoteRule()), "up to 8 paths, 512 tokens of thought", "95 % decided, or under 25 % after 8"),
        (
            Spend(512, 8, VoteRule(confidence=0.9, futile_after=10**6)),
            "up to 8 paths, 512 tokens of thought",
            "90 % decided",
        ),
    ],
)
def test_a_setting_is_said_in_words(spend: Spend, words: str, ends: str) -> None:
    assert (spends(spend), stops(spend)) == (words, ends)


def test_the_usual_rule_is_said_as_what_it_is() -> None:
    assert stops(Spend(512, 8)) == stops(Spend(512, 8, VoteRule()))
