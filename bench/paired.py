"""Two ways to answer the same questions: the difference with its interval, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Paired:
    """`b` against `a`: points of difference with a bootstrap interval of 95 %, the questions that only one of them has
    right, and the exact McNemar p."""

    difference: float
    low: float
    high: float
    only_a: int
    only_b: int
    p: float

    def __str__(self) -> str:
        return f"{self.difference:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


def paired(a: Sequence[bool], b: Sequence[bool]) -> Paired:
    """In the same order, at least one question."""
    left, right = np.array(a, dtype=bool), np.array(b, dtype=bool)
    only_a, only_b = int((left & ~right).sum()), int((right & ~left).sum())
    difference = right.astype(float) - left.astype(float)
    low = high = float(difference.mean())
    if difference.any() and len(difference) > 1 and difference.std():
        found = stats.bootstrap((difference,), np.mean, n_resamples=9999, rng=np.random.default_rng(0))
        low, high = found.confidence_interval
    p = stats.binomtest(only_b, only_a + only_b).pvalue if only_a + only_b else 1.0
    return Paired(100 * difference.mean(), 100 * low, 100 * high, only_a, only_b, float(p))
