"""`Belief`: how likely an answer is right on which so many of so many paths agree, as a calibration found it.

What always holds: a probability lies strictly between 0 and 1, and does not fall when more of as many paths agree.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import log

Knots = tuple[tuple[float, float], ...]
"""(agreement, probability), the agreement rising and the probability never falling."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Votes of `n` paths. Between two knots lies a line; before the first and after the last holds what those say."""

    n: int
    knots: Knots

    def __post_init__(self) -> None:
        if self.n < 2 or not self.knots:
            raise ValueError("a curve needs two paths and a knot")
        if not all(0 <= a <= 1 and 0 < p < 1 for a, p in self.knots):
            raise ValueError("a knot of a curve is not between 0 and 1")
        if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(self.knots)):
            raise ValueError("the knots of a curve do not rise")

    def at(self, agreement: float) -> float:
        after = bisect_right(self.knots, agreement, key=lambda knot: knot[0])
        if after in (0, len(self.knots)):
            return self.knots[max(0, after - 1)][1]
        (a0, p0), (a1, p1) = self.knots[after - 1], self.knots[after]
        return min(p1, p0 + (p1 - p0) * (agreement - a0) / (a1 - a0))


@dataclass(frozen=True, slots=True)
class Belief:
    """A curve for each number of paths that was measured, fewest first."""

    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        if not self.curves or any(a.n >= b.n for a, b in pairwise(self.curves)):
            raise ValueError("a belief needs curves of rising numbers of paths")

    def probability(self, first: int, n: int) -> float:
        """That the answer of `first` of `n` paths is right; between two curves as the logarithm of `n` lies."""
        agreement = first / n
        after = bisect_right(self.curves, n, key=lambda curve: curve.n)
        if after in (0, len(self.curves)):
            return self.curves[max(0, after - 1)].at(agreement)
        below, above = self.curves[after - 1], self.curves[after]
        share = log(n / below.n) / log(above.n / below.n)
        return (1 - share) * below.at(agreement) + share * above.at(agreement)
