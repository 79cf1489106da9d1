"""The vote: classes of equivalent answers, when a vote is decided, and when it is hopeless.

Source: adaptive consistency (arXiv 2305.11860, Beta criterion). The futility rule is ours; docs/lab-log.md has the
replay that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from bethink.thinking.belief import Belief
from bethink.types import Verdict, Vote

Grouping = Callable[[Sequence[str]], list[list[int]]]
"""Answers -> lists of the indices of equivalent ones, in the order of first appearance."""
ENOUGH_ENDED = 3


@dataclass(frozen=True, slots=True)
class VoteRule:
    """When to stop, and when to be sure. About `wave` paths are started together; a vote is decided when the leader is
    ahead of the second with probability `confidence`; hopeless when after `futile_after` answers the leader holds less
    than `futile_share` of them. A path that alone still runs is given up when it is more than `straggler` times as long
    as the median of those that ended. An answer is unsure when `belief` gives it less than `sure`, or, where nothing is
    calibrated, when its agreement is below `sure_share`."""

    wave: int = 4
    confidence: float = 0.95
    futile_after: int = 8
    futile_share: float = 0.25
    straggler: float = 2.0
    sure_share: float = 0.5
    sure: float = 0.8
    belief: Belief | None = None

    def next_wave(self, n_left: int) -> int:
        """How many of `n_left` paths start now. A rest of at most half a wave starts with the one before it: in turn it
        would take as long as a whole one."""
        return n_left if n_left <= self.wave + self.wave // 2 else self.wave

    def most_tokens(self, ended: Sequence[int]) -> int | None:
        """Of the last path that runs, when the others had so many tokens; None: too few have ended to say."""
        return int(self.straggler * median(ended)) if len(ended) >= ENOUGH_ENDED else None


@dataclass(frozen=True, slots=True)
class Tally:
    """The vote so far. `members` are path positions per class, largest class first; `n` counts every finished path,
    those without an answer that can be compared included."""

    votes: tuple[Vote, ...]
    members: tuple[tuple[int, ...], ...]
    n: int

    @property
    def lead(self) -> tuple[int, int]:
        """The two largest counts."""
        counts = [v.count for v in self.votes[:2]] + [0, 0]
        return counts[0], counts[1]

    @property
    def agreement(self) -> float:
        return self.lead[0] / self.n if self.n else 0.0


def tally(answers: Sequence[str | None], group: Grouping) -> Tally:
    """Count the classes; ties keep the order of first appearance."""
    positions = [at for at, answer in enumerate(answers) if answer is not None]
    given = [answer for answer in answers if answer is not None]
    classes = sorted(group(given), key=len, reverse=True)
    members = tuple(tuple(positions[i] for i in c) for c in classes)
    votes = tuple(Vote(given[c[0]], len(c)) for c in classes)
    return Tally(votes, members, len(answers))


def lead_probability(first: int, second: int) -> float:
    """1 - I_{1/2}(first + 1, second + 1): how likely the leader's share is above the second's, after these counts.

    For whole numbers the regularised incomplete Beta function is a binomial tail, exact in integers.
    """
    n = first + second + 1
    return 1.0 - sum(comb(n, k) for k in range(first + 1, n + 1)) / 2**n


def is_decided(tally: Tally, rule: VoteRule, *, n_running: int = 0, n_left: int = 0) -> bool:
    """Whether the vote may end: the leader is sure enough and the paths that still run cannot overtake it, or no path
    that could still come (`n_running` running, `n_left` not yet started) can change the leader at all."""
    first, second = tally.lead
    if not first:
        return False
    if first - second > n_running + n_left:
        return True
    return first - second > n_running and lead_probability(first, second) >= rule.confidence


def is_futile(tally: Tally, rule: VoteRule) -> bool:
    """Whether more paths are not worth their tokens: the answers scatter."""
    return tally.n >= rule.futile_after and tally.agreement < rule.futile_share


def is_sure(tally: Tally, rule: VoteRule) -> bool:
    """Whether the leader counts as proven. An answer that only one path gave is no evidence, nor is a tie."""
    first, second = tally.lead
    if first <= max(1, second):
        return False
    likely = probability(tally, rule)
    return tally.agreement >= rule.sure_share if likely is None else likely >= rule.sure


def probability(tally: Tally, rule: VoteRule) -> float | None:
    """How likely the leader is right; None where nothing is calibrated, or nobody voted."""
    if rule.belief is None or tally.n < 2 or not tally.votes:
        return None
    return rule.belief.probability(tally.lead[0], tally.n)


def verdict(tally: Tally, rule: VoteRule) -> Verdict:
    """What the vote says about its leader."""
    if not tally.votes:
        return Verdict("vote", None, None, "no path gave an answer that can be compared", 0.0)
    first, _ = tally.lead
    passed = True if is_sure(tally, rule) else None
    why = f"{first} of {tally.n} paths agree" if first > 1 else f"no two of {tally.n} paths agree"
    if tally.n == 1:
        why = "a single path is no vote"
    likely = probability(tally, rule)
    return Verdict("vote", passed, tally.votes[0].answer, why, tally.agreement, tally.votes, likely)
