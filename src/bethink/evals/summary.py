"""The summary of a measurement: for each arm its accuracy, cost and failures, and every pair of arms compared.

A question without an answer (an error, or a verdict of "unsure") is not right and stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from bethink.evals.results import Line
from bethink.evals.stats import Bin, Difference, Estimate, accuracy, coverage, maj_at_k, paired, pass_at_k, reliability
from bethink.verify.math import classes

KS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm. `n` counts questions, `n_answers` lines (seeds included). `tokens`, `seconds` and `latency_s` are means
    a question; `any_at` and `majority_at` are pass@k and maj@k by k, where every path ran to its end."""

    name: str
    n: int
    n_answers: int
    strict: Estimate
    lenient: Estimate
    tokens: float
    seconds: float
    latency_s: float
    n_errors: int
    n_unsure: int
    closed_by: Mapping[str, int]
    any_at: Mapping[int, float]
    majority_at: Mapping[int, float]
    bins: Sequence[Bin] = ()
    calibration_error: float | None = None
    coverage: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """`b` against `a`."""

    a: str
    b: str
    strict: Difference
    lenient: Difference


@dataclass(frozen=True, slots=True)
class Summary:
    settings: Mapping[str, Any]
    arms: Sequence[ArmSummary]
    comparisons: Sequence[Comparison]

    def record(self) -> dict[str, Any]:
        """What summary.json holds."""
        return {
            "settings": dict(self.settings),
            "arms": {arm.name: asdict(arm) for arm in self.arms},
            "comparisons": [asdict(c) for c in self.comparisons],
            "power": power_lines(self.comparisons),
        }


def summarise(lines: Sequence[Line], settings: Mapping[str, Any]) -> Summary:
    """Every arm in the order of the settings; every other arm against the first, and neighbours."""
    names = [str(name) for name in settings.get("arms", ())]
    by_arm: dict[str, list[Line]] = {name: [] for name in names}
    for line in lines:
        by_arm.setdefault(line.arm, []).append(line)
    by_arm = {name: found for name, found in by_arm.items() if found}
    pairs = [(a, b) for at, a in enumerate(by_arm) for b in list(by_arm)[at + 1 :]]
    comparisons = [c for a, b in pairs if (c := compare(a, by_arm[a], b, by_arm[b]))]
    can_vote = settings.get("compares") != "none"
    return Summary(settings, [_arm(name, found, can_vote) for name, found in by_arm.items()], comparisons)


def by_question(lines: Sequence[Line], *, strict: bool) -> dict[str, float]:
    """The share of right answers of every question."""
    found: dict[str, list[float]] = {}
    for line in lines:
        found.setdefault(line.id, []).append(float((line.strict if strict else line.lenient) is True))
    return {name: fmean(rights) for name, rights in found.items()}


def compare(a: str, lines_a: Sequence[Line], b: str, lines_b: Sequence[Line]) -> Comparison | None:
    strict, lenient = (paired(by_question(lines_a, strict=s), by_question(lines_b, strict=s)) for s in (True, False))
    return Comparison(a, b, strict, lenient) if strict and lenient else None


def power_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """What so many questions cannot show, said where it is true: for pairs whose interval holds no difference."""
    found: dict[tuple[int, int], list[str]] = {}
    for c in comparisons:
        d = c.lenient
        if d.difference.low <= 0 <= d.difference.high:
            found.setdefault((d.n, round(100 * d.least)), []).append(f"{c.a} and {c.b}")
    return [
        f"these {n} questions cannot show a difference under {points} points ({'; '.join(pairs)})"
        for (n, points), pairs in sorted(found.items())
    ]


def _arm(name: str, lines: Sequence[Line], can_vote: bool) -> ArmSummary:
    lenient = by_question(lines, strict=False)
    pairs = [(line.agreement, float(line.lenient is True)) for line in lines if line.agreement is not None]
    bins, error = reliability(pairs)
    any_at, majority_at = at_k(lines, can_vote=can_vote)
    closed: dict[str, int] = {}
    for line in lines:
        closed[line.closed_by or "error"] = closed.get(line.closed_by or "error", 0) + 1
    return ArmSummary(
        name=name,
        n=len(lenient),
        n_answers=len(lines),
        strict=accuracy(list(by_question(lines, strict=True).values())),
        lenient=accuracy(list(lenient.values())),
        tokens=fmean(line.tokens for line in lines),
        seconds=fmean(line.seconds for line in lines),
        latency_s=fmean(line.latency_s for line in lines),
        n_errors=sum(line.error is not None for line in lines),
        n_unsure=sum(line.lenient is None for line in lines),
        closed_by=closed,
        any_at=any_at,
        majority_at=majority_at,
        bins=bins,
        calibration_error=error if pairs else None,
        coverage=coverage(pairs),
    )


def at_k(lines: Sequence[Line], *, can_vote: bool = True) -> tuple[dict[int, float], dict[int, float]]:
    """pass@k and maj@k, over the paths of each question, or over its seeds; only where all have as many and none was
    cancelled (a cancelled path would have been like those that did not agree)."""
    samples = _samples(lines)
    sizes = {len(s) for s in samples}
    if len(sizes) != 1 or (n := sizes.pop()) < 2:
        return {}, {}
    ks = [k for k in KS if k <= n]
    n_right = [sum(right for _, right in s) for s in samples]
    any_at = {k: fmean(pass_at_k(n, right, k) for right in n_right) for k in ks}
    if not can_vote:
        return any_at, {}
    votes = [_classes(s) for s in samples]
    majority_at = {k: fmean(maj_at_k(found, silent, k) for found, silent in votes) for k in ks}
    return any_at, majority_at


def _samples(lines: Sequence[Line]) -> list[list[tuple[str | None, bool]]]:
    """(answer, right) of every sample, by question."""
    if any(p.is_cancelled for line in lines for p in line.paths):
        return []
    found: dict[str, list[tuple[str | None, bool]]] = {}
    for line in lines:
        own = [(p.extracted, p.right is True) for p in line.paths] or [(line.extracted, line.lenient is True)]
        found.setdefault(line.id, []).extend(own)
    return list(found.values())


def _classes(samples: Sequence[tuple[str | None, bool]]) -> tuple[list[tuple[int, bool]], int]:
    given = [(answer, right) for answer, right in samples if answer is not None]
    groups = classes([answer for answer, _ in given])
    return [(len(g), given[g[0]][1]) for g in groups], len(samples) - len(given)
