"""Every setting that an effort could have, replayed over the same sampled paths: budget, number of paths, rule.

A budget is replayed on the safe side: a thought that it would have cut counts as one without an answer, though the
model would have answered something. So a small budget is chosen only where thoughts are short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from bethink.evals.arms import NEVER
from bethink.evals.simulate import Item, Outcome, replay, rules
from bethink.thinking.spend import Spend
from bethink.thinking.vote import VoteRule

SIZES = (1, 2, 4, 8, 16)
BUDGETS = (128, 256, 512, 1024, 2048)
MOST_CUT = 0.5
LEAST_SAVED = 0.1
"""A budget that cuts more of the thoughts, or saves less of their tokens, is no candidate."""
FEW_CUT = 0.02


@dataclass(frozen=True, slots=True)
class Samples:
    """What was sampled, question by question in the same order: paths with a thought of at most `budget` tokens, and
    paths without one (none at all where that was not sampled)."""

    thinking: Sequence[Item]
    direct: Sequence[Item]
    budget: int

    @property
    def n(self) -> int:
        return len(self.thinking)

    @property
    def cuts(self) -> bool:
        """Whether thoughts would often have gone on: then nothing is known of larger budgets."""
        thoughts = [path.thinking for item in self.thinking for path in item.paths]
        return sum(thought >= self.budget for thought in thoughts) > FEW_CUT * len(thoughts)

    def part(self, indices: Sequence[int]) -> Samples:
        """Some of the questions."""
        thinking, direct = ([items[i] for i in indices] if items else [] for items in (self.thinking, self.direct))
        return Samples(thinking, direct, self.budget)

    def items(self, spend: Spend) -> Sequence[Item]:
        """The paths as this budget would have left them."""
        if spend.budget == 0:
            return self.direct
        budget = self.budget if spend.budget < 0 else spend.budget
        return self.thinking if budget >= self.budget else [_cut(item, budget) for item in self.thinking]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting and what it made of every question."""

    spend: Spend
    outcomes: Sequence[Outcome]

    @property
    def rights(self) -> list[float]:
        return [o.is_right for o in self.outcomes]

    @property
    def right(self) -> float:
        return fmean(self.rights)

    @property
    def tokens(self) -> float:
        return fmean(o.tokens for o in self.outcomes)


def tried(samples: Samples, spend: Spend) -> Candidate:
    """That setting over these questions."""
    rule = spend.rule or VoteRule()
    return Candidate(spend, [replay(item, rule, spend.paths) for item in samples.items(spend)])


def candidates(samples: Samples, most: Spend) -> list[Candidate]:
    """All that the samples can tell about and that spend no more than `most`."""
    spends: list[Spend] = []
    for budget in _budgets(samples, most.budget):
        spends += _spends(budget, min(most.paths, n_paths_of(samples.thinking)))
    if samples.direct:
        spends += _spends(0, min(most.paths, n_paths_of(samples.direct)))
    return [tried(samples, spend) for spend in spends]


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other beats in being right and in cost, cheapest first; of equals the larger budget, which leaves
    room at no cost."""
    best: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (c.tokens, -c.right, -c.spend.budget)):
        if not best or candidate.right > best[-1].right:
            best.append(candidate)
    return best


def n_paths_of(items: Sequence[Item]) -> int:
    """How many paths every question has."""
    return min((len(item.paths) for item in items), default=0)


def _spends(budget: int, n_paths: int) -> list[Spend]:
    found: list[Spend] = []
    for size in (s for s in SIZES if s <= n_paths):
        fixed = replace(NEVER, wave=size)
        ways = [fixed] if size < 4 else [fixed, *rules(size).values()]
        found += [Spend(budget, size, way if size > 1 else None) for way in ways]
    return found


def _budgets(samples: Samples, most: int) -> list[int]:
    """The most there may be, and smaller budgets that are worth their risk: questions to come may be harder than those
    that were measured."""
    if not samples.thinking or most == 0:
        return []
    thoughts = [path.thinking for item in samples.thinking for path in item.paths]
    if samples.cuts:
        most = samples.budget if most < 0 else min(most, samples.budget)
    limit = samples.budget if most < 0 else min(most, samples.budget)
    total = sum(min(t, limit) for t in thoughts)
    smaller = [
        b
        for b in BUDGETS
        if b < limit
        and sum(t > b for t in thoughts) <= MOST_CUT * len(thoughts)
        and sum(min(t, b) for t in thoughts) <= (1 - LEAST_SAVED) * total
    ]
    return [*smaller, most]


def _cut(item: Item, budget: int) -> Item:
    paths = tuple(
        path
        if path.thinking <= budget
        else replace(path, label=None, is_right=False, tokens=path.tokens - path.thinking + budget, thinking=budget)
        for path in item.paths
    )
    return replace(item, paths=paths)
