"""How right the efforts are on questions that had no part in choosing what they spend.

The best of many settings looks better on the questions that chose it than it is. So every question is tried with what
the other four fifths choose, and the figures are of all questions together. What always holds: the setting that is
kept is chosen by all questions; each figure is of the way of choosing, with a fifth fewer questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from bethink.evals.candidates import Samples, tried
from bethink.evals.choosing import choose
from bethink.evals.simulate import Outcome
from bethink.evals.stats import accuracy
from bethink.thinking.calibration import Chosen, Share
from bethink.types import EFFORTS, Effort

FOLDS = 5
ENOUGH = 60
"""With fewer questions four fifths of them choose too differently from all of them."""


def held_out(samples: Samples, chosen: Mapping[Effort, Chosen]) -> dict[Effort, Chosen] | None:
    """The choices with figures that are not in-sample. None: the questions are too few for that."""
    if samples.n < ENOUGH:
        return None
    found: dict[Effort, list[Outcome]] = {name: [] for name in EFFORTS}
    for fold in range(FOLDS):
        inside = samples.part([i for i in range(samples.n) if i % FOLDS == fold])
        efforts = choose(samples.part([i for i in range(samples.n) if i % FOLDS != fold]))
        for name in EFFORTS:
            found[name] += tried(inside, efforts[name].spend).outcomes
    return {name: _with(chosen[name], found[name]) for name in EFFORTS}


def _with(chosen: Chosen, outcomes: list[Outcome]) -> Chosen:
    """Where nothing was sampled (no answers without a thought), what was said of it stands."""
    if not outcomes:
        return chosen
    right = accuracy([o.is_right for o in outcomes])
    return replace(chosen, right=Share(right.value, right.low, right.high), tokens=fmean(o.tokens for o in outcomes))
