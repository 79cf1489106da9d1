"""From votes to probabilities: how often the answer of so many agreeing paths is right.

Every question votes with 2, 4, 8, … of its paths, as often as it has as many others; each number of paths has a curve
of its own, in which a question counts once. Votes of equal agreement make one class; isotonic regression joins classes
until their shares of right answers rise, and a Beta prior draws each of those a little towards the mean. What is
reported is cross-validated: setting and belief are chosen on four fifths of the questions and tried on the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product

from bethink.evals.arms import NEVER
from bethink.evals.candidates import SIZES, Samples, n_paths_of, tried
from bethink.evals.choosing import auto
from bethink.evals.holding_out import FOLDS
from bethink.evals.simulate import replay
from bethink.evals.stats import need_scipy
from bethink.thinking.belief import Belief, Curve, Knots
from bethink.thinking.spend import Spend

PRIOR = 1.0
"""A class counts as so many questions more, of the mean kind."""


@dataclass(frozen=True, slots=True)
class Vote:
    """`first` of `n` paths agreed on an answer; `weight` in questions."""

    first: int
    n: int
    is_right: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One question that had no part in the choice it was tried with."""

    probability: float
    agreement: float
    is_right: float
    tokens: float


@dataclass(frozen=True, slots=True)
class _Class:
    """Votes of one agreement, or of neighbouring ones: mean agreement, share of right answers, and how many."""

    agreement: float
    share: float
    weight: float


def believe(votes: Sequence[Vote]) -> Belief:
    """The belief that fits these votes, of which there is one at least."""
    sizes = sorted({vote.n for vote in votes})
    return Belief(tuple(Curve(n, _knots([vote for vote in votes if vote.n == n])) for n in sizes))


def _knots(votes: Sequence[Vote]) -> Knots:
    equal = [[v for v in votes if v.first == first] for first in sorted({v.first for v in votes})]
    classes = [_joined([_Class(v.first / v.n, v.is_right, v.weight) for v in group]) for group in equal]
    base = (sum(v.weight * v.is_right for v in votes) + 0.5) / (sum(v.weight for v in votes) + 1)
    drawn = [
        _Class(c.agreement, (c.weight * c.share + PRIOR * base) / (c.weight + PRIOR), c.weight + PRIOR)
        for c in _risen(classes)
    ]
    risen = _risen(drawn)
    shares = accumulate((c.share for c in risen), max)  # what was computed anew may differ in its last digit
    return tuple((c.agreement, share) for c, share in zip(risen, shares, strict=True))


def _risen(classes: Sequence[_Class]) -> list[_Class]:
    """Isotonic regression: classes whose shares fall are joined."""
    need_scipy()
    from scipy.optimize import isotonic_regression

    fitted = isotonic_regression([c.share for c in classes], weights=[c.weight for c in classes])
    bounds = [int(at) for at in fitted.blocks]
    return [_joined(classes[start:end]) for start, end in pairwise(bounds)]


def _joined(classes: Sequence[_Class]) -> _Class:
    weight = sum(c.weight for c in classes)
    return _Class(
        sum(c.weight * c.agreement for c in classes) / weight, sum(c.weight * c.share for c in classes) / weight, weight
    )


def votes_of(samples: Samples, spend: Spend) -> list[Vote]:
    """The votes of these questions with the thought of that setting, whatever its number of paths."""
    items = samples.items(spend)
    n_paths = n_paths_of(items)
    found: list[Vote] = []
    for size in (s for s in SIZES if 2 <= s <= n_paths):
        starts = range(0, n_paths - size + 1, size)
        for item, start in product(items, starts):
            voted = replay(replace(item, paths=item.paths[start : start + size]), replace(NEVER, wave=size), size)
            found.append(Vote(voted.n_agree, size, voted.is_right, 1 / len(starts)))
    return found


def voting(chosen: Spend, samples: Samples) -> Spend:
    """The setting whose votes are judged: the chosen one, or, where that is one path, all that think."""
    if chosen.paths > 1:
        return chosen
    n_paths = n_paths_of(samples.thinking)
    return Spend(samples.budget, n_paths, replace(NEVER, wave=max(1, n_paths)))


def cross_validated(samples: Samples) -> list[Tried]:
    """Every question, tried with what the others chose. Empty where nothing votes."""
    found: list[Tried] = []
    for fold in range(FOLDS):
        inside = [i for i in range(samples.n) if i % FOLDS == fold]
        others = samples.part([i for i in range(samples.n) if i % FOLDS != fold])
        if inside and others.n:
            chosen = auto(others).candidate.spend
            votes = votes_of(others, voting(chosen, others))
            found += try_on(samples.part(inside), chosen, believe(votes)) if votes else []
    return found


def try_on(samples: Samples, chosen: Spend, belief: Belief) -> list[Tried]:
    """These questions with that setting and that belief."""
    return [
        Tried(belief.probability(o.n_agree, o.n_paths), o.n_agree / o.n_paths, o.is_right, o.tokens)
        for o in tried(samples, voting(chosen, samples)).outcomes
    ]
