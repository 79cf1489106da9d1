"""What each effort spends: chosen among the candidates so that more effort is never less right.

What always holds: an effort is at least as right as the next cheaper one on the measured questions, `high` also as
`auto`, and dearer only where it is shown to be better: the 95 % interval of the difference, paired by question, lies
above nothing. Where it is not, it spends what the cheaper one spends, and says so. `auto` alone goes by what is likely
and not by what is shown: a vote is evidence, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from bethink.evals.candidates import Candidate, Samples, candidates, front, tried
from bethink.evals.stats import Estimate, accuracy, bootstrap_many
from bethink.thinking.calibration import Chosen, Share
from bethink.thinking.effort import efforts
from bethink.types import Effort

LADDER: tuple[Effort, ...] = ("low", "medium", "high", "max")
GAIN_PER_DOUBLING = 0.02
"""`auto` goes on as long as twice the tokens make two more of a hundred answers right."""


@dataclass(frozen=True, slots=True)
class Step:
    """One choice: the candidate, and why it is that one."""

    candidate: Candidate
    why: str


def choose(samples: Samples) -> dict[Effort, Chosen]:
    """The choice for every effort. There is one question at least, with a thought."""
    direct = tried(samples, efforts()["none"]) if samples.direct else None
    usual = auto(samples)
    chosen: dict[Effort, Chosen] = {"none": _none(direct), "auto": _chosen(usual)}
    step = Step(direct or min(candidates(samples, efforts()["low"]), key=lambda c: c.tokens), "")
    name: Effort = "none"
    for effort in LADDER:
        if effort == "high" and usual.candidate.right > step.candidate.right:
            step, name = usual, "auto"
        step = _step(step.candidate, candidates(samples, efforts()[effort]), name)
        chosen[effort] = _chosen(step)
        name = effort
    return chosen


def auto(samples: Samples) -> Step:
    """Where the front becomes too flat to be climbed further."""
    found = front(candidates(samples, efforts()["auto-comparable"]))
    best = max(found, key=lambda c: c.right - GAIN_PER_DOUBLING * log2(max(c.tokens, 1.0)))
    return Step(best, f"beyond it twice the tokens bring fewer than {100 * GAIN_PER_DOUBLING:.0f} points")


def _none(direct: Candidate | None) -> Chosen:
    if direct is None:
        return Chosen(efforts()["none"], Share(0.0, 0.0, 1.0), 0.0, "not measured")
    return _chosen(Step(direct, "it answers without a thought"))


def _step(before: Candidate, within: Sequence[Candidate], name: str) -> Step:
    """From the next cheaper effort's candidate to this one's."""
    cheap = max((c for c in within if c.tokens <= before.tokens), key=lambda c: (c.right, -c.tokens), default=before)
    cheap = before if before.right >= cheap.right else cheap
    base = name if cheap is before else f"the best that costs no more than {name}"
    dearer = [c for c in front(within) if c.tokens > cheap.tokens and c.right > cheap.right]
    gains = bootstrap_many([_gains(c, cheap) for c in dearer])
    better = [(c, gain) for c, gain in zip(dearer, gains, strict=True) if gain.low > 0]
    if better:
        best, gain = max(better, key=lambda pair: pair[0].right)
        return Step(
            best, f"{_points(gain)} against {base}, for {best.tokens / max(cheap.tokens, 1.0):.1f} times the tokens"
        )
    if cheap is not before:
        return Step(cheap, f"at least as right as {name}, for fewer tokens")
    if not dearer:
        return Step(cheap, f"nothing dearer is right more often: it spends what {name} spends")
    told = f"{_points(gains[-1])} for {dearer[-1].tokens / max(cheap.tokens, 1.0):.1f} times the tokens"
    return Step(cheap, f"nothing dearer is shown to be better ({told}): it spends what {name} spends")


def _gains(a: Candidate, b: Candidate) -> list[float]:
    return [x - y for x, y in zip(a.rights, b.rights, strict=True)]


def _points(gain: Estimate) -> str:
    return f"{100 * gain.value:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _chosen(step: Step) -> Chosen:
    right = accuracy(step.candidate.rights)
    return Chosen(step.candidate.spend, Share(right.value, right.low, right.high), step.candidate.tokens, step.why)
