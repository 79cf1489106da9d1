"""Values: numbers, expressions and choices, compared as mathematics. Paths that reach the same one are evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bethink.thinking.answers import compared_answer
from bethink.thinking.checks.check import Check, Patience
from bethink.thinking.vote import Tally, VoteRule, verdict
from bethink.types import PathResult, Verdict
from bethink.verify.math import classes, warm_up


@dataclass(frozen=True, slots=True)
class Values(Check):
    """The vote over equal values."""

    kind = "vote"
    spreads = True
    asks_for_value = True
    votes = True

    def prepare(self) -> None:
        warm_up()

    def extract(self, path: PathResult, lead: str) -> str | None:
        return compared_answer(path.answer, path.thinking, lead=lead)

    def group(self, answers: Sequence[str], patience: Patience) -> list[list[int]]:
        return classes(answers, timeout_s=patience.seconds(10.0))

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        if len(counted) < 2:
            return Verdict("none", None, winner.extracted, "one path, nothing to compare it with")
        return verdict(tally, rule)


@dataclass(frozen=True, slots=True)
class PerhapsValues(Values):
    """A question that does not look as if its answers were values, to which several paths were asked for all the
    same."""

    spreads = False
    asks_for_value = False
