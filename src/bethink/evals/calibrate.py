"""From samples to a calibration: what each effort spends, how likely votes are right, what a thought is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bethink.errors import UsageError
from bethink.evals.believing import Tried, believe, cross_validated, votes_of, voting
from bethink.evals.candidates import Samples
from bethink.evals.choosing import choose
from bethink.evals.holding_out import ENOUGH, held_out
from bethink.evals.mixture import LEAST
from bethink.evals.results import RESULTS
from bethink.evals.stats import bootstrap, reliability
from bethink.evals.surveying import read_samples
from bethink.evals.task import Task
from bethink.model import Model
from bethink.thinking.calibration import Calibration, Share, here
from bethink.trace import now_iso

SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class Findings:
    """A calibration with what it rests on. `tries` are the questions, each tried with what the others chose."""

    calibration: Calibration
    samples: Samples
    tries: Sequence[Tried]


def calibrate(folder: Path, task: Task, model: Model) -> Findings:
    """What the samples in the folder say of this model.

    Raises: UsageError: they are too few.
    """
    samples = read_samples(folder / SAMPLES) if (folder / SAMPLES / RESULTS).exists() else Samples((), (), 0)
    if samples.n < LEAST:
        hint = "run it again: it goes on from the samples that are there"
        raise UsageError(f"too few questions to choose by: {samples.n} of the {LEAST} that are needed", hint)
    efforts = choose(samples)
    votes = votes_of(samples, voting(efforts["auto"].spend, samples))
    tries = cross_validated(samples)
    error = reliability([(t.probability, t.is_right) for t in tries])[1]
    worth = _worth(samples)
    honest = held_out(samples, efforts)
    calibration = Calibration(
        model=model.ref.name,
        sha256=model.ref.sha256,
        engine=model.engine.info.name,
        form=model.form,
        machine=here(),
        made=now_iso(),
        source=task.source,
        n_questions=samples.n,
        efforts=honest or efforts,
        is_in_sample=honest is None,
        belief=believe(votes),
        error=error,
        thinking=worth,
        notes=(said_of_thinking(worth), *_limits(samples), *task.notes),
    )
    return Findings(calibration, samples, tries)


def _worth(samples: Samples) -> Share:
    """What a thought adds to a single answer, paired by question."""
    pairs = zip(samples.thinking, samples.direct, strict=True)
    found = bootstrap([float(a.paths[0].is_right) - float(b.paths[0].is_right) for a, b in pairs])
    return Share(found.value, found.low, found.high)


def _limits(samples: Samples) -> tuple[str, ...]:
    found: list[str] = []
    if samples.cuts:
        told = f"many thoughts were cut at {samples.budget:,} tokens, and nothing is known of longer ones"
        found.append(f"{told}; more --minutes with --force may tell")
    if samples.n < ENOUGH:
        found.append(f"from {ENOUGH} questions on the figures are of questions that chose nothing; --minutes adds some")
    return tuple(found)


def said_of_thinking(worth: Share) -> str:
    shown = f"{100 * worth.value:+.1f} points [{100 * worth.low:+.1f}, {100 * worth.high:+.1f}]"
    if worth.low > 0:
        return f"thinking first helps this model: {shown}"
    if worth.high < 0:
        return f"thinking first harms this model: {shown}"
    return f"thinking first is not shown to help this model: {shown}"
