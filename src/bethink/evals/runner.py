"""The runner: every question in every arm, as many at once as the engine takes, each recorded when it is done.

What always holds: a line is written as soon as its answer is judged, so a kill costs what was running and nothing else;
what is in the folder already is not asked again; a question that raises is recorded as a failure and counts as one.
When the engine itself is gone for good, what ran has failed, nothing more is started and the error is raised; the next
run goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from bethink.errors import BethinkError, EngineClosed
from bethink.evals.arms import Arm
from bethink.evals.asking import Asked, Asker, seed_of
from bethink.evals.load import Load, NotStarted
from bethink.evals.results import Line, PathLine, ResultFolder
from bethink.evals.task import Example, Output, Task
from bethink.model import Model
from bethink.types import PathResult, Verdict

PARALLEL = 32


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to do: a question in one arm with one seed of the run."""

    index: int
    example: Example
    arm: Arm
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.example.id, self.arm.name, self.seed

    def unanswered(self, latency_s: float, why: str) -> Line:
        """The line of this unit before anything is known of its answer."""
        example = self.example
        return Line(
            id=example.id,
            index=self.index,
            arm=self.arm.name,
            seed=self.seed,
            question=example.question,
            gold=example.gold,
            why=why,
            latency_s=round(latency_s, 4),
        )


def units(task: Task, arms: Sequence[Arm], indices: range, seeds: Sequence[int]) -> Iterator[Unit]:
    """All there is to do, question by question, so that what is done at any time is paired. Greedy arms take the first
    seed only."""
    for index in indices:
        example = task.example(index)
        for at, seed in enumerate(seeds):
            for arm in arms:
                if at == 0 or not arm.is_greedy:
                    yield Unit(index, example, arm, seed)


@dataclass(slots=True)
class Runner:
    """`parallel` is how many paths think at once, `n_open` how many units are begun before others are done (None: so
    many that the engine is never idle). `on_line` hears of every new line, in the order of the file."""

    task: Task
    model: Model
    folder: ResultFolder
    max_tokens: int | None = None
    parallel: int = PARALLEL
    on_line: Callable[[Line], None] = lambda _: None
    n_open: int | None = None
    _lost: EngineClosed | None = field(default=None)

    async def run(self, todo: Iterable[Unit], may_start: Callable[[], bool] = lambda: True) -> None:
        """Do what is not done yet, until `may_start` says that nothing more is begun.

        Raises: EngineClosed (everything done is kept).
        """
        done = {line.key for line in self.folder.lines}
        load = Load(self.parallel, time.monotonic)
        asker = Asker(self.model, load, self.task.compares, self.max_tokens)
        # Units beyond those that run wait here and not in the load, so that a thousand of them cost nothing.
        gate = asyncio.Semaphore(self.n_open or self.parallel + max(4, self.parallel // 4))
        async with asyncio.TaskGroup() as group:
            for unit in todo:
                if unit.key in done:
                    continue
                await gate.acquire()
                if self._lost is not None or not may_start():
                    break
                task = group.create_task(self._one(asker, unit))
                task.add_done_callback(lambda _: gate.release())
        if self._lost is not None:
            raise self._lost

    async def _one(self, asker: Asker, unit: Unit) -> None:
        began = time.monotonic()
        try:
            asked = await asker.ask(unit.arm, unit.example.question, seed_of(unit.seed, unit.example.id))
            line = await asyncio.to_thread(self._judged, unit, asked)
        except Exception as error:  # noqa: BLE001 - the one boundary: a question that fails is a failure on record
            cause = _sole_cause(error)
            if isinstance(cause, NotStarted):
                return
            if isinstance(cause, EngineClosed):
                self._lost = cause
                asker.load.stop()
            line = _failed(unit, cause, time.monotonic() - began)
        self.folder.append(line)
        self.on_line(line)

    def _judged(self, unit: Unit, asked: Asked) -> Line:
        judging = _Judging(self.task, unit.example)
        strict = self.task.extract(unit.example, asked.output, strict=True)
        lenient = self.task.extract(unit.example, asked.output, strict=False)
        verdict = judging.verdict(lenient)
        return replace(
            unit.unanswered(asked.latency_s, verdict.why),
            answer=asked.output.answer,
            thinking=asked.output.thinking,
            strict_extracted=strict,
            extracted=lenient,
            strict=judging.verdict(strict).passed,
            lenient=verdict.passed,
            tokens=asked.usage.completion_tokens,
            thinking_tokens=asked.usage.thinking_tokens,
            prompt_tokens=asked.usage.prompt_tokens,
            seconds=round(asked.seconds, 4),
            closed_by=asked.closed_by,
            finish=asked.finish,
            agreement=asked.agreement,
            traces=asked.traces if self.model.traces else (),
            paths=tuple(judging.path(p, asked.output.lead) for p in asked.paths) if len(asked.paths) > 1 else (),
        )


@dataclass(slots=True)
class _Judging:
    """The verdicts of one question: what several paths wrote alike is judged once."""

    task: Task
    example: Example
    _known: dict[str | None, Verdict] = field(default_factory=dict[str | None, Verdict])

    def verdict(self, extracted: str | None) -> Verdict:
        if extracted not in self._known:
            self._known[extracted] = self.task.judge(self.example, extracted)
        return self._known[extracted]

    def path(self, path: PathResult, lead: str) -> PathLine:
        extracted = None
        if path.kind == "program":
            extracted = path.extracted  # what stands in a program that did not run is no answer
        elif not path.is_cancelled:
            output = Output(path.answer, path.thinking, lead)
            extracted = self.task.extract(self.example, output, strict=False)
        return PathLine(
            answer=path.answer,
            thinking=path.thinking,
            extracted=extracted,
            right=None if path.is_cancelled else self.verdict(extracted).passed,
            tokens=path.usage.completion_tokens,
            thinking_tokens=path.usage.thinking_tokens,
            closed_by=path.closed_by,
            is_cancelled=path.is_cancelled,
            mean_logprob=path.mean_logprob,
        )


def _sole_cause(error: Exception) -> Exception:
    """The error that counts inside task groups: the first, and one that says the question was never asked last."""
    if not isinstance(error, ExceptionGroup):
        return error
    inner = [_sole_cause(e) for e in cast("ExceptionGroup[Exception]", error).exceptions]
    return next((e for e in inner if not isinstance(e, NotStarted)), inner[0])


def _failed(unit: Unit, error: Exception, latency_s: float) -> Line:
    """A failure is an answer that is wrong in every respect."""
    name = error.code if isinstance(error, BethinkError) else type(error).__name__
    return replace(unit.unanswered(latency_s, "there is no answer"), error=f"{name}: {error}")
