"""One measurement from its order to its files: what is asked for, what is recorded about it, what is written."""

from __future__ import annotations

import asyncio
import json
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bethink import __version__
from bethink.errors import UsageError
from bethink.evals.arms import Arm
from bethink.evals.export import lm_eval
from bethink.evals.report import page
from bethink.evals.results import REPORT, SUMMARY, Line, ResultFolder, read_results, read_settings, write_whole
from bethink.evals.runner import PARALLEL, Runner, Unit, units
from bethink.evals.summary import Summary, summarise
from bethink.evals.task import Task
from bethink.model import Model
from bethink.trace import now_iso
from bethink.verify.math import warm_up

DEFAULT_N = 100
TRACES = "traces"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured. `n` None: every question of the task, or `DEFAULT_N` of a generator. Seeds of the run
    are `seed`, `seed + 1`, …; `command` is what repeats it."""

    arms: tuple[Arm, ...]
    n: int | None = None
    first: int = 0
    seed: int = 0
    n_seeds: int = 1
    max_tokens: int | None = None
    parallel: int = PARALLEL
    keeps_traces: bool = False
    command: str = ""

    def indices(self, task: Task) -> range:
        """Raises: UsageError: the task has no such questions."""
        size = task.size()
        wanted = self.n if self.n is not None else DEFAULT_N if size is None else max(0, size - self.first)
        end = self.first + wanted if size is None else min(size, self.first + wanted)
        if end <= self.first:
            raise UsageError(f"{task.name} has {size} questions, none from number {self.first} on", "lower --first")
        return range(self.first, end)

    def refuse_what_cannot_vote(self, task: Task) -> None:
        """Raises: UsageError: an arm would vote over answers that cannot be compared."""
        voting = [arm.name for arm in self.arms if (arm.paths or 1) > 1 and not arm.is_fixed]
        if voting and task.compares == "none":
            hint = "use fixed:N: it keeps all N, and the report tells how often one of k is right"
            raise UsageError(f"the arm {voting[0]} needs answers that a vote can compare; {task.name} has none", hint)
        computing = [arm.name for arm in self.arms if arm.programs]
        if computing and task.compares != "math":
            told = f"the arm {computing[0]} needs questions whose answers are values; those of {task.name} are none"
            raise UsageError(told, "leave programs away, or take another task")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.n_seeds))


def settings_of(task: Task, order: Order, model: Model) -> dict[str, Any]:
    """What run.json records."""
    info = model.engine.info
    return {
        "task": task.name,
        "task_sha256": task.sha256,
        "source": task.source,
        "notes": list(task.notes),
        "compares": task.compares,
        "model": {"name": model.ref.name, "sha256": model.ref.sha256},
        "engine": info.name,
        "engine_settings": info.settings,
        "calibrated": model.calibration.made if model.calibration else None,
        "arms": [arm.name for arm in order.arms],
        "first": order.first,
        "n": len(order.indices(task)),
        "seed": order.seed,
        "seeds": order.n_seeds,
        "max_tokens": order.max_tokens,
        "parallel": order.parallel,
        "bethink": __version__,
        "machine": f"{platform.machine()}, {psutil.cpu_count(logical=False) or psutil.cpu_count()} cores",
        "created": now_iso(),
        "command": order.command,
    }


def measure(
    task: Task,
    order: Order,
    model: Model,
    out: Path,
    *,
    on_start: Callable[[Sequence[Line], int], None] = lambda _lines, _n: None,
    on_line: Callable[[Line], None] = lambda _: None,
) -> Summary:
    """Ask what is not asked yet, and write the report. `on_start` hears what was there already and how many answers
    there will be.

    Raises: UsageError (the folder holds another measurement), SandboxMissing, EngineClosed (what is done is kept).
    """
    order.refuse_what_cannot_vote(task)
    if any(arm.programs for arm in order.arms):
        model.sandbox.get()  # refused here where there is none, and not with every question
    settings = settings_of(task, order, model)
    todo: list[Unit] = list(units(task, order.arms, order.indices(task), order.seeds))
    kept = model.traces, model.traces_bytes
    model.traces, model.traces_bytes = out / TRACES if order.keeps_traces else None, None
    try:
        with ResultFolder.open(out, settings) as folder:
            on_start(folder.lines, len(todo))
            if task.compares == "math":
                warm_up()
            runner = Runner(task, model, folder, order.max_tokens, order.parallel, on_line)
            asyncio.run(runner.run(todo))
    finally:
        model.traces, model.traces_bytes = kept
    return write_report(out)


def write_report(folder: Path, *, export: str | None = None) -> Summary:
    """Summary and page from what the folder holds, however much that is.

    Raises: UsageError.
    """
    lines, settings = read_results(folder), read_settings(folder)
    if not lines:
        raise UsageError(f"{folder} has no results yet", "run the eval again to go on")
    summary = summarise(lines, settings)
    write_whole(folder / SUMMARY, json.dumps(summary.record(), indent=1, ensure_ascii=False) + "\n")
    traces = frozenset(file.name for file in (folder / TRACES).glob("[!.]*"))
    write_whole(folder / REPORT, page(summary, lines, traces))
    if export == "lm-eval":
        write_whole(folder / "lm-eval.json", json.dumps(lm_eval(summary), indent=1, ensure_ascii=False) + "\n")
    return summary


def default_folder(task: str, model: str, n: int, seed: int) -> Path:
    """A name that tells what is in it."""
    name = re.sub(r"[^\w.-]+", "-", f"eval-{task}-{model}-{n}q-seed{seed}")
    return Path(name[:120])
