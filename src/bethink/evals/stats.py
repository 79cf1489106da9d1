"""The statistics of a measurement: intervals, paired differences, pass@k, maj@k, power, calibration.

Questions are the unit: several seeds of one question are averaged first, so that they never pretend to be more
questions. Intervals are of 95 %. SciPy does the statistics and is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from random import Random
from typing import TYPE_CHECKING

from bethink.errors import ExtraMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_RESAMPLES = 9999
POWER = 7.84
"""(1.96 + 0.84)²: a two-sided test at 5 % that finds a real difference four times in five."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """`b - a` over `n` questions that both answered. `only_a` and `only_b` count questions that one alone got right and
    `p` is McNemar's exact test; both are None where several seeds make a question neither right nor wrong.
    `disagreement` is the mean square of a question's difference, `least` the smallest difference that so many questions
    can show."""

    n: int
    difference: Estimate
    only_a: int | None
    only_b: int | None
    p: float | None
    disagreement: float
    least: float


def need_scipy() -> None:
    """Raises: ExtraMissing. Cheap to call before a measurement begins."""
    from importlib.util import find_spec

    if find_spec("scipy") is None:
        raise ExtraMissing("statistics need scipy, which is not installed", "pip install 'bethink[eval]'")


def accuracy(rights: Sequence[float]) -> Estimate:
    """The share that is right. Wilson's interval where every question is right or wrong, else a bootstrap over
    questions."""
    if not rights:
        return Estimate(0.0, 0.0, 1.0)
    mean = sum(rights) / len(rights)
    if any(r not in (0, 1) for r in rights):
        return bootstrap(rights, (0.0, 1.0))
    need_scipy()
    from scipy import stats

    interval = stats.binomtest(round(sum(rights)), len(rights)).proportion_ci(method="wilson")
    return Estimate(mean, float(interval.low), float(interval.high))


def bootstrap(values: Sequence[float], bounds: tuple[float, float] = (-1.0, 1.0)) -> Estimate:
    """The mean, with a bootstrap interval (percentiles); the same values give the same interval.

    `bounds` are the least and the largest value there can be; they keep few values from being a finding.
    """
    need_scipy()
    import numpy as np
    from scipy import stats

    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if not len(array):
        return Estimate(0.0, *bounds)
    mean = low = high = float(array.mean())
    if not bool((array == array[0]).all()):
        rng = np.random.default_rng(0)
        found = stats.bootstrap(
            (array,), np.mean, n_resamples=N_RESAMPLES, method="percentile", batch=1000, rng=rng
        ).confidence_interval
        low, high = float(found.low), float(found.high)
    return _widened(mean, low, high, len(array), bounds)


def bootstrap_many(rows: Sequence[Sequence[float]], n_resamples: int = 2000) -> list[Estimate]:
    """`bootstrap` of many rows of the same questions at once, all over the same draws, with fewer of them."""
    import numpy as np

    array: NDArray[np.float64] = np.asarray(rows, dtype=np.float64)
    if not array.size:
        return [Estimate(0.0, -1.0, 1.0) for _ in rows]
    n = array.shape[1]
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=n_resamples) / n
    low, high = np.percentile(array @ drawn.T, [2.5, 97.5], axis=1)
    means = array.mean(axis=1)
    return [_widened(float(means[i]), float(low[i]), float(high[i]), n, (-1.0, 1.0)) for i in range(len(means))]


def _widened(mean: float, low: float, high: float, n: int, bounds: tuple[float, float]) -> Estimate:
    """A bootstrap knows only what it has seen, which in a few values, or in values that are all the same, is too
    little: the interval reaches at least as far as a kind of value that stayed unseen by chance could move the mean."""
    unseen = 1.0 - 0.025 ** (1 / n)
    return Estimate(mean, min(low, mean + unseen * (bounds[0] - mean)), max(high, mean + unseen * (bounds[1] - mean)))


def paired(a: Mapping[str, float], b: Mapping[str, float]) -> Difference | None:
    """How much better `b` is than `a`, over the questions that both have; None where they share none."""
    need_scipy()
    from scipy import stats

    names = [name for name in a if name in b]
    if not names:
        return None
    differences = [b[name] - a[name] for name in names]
    only_a = only_b = p = None
    if all(x[name] in (0, 1) for x in (a, b) for name in names):
        only_a, only_b = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
        p = float(stats.binomtest(only_b, only_a + only_b).pvalue) if only_a + only_b else 1.0
    disagreement = sum(d * d for d in differences) / len(names)
    least = least_difference(len(names), disagreement)
    return Difference(len(names), bootstrap(differences), only_a, only_b, p, disagreement, least)


def least_difference(n: int, disagreement: float) -> float:
    """The smallest difference that `n` pairs can show when a share `disagreement` of them disagrees: n = 7.84·d/Δ².

    One pair that disagrees is assumed where none was seen, because none may only mean too few.
    """
    return min(1.0, sqrt(POWER * max(disagreement, 1 / n) / n)) if n else 1.0


def pass_at_k(n: int, n_right: int, k: int) -> float:
    """The chance that one of `k` of these `n` samples is right, without bias. Source: arXiv 2107.03374, eq. 1."""
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {n} samples")
    return 1.0 - comb(n - n_right, k) / comb(n, k)


def maj_at_k(classes: Sequence[tuple[int, bool]], n_silent: int, k: int) -> float:
    """The chance that the vote of `k` of the samples is right, exactly, over all subsets of `k`.

    `classes` are the sizes of the classes of equal answers and whether each is right; `n_silent` samples gave no
    answer. Ties are broken evenly; a vote in which nobody answered is wrong.
    """
    n = n_silent + sum(size for size, _ in classes)
    if not 1 <= k <= n:
        raise ValueError(f"maj@{k} of {n} samples")
    won = 0.0
    for at, (size, is_right) in enumerate(classes):
        if is_right:
            others = [s for i, (s, _) in enumerate(classes) if i != at]
            won += sum(comb(size, v) * _ways(others, n_silent, k - v, v) for v in range(1, min(size, k) + 1))
    return won / comb(n, k)


def _ways(others: Sequence[int], n_silent: int, rest: int, votes: int) -> float:
    """How many ways the other classes fill `rest` places with no more than `votes` each; a way with t ties counts
    1/(t+1)."""
    ways: dict[tuple[int, int], int] = {(0, 0): 1}  # (places filled, ties) -> ways
    for size in others:
        found: dict[tuple[int, int], int] = {}
        for (filled, ties), n in ways.items():
            for taken in range(min(size, votes, rest - filled) + 1):
                key = filled + taken, ties + (taken == votes)
                found[key] = found.get(key, 0) + n * comb(size, taken)
        ways = found
    return sum(n * comb(n_silent, rest - filled) / (ties + 1) for (filled, ties), n in ways.items())


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose agreement lies in [low, high): how many, how sure on average, and how many are right."""

    low: float
    high: float
    n: int
    agreement: float
    right: Estimate


def reliability(pairs: Sequence[tuple[float, float]], n_bins: int = 5) -> tuple[list[Bin], float]:
    """(agreement, right) pairs in bins of equal width, and the expected calibration error."""
    bins: list[Bin] = []
    for at in range(n_bins):
        low, high = at / n_bins, (at + 1) / n_bins
        inside = [(a, r) for a, r in pairs if low <= a < high or (at == n_bins - 1 and a >= high)]
        if inside:
            mean = sum(a for a, _ in inside) / len(inside)
            bins.append(Bin(low, high, len(inside), mean, accuracy([r for _, r in inside])))
    return bins, _error(pairs, n_bins) if pairs else 0.0


def chance_error(probabilities: Sequence[float], n_draws: int = 500) -> float:
    """The calibration error that these probabilities would show in the mean if each were perfectly true."""
    draw = Random(0)
    drawn = ([(p, float(draw.random() < p)) for p in probabilities] for _ in range(n_draws))
    return sum(_error(pairs) for pairs in drawn) / n_draws if probabilities else 0.0


def _error(pairs: Sequence[tuple[float, float]], n_bins: int = 5) -> float:
    sums = [[0.0, 0.0] for _ in range(n_bins)]
    for said, right in pairs:
        inside = sums[min(n_bins - 1, int(said * n_bins))]
        inside[0] += said
        inside[1] += right
    return sum(abs(said - right) for said, right in sums) / len(pairs)


def coverage(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """(threshold, share answered, right among those) for every agreement that occurs, highest first."""
    found: list[tuple[float, float, float]] = []
    for threshold in sorted({a for a, _ in pairs}, reverse=True):
        kept = [r for a, r in pairs if a >= threshold]
        found.append((threshold, len(kept) / len(pairs), sum(kept) / len(kept)))
    return found
