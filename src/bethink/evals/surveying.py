"""Sampling for a calibration, within a time: every question with many paths that think, and a few that do not.

It is a measurement like any other (`ResultFolder`, `Runner`), so a kill costs what was running and nothing else, and
the next run goes on. What always holds: it ends in time, and a question that is cut off by the end leaves no trace in
the results. How many paths a question gets is settled at the first run, by how fast the model is here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bethink.errors import UsageError
from bethink.evals.answers import AnswerTask
from bethink.evals.arms import Arm, parse_arms
from bethink.evals.asking import Asker, seed_of
from bethink.evals.candidates import Samples
from bethink.evals.load import Load
from bethink.evals.measure import Order, settings_of
from bethink.evals.results import SETTINGS, Line, ResultFolder, read_results, read_settings, refuse_other
from bethink.evals.runner import PARALLEL, Runner, units
from bethink.evals.simulate import Item, Sampled, paths_of
from bethink.model import Model
from bethink.thinking.effort import efforts
from bethink.verify.math import warm_up

N_PATHS = (16, 8, 4)
DIRECT_SHARE = 4
"""One path in so many answers without a thought."""
ENOUGH = 60
"""So many questions should fit into the time; if not, they get fewer paths."""


@dataclass(frozen=True, slots=True)
class Survey:
    """`n_paths` None: what the folder has, else what fits into `seconds`."""

    task: AnswerTask
    model: Model
    folder: Path
    seconds: float
    n_paths: int | None = None
    parallel: int = PARALLEL

    def run(self, on_start: Callable[[Sequence[Line]], None], on_line: Callable[[Line], None]) -> None:
        """Raises: UsageError (the folder holds samples of other questions), EngineClosed."""
        ends_at = time.monotonic() + self.seconds
        model = self.model
        kept = model.traces, model.calibration
        model.traces = model.calibration = None
        try:
            warm_up()
            arms = arms_of(self._settled_paths())
            order = Order(arms, parallel=self.parallel)
            settings = settings_of(self.task, order, model)
            self._refuse_others(settings)
            with ResultFolder.open(self.folder, settings) as folder:
                on_start(folder.lines)
                asyncio.run(self._sample(folder, order, ends_at, on_line))
        finally:
            model.traces, model.calibration = kept

    def _refuse_others(self, settings: Mapping[str, Any]) -> None:
        if (self.folder / SETTINGS).exists():
            try:
                refuse_other(self.folder, read_settings(self.folder), settings)
            except UsageError as error:
                raise UsageError(str(error), "give --force to begin afresh, or the same questions to go on") from None

    def _settled_paths(self) -> int:
        if (self.folder / SETTINGS).exists():
            there = n_paths_of(self.folder)
            if self.n_paths not in (None, there):
                hint = "leave --paths out to go on, or give --force to begin afresh"
                raise UsageError(f"the samples so far have {there} paths a question, not {self.n_paths}", hint)
            return there
        return self.n_paths or asyncio.run(self._pilot())

    async def _pilot(self) -> int:
        """The most paths with which enough questions fit into the time, judged by one question."""
        arm, question = arms_of(N_PATHS[0])[0], self.task.example(0).question
        asker = Asker(self.model, Load(self.parallel, time.monotonic), self.task.compares)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds / 8):
                await asker.ask(arm, question, seed_of(0, "pilot"))
        except TimeoutError:
            return N_PATHS[-1]
        needed_s = (time.monotonic() - began) * (1 + 1 / DIRECT_SHARE)
        fits = [n for n in N_PATHS if self.seconds >= ENOUGH * needed_s * n / N_PATHS[0]]
        return fits[0] if fits else N_PATHS[-1]

    async def _sample(
        self, folder: ResultFolder, order: Order, ends_at: float, on_line: Callable[[Line], None]
    ) -> None:
        latencies: list[float] = []

        def heard(line: Line) -> None:
            latencies.append(line.latency_s)
            on_line(line)

        def may_start() -> bool:
            return time.monotonic() + (fmean(latencies) if latencies else 0.0) < ends_at

        n_paths = sum(arm.paths or 1 for arm in order.arms) / len(order.arms)
        n_open = 2 + int(1.5 * self.parallel / n_paths)
        runner = Runner(self.task, self.model, folder, None, self.parallel, heard, n_open)
        todo = units(self.task, order.arms, order.indices(self.task), order.seeds)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + ends_at - time.monotonic()):
                await runner.run(todo, may_start)
        except TimeoutError:
            return


def arms_of(n_paths: int) -> tuple[Arm, ...]:
    """With a thought, and without."""
    budget = efforts()["auto-comparable"].budget
    return parse_arms(f"fixed:{n_paths}+budget:{budget}, fixed:{max(1, n_paths // DIRECT_SHARE)}+budget:0")


def n_paths_of(folder: Path) -> int:
    """How many paths a question got in these samples. Raises: UsageError."""
    names = read_settings(folder).get("arms")
    for n_paths in range(1, 257):
        if [arm.name for arm in arms_of(n_paths)] == names:
            return n_paths
    raise UsageError(f"{folder} holds no samples of a calibration", "give --force to begin afresh")


def read_samples(folder: Path) -> Samples:
    """The questions that were asked in both ways. Raises: UsageError."""
    thinks, direct = arms_of(n_paths_of(folder))
    by_arm: dict[str, dict[str, Line]] = {thinks.name: {}, direct.name: {}}
    for line in sorted(read_results(folder), key=lambda line: line.index):
        by_arm.setdefault(line.arm, {})[line.id] = line
    both = [name for name in by_arm[thinks.name] if name in by_arm[direct.name]]
    items = ([_item(by_arm[arm.name][name], arm.paths or 1) for name in both] for arm in (thinks, direct))
    thinking, short = items
    return Samples(thinking, short, thinks.budget or 0)


def _item(line: Line, n_paths: int) -> Item:
    """A question that failed is one that no path answered."""
    if line.error is not None:
        return Item(line.id, (Sampled(None, False, line.tokens),) * n_paths)
    return Item(line.id, paths_of(line))
