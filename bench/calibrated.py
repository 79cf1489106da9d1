"""Does a calibration hold on questions that it never saw? One half of kept samples calibrates, the other half tests.

    python bench/voting.py sample --model qwen2.5-coder:0.5b --n 300 --out votes-0.5b     # hours; survives a kill
    python bench/calibrated.py votes-0.5b

Prints all fixed settings with intervals, and beside them `auto` as calibrated on the other half; how honest the
probabilities are (expected calibration error, beside what chance alone would show); and how right the answers are when
only the surer ones are given. Then the same with the halves exchanged, and both together: every question tested once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from table import show

from bethink.evals.arms import NEVER
from bethink.evals.believing import Tried, believe, try_on, votes_of
from bethink.evals.candidates import Candidate, Samples, front, tried
from bethink.evals.choosing import auto
from bethink.evals.simulate import read_kept
from bethink.evals.stats import Estimate, accuracy, bootstrap, chance_error, coverage, reliability
from bethink.thinking.spend import Spend

BUDGET = 1024


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the questions made of what the other half chose."""

    fixed: Sequence[Candidate]
    auto: Candidate
    tries: Sequence[Tried]


def halves(samples: Samples) -> tuple[Samples, Samples]:
    """The first half of the questions and the second."""
    middle = samples.n // 2
    return samples.part(range(middle)), samples.part(range(middle, samples.n))


def test(chooses: Samples, tests: Samples) -> Half:
    spend = auto(chooses).candidate.spend
    belief = believe(votes_of(chooses, spend))
    sizes = range(1, len(tests.thinking[0].paths) + 1)
    fixed = [tried(tests, Spend(BUDGET, k, replace(NEVER, wave=k))) for k in sizes]
    return Half(fixed, tried(tests, spend), try_on(tests, spend, belief))


def both(a: Half, b: Half) -> Half:
    def joined(x: Candidate, y: Candidate) -> Candidate:
        return Candidate(x.spend, [*x.outcomes, *y.outcomes])

    fixed = [joined(x, y) for x, y in zip(a.fixed, b.fixed, strict=True)]
    return Half(fixed, joined(a.auto, b.auto), [*a.tries, *b.tries])


def told(found: Estimate, *, signed: bool = False) -> str:
    form = "+.1f" if signed else ".1f"
    return f"{100 * found.value:{form}} [{100 * found.low:{form}}, {100 * found.high:{form}}]"


def at_cost(fixed: Sequence[Candidate], tokens: float) -> list[float]:
    """Question by question the best fixed setting of no more tokens, between two on the front their mixture."""
    best = front(fixed)
    below = max((c for c in best if c.tokens <= tokens), key=lambda c: c.tokens, default=best[0])
    above = min((c for c in best if c.tokens > tokens), key=lambda c: c.tokens, default=below)
    share = (tokens - below.tokens) / (above.tokens - below.tokens) if above is not below else 0.0
    share = min(1.0, max(0.0, share))
    return [(1 - share) * x + share * y for x, y in zip(below.rights, above.rights, strict=True)]


def report(name: str, half: Half) -> None:
    best = front(half.fixed)
    rows: list[list[object]] = [
        [f"fixed {c.spend.paths}" + (" *" if c in best else ""), told(accuracy(c.rights)), f"{c.tokens:.0f}", ""]
        for c in half.fixed
    ]
    gains = [a - b for a, b in zip(half.auto.rights, at_cost(half.fixed, half.auto.tokens), strict=True)]
    against = told(bootstrap(gains), signed=True)
    spend = half.auto.spend
    auto_name = f"**auto, calibrated** ({spend.paths} path{'s' if spend.paths > 1 else ''})"
    rows.append([auto_name, told(accuracy(half.auto.rights)), f"{half.auto.tokens:.0f}", against])
    n = len(half.tries)
    show(
        f"{name}: {n} questions (* on the front of fixed settings)",
        ["setting", "right, %", "tokens", "against the front at its cost, points"],
        rows,
    )
    bins, error = reliability([(t.probability, t.is_right) for t in half.tries])
    shown = [[f"{b.low:.1f}–{b.high:.1f}", b.n, f"{b.agreement:.2f}", told(b.right)] for b in bins]
    show(f"{name}: probabilities", ["probability", "answers", "mean", "right, %"], shown)
    raw = reliability([(t.agreement, t.is_right) for t in half.tries])[1]
    print(f"expected calibration error {error:.3f}; agreement taken for a probability: {raw:.3f}")
    chance = chance_error([t.probability for t in half.tries])
    print(f"probabilities that are perfectly true would show {chance:.3f} on so few questions")
    steps = coverage([(t.probability, t.is_right) for t in half.tries])
    wanted = [next((s for s in steps if s[1] >= share), steps[-1]) for share in (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)]
    answered = [[f"{100 * c:.0f} %", f"{p:.2f}", f"{100 * r:.1f} %"] for p, c, r in dict.fromkeys(wanted)]
    show(f"{name}: answering only what is sure", ["answered", "probability from", "right among them"], answered)
    for sure in (0.5, 0.8, 0.9):
        kept = [t.is_right for t in half.tries if t.probability >= sure]
        right = f"{100 * fmean(kept):.0f} % of {len(kept)} right" if kept else "none"
        print(f"sure from {sure}: {right}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    given = parser.parse_args()
    for name, items in read_kept(given.results).items.items():
        first, second = halves(Samples(items, [], BUDGET))
        forth, back = test(first, second), test(second, first)
        print(f"{name}, {len(items)} questions")
        report("first half chooses, second tests", forth)
        report("second half chooses, first tests", back)
        report("every question tested once", both(forth, back))


if __name__ == "__main__":
    main()
