"""Sampling for a calibration, within a time: every question with many paths that think, and a few that do not.

It is a measurement like any other (`ResultFolder`, `Runner`), so a kill costs what was running and nothing else, and
the next run goes on. What always holds: it ends in time, and a question that is cut off by the end leaves no trace in
the results. How many paths a question gets, and how long they may think, is settled at the first run
by how fast the model is here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from bethink.errors import UsageError
from bethink.evals.answers import AnswerTask
from bethink.evals.arms import Arm, parse_arms
from bethink.evals.candidates import Samples
from bethink.evals.measure import Order, settings_of
from bethink.evals.results import SETTINGS, Line, ResultFolder, read_results, read_settings, refuse_other
from bethink.evals.runner import PARALLEL, Runner, units
from bethink.evals.simulate import Item, Sampled, paths_of
from bethink.model import Model
from bethink.types import Message, Request, Sampling
from bethink.verify.math import warm_up

N_PATHS = (16, 8, 4)
BUDGETS = (4096, 2048, 1024, 512)
DIRECT_SHARE = 4
"""One path in so many answers without a thought."""
ENOUGH, USUAL_TOKENS = 60, 300
"""So many questions should fit into the time, with paths of so many tokens; if they do not, they get fewer paths."""
SLOWEST = 0.25
"""The longest thought may take this share of the time; if not, thoughts get a smaller budget."""
PILOT_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Shape:
    """How a question is sampled: `n_paths` that think up to `budget` tokens, and a few that do not."""

    n_paths: int
    budget: int

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """With a thought, and without."""
        n_direct = max(1, self.n_paths // DIRECT_SHARE)
        thinks, direct = parse_arms(f"fixed:{self.n_paths}+budget:{self.budget}, fixed:{n_direct}+budget:0")
        return thinks, direct


def fitting(tokens_per_s: float, parallel: int, seconds: float, n_paths: int | None = None) -> Shape:
    """The most that a machine of this speed can do in this time; the speed is that of `parallel` paths together."""
    longest = SLOWEST * seconds * tokens_per_s / parallel
    budget = next((b for b in BUDGETS if b <= longest), BUDGETS[-1])
    most = seconds * tokens_per_s / (ENOUGH * USUAL_TOKENS * (1 + 1 / DIRECT_SHARE))
    return Shape(n_paths or next((n for n in N_PATHS if n <= most), N_PATHS[-1]), budget)


@dataclass(frozen=True, slots=True)
class Survey:
    """`n_paths` None: what the folder has, else what fits into `seconds`; `parallel` paths run at once."""

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
            order = Order(self._settled().arms, parallel=self.parallel)
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

    def _settled(self) -> Shape:
        if not (self.folder / SETTINGS).exists():
            return fitting(asyncio.run(self._tokens_per_s()), self.parallel, self.seconds, self.n_paths)
        there = shape_of(self.folder)
        if self.n_paths not in (None, there.n_paths):
            hint = "leave --paths out to go on, or give --force to begin afresh"
            raise UsageError(f"the samples so far have {there.n_paths} paths a question, not {self.n_paths}", hint)
        return there

    async def _tokens_per_s(self) -> float:
        """Of as many paths as will run together."""
        request = Request((Message("user", self.task.example(0).question),))
        ids = self.model.prompt(request, is_thinking=True, comparable=True).ids

        async def path(seed: int) -> None:
            sampling = Sampling(temperature=0.7, seed=seed, max_tokens=PILOT_TOKENS)
            async for _ in self.model.engine.start(ids, sampling):
                pass

        began = time.monotonic()
        await asyncio.gather(*(path(seed) for seed in range(self.parallel)))
        return self.parallel * PILOT_TOKENS / max(time.monotonic() - began, 1e-6)

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


def shape_of(folder: Path) -> Shape:
    """How the questions in this folder were sampled. Raises: UsageError."""
    names = read_settings(folder).get("arms")
    try:
        thinks = parse_arms(str(cast("list[object]", names)[0]))[0]
        shape = Shape(thinks.paths or 0, thinks.budget or 0)
        if [arm.name for arm in shape.arms] == names:
            return shape
    except (UsageError, TypeError, KeyError, IndexError):
        pass
    raise UsageError(f"{folder} holds no samples of a calibration", "give --force to begin afresh")


def read_samples(folder: Path) -> Samples:
    """The questions that were asked in both ways. Raises: UsageError."""
    thinks, direct = shape_of(folder).arms
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
