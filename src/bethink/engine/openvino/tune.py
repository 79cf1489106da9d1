"""Which settings are best on this machine for one prepared model: measured once, kept beside the model.

Owns the candidates, the measurement and its record, `tuning.json`, which holds one entry for each kind of machine that
ever used the folder. Precision hints are candidates only where the processor computes in them (elsewhere they are
emulated), threads only where cores have more than one. The size of a prompt's pieces follows from how fast prompts are
read here: no step may take much longer than a second, because a deadline can only be kept between two steps.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import psutil

from bethink.engine.openvino import wire
from bethink.engine.openvino.process import WorkerProcess
from bethink.engine.openvino.settings import Tuning
from bethink.errors import EngineError
from bethink.machine import Cpu, read_cpu
from bethink.types import Sampling

PATHS = (1, 8)
"""Rates at these numbers of paths count equally."""
PIECES = (512, 256, 128, 64, 32)
MAX_STEP_S = 1.0
PROMPT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """`tokens_per_s` by number of paths, `prompt_tokens_per_s` of one prompt."""

    tuning: Tuning
    tokens_per_s: Mapping[int, float]
    prompt_tokens_per_s: float

    @property
    def score(self) -> float:
        return math.prod(max(rate, 1e-9) for rate in self.tokens_per_s.values())


def candidates(cpu: Cpu) -> list[Tuning]:
    """What is worth measuring on such a processor, the likely best first."""
    sets = set(cpu.instruction_sets)
    hints = ["f32"]
    if {"AVX-512 BF16", "AMX-BF16", "BF16"} & sets:
        hints.append("bf16")
    if {"AVX-512 FP16", "AMX-FP16"} & sets:
        hints.append("f16")
    threads = [cpu.n_cores] if cpu.n_threads == cpu.n_cores else [cpu.n_cores, cpu.n_threads]
    return [Tuning(precision_hint=hint, n_threads=count) for hint in hints for count in threads]


def tune(folder: Path, on_stage: Callable[[float], None] | None = None, *, cpu: Cpu | None = None) -> Tuning:
    """The kept choice for this machine, or a measurement now: a load and a few dozen steps for each candidate.

    With one candidate only the speed of prompts is measured. A folder that cannot be written to is measured each time;
    a measurement that fails leaves the first candidate.
    """
    cpu = cpu or read_cpu()
    if kept := kept_tuning(folder, cpu):
        return kept
    tried: list[Measured] = []
    choices = [*candidates(cpu)]
    for index, tuning in enumerate(choices):
        if on_stage:
            on_stage(index / len(choices))
        try:
            tried.append(measure(folder, tuning, PATHS if len(choices) > 1 else ()))
        except EngineError:
            continue
    if not tried:
        return choices[0]
    best = max(tried, key=lambda measured: measured.score)
    chosen = replace(best.tuning, max_batched_tokens=piece_for(best.prompt_tokens_per_s))
    _keep(folder, cpu, chosen, tried)
    return chosen


def piece_for(prompt_tokens_per_s: float) -> int:
    """The largest piece of a prompt that is read within `MAX_STEP_S`."""
    return next((piece for piece in PIECES if piece <= prompt_tokens_per_s * MAX_STEP_S), PIECES[-1])


def kept_tuning(folder: Path, cpu: Cpu) -> Tuning | None:
    """What was chosen for such a machine and this OpenVINO earlier."""
    record = _read(folder).get(_key(cpu))
    if not isinstance(record, dict):
        return None
    try:
        return Tuning(**cast("dict[str, Any]", record)["tuning"])
    except (KeyError, TypeError):
        return None


def measure(folder: Path, tuning: Tuning, paths: Sequence[int] = PATHS) -> Measured:
    """Load the model as `tuning` says and let it run for a few steps. Raises: EngineError."""
    n_blocks = 16 * max(PATHS)
    worker = WorkerProcess(wire.Load(str(folder), n_blocks, PIECES[0], tuning.properties()))
    try:
        heard = worker.receive()
        if heard is None or heard[0] != "loaded":
            raise EngineError(f"the model cannot be loaded with {tuning}")
        clock = _WorkClock(worker, tuning.n_threads or 1)
        _decode(clock, 0, 1, 2)  # the first steps compile and repack
        rates = {n_paths: _decode(clock, n_paths, n_paths, 8) for n_paths in paths}
        return Measured(tuning, rates, _prefill(clock))
    finally:
        worker.kill()
        worker.free()


def _decode(clock: _WorkClock, tag: int, n_paths: int, n_steps: int) -> float:
    """Tokens per second over all paths, the step that read the prompts not counted."""
    asked = Sampling(temperature=0.7, seed=1, max_tokens=n_steps)
    for path in range(n_paths):
        ids = [*range(100, 100 + PROMPT_TOKENS), 300 + path]
        clock.worker.send(wire.start_message(1000 * tag + path, ids, asked))
    n_running, n_tokens, seconds = n_paths, 0, 0.0
    while n_running:
        clock.restart()
        news = _news(clock.worker)
        n_running -= sum(1 for item in news if item[3] is not None)
        if n_tokens or len(news) == n_paths:
            n_tokens += len(news)
            seconds += clock.seconds()
    return n_tokens / seconds if seconds else 0.0


def _prefill(clock: _WorkClock) -> float:
    """Tokens of a prompt read per second."""
    n_tokens = 64
    clock.restart()
    ids = list(range(500, 500 + n_tokens))
    clock.worker.send(wire.start_message(999_999, ids, Sampling(max_tokens=1)))
    _news(clock.worker)
    return n_tokens / clock.seconds()


class _WorkClock:
    """Seconds the worker would have needed alone: what passed, or what it computed on its threads, if that is less.

    Others that compute at the same time would otherwise decide what is kept for good.
    """

    def __init__(self, worker: WorkerProcess, n_threads: int) -> None:
        self.worker = worker
        self._process, self._n_threads = psutil.Process(worker.pid), n_threads
        self.restart()

    def restart(self) -> None:
        self._wall, self._work = time.perf_counter(), self._computed()

    def seconds(self) -> float:
        wall = time.perf_counter() - self._wall
        return max(1e-4, min(wall, 1.1 * (self._computed() - self._work) / self._n_threads))

    def _computed(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


def _news(worker: WorkerProcess) -> Sequence[Any]:
    heard = worker.receive()
    if heard is None or heard[0] != "tokens":
        raise EngineError(f"the worker ended while it was measured: {heard}")
    return cast("Sequence[Any]", heard[1])


def _key(cpu: Cpu) -> str:
    return f"{cpu.key} | openvino {version('openvino')}"


def _read(folder: Path) -> dict[str, Any]:
    try:
        value: object = json.loads((folder / "tuning.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _keep(folder: Path, cpu: Cpu, chosen: Tuning, tried: Sequence[Measured]) -> None:
    records = _read(folder)
    records[_key(cpu)] = {
        "tuning": asdict(chosen),
        "measured": [asdict(measured) for measured in tried],
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    part = folder / "tuning.json.part"
    try:
        part.write_text(json.dumps(records, indent=1), encoding="utf-8")
        part.replace(folder / "tuning.json")
    except OSError:
        return
