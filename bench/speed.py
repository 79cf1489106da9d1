"""Decode speed at 1, 8 and 32 paths: bethink's controller, the same engine raw, and llama.cpp on the same source file.

    python bench/speed.py --model qwen2.5-coder:0.5b

Every arm samples the same number of tokens (T = 0.7, no stop tokens) from the same prompt, in a process of its own;
arms take turns for `--rounds` rounds, and the ratios are of medians in this one run. The rate counts tokens between
the first and the last of a batch, so that prefill is left out for all. llama.cpp runs with its prebuilt wheel's
run-time dispatch, flash attention, continuous batching and one thread a core; for each number of paths it may choose
the faster of two caches, one that all paths share and one divided among just so many.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from table import machine, show

from bethink.config import Settings
from bethink.engine.llamacpp import LlamaCppEngine, LlamaCppSettings
from bethink.engine.openvino.loading import settings_for
from bethink.engine.openvino.recipes import DEFAULT_PRECISION
from bethink.engine.openvino.tune import tune
from bethink.engine.protocol import Engine
from bethink.model import Model, load
from bethink.store import Store
from bethink.thinking.path import Limits
from bethink.thinking.path import Path as ThoughtPath
from bethink.thinking.policies.budget import Budget
from bethink.thinking.policies.loops import LoopGuard
from bethink.thinking.policies.user import Control, User
from bethink.trace import Trace
from bethink.types import Event, Message, Request, Sampling

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
PATHS = (1, 8, 32)
N_TOKENS = 64


def prompt_ids(model: Model) -> tuple[int, ...]:
    request = Request((Message("user", QUESTION),), check="math")
    return model.prompt(request, is_thinking=True, comparable=True).ids


def sampling(index: int) -> Sampling:
    return Sampling(temperature=0.7, seed=index, max_tokens=N_TOKENS, stop_ids=())


def rate(times: list[float]) -> float:
    """Tokens per second after the first of each batch."""
    return (len(times) - 1) / (max(times) - min(times))


async def through_controller(model: Model, n: int) -> list[float]:
    ids, control = prompt_ids(model), Control()
    trace = Trace("", "", {}, {}, "", "", [], "")

    def emit(_: Event) -> None:
        return

    paths = [
        ThoughtPath(
            engine=model.engine,
            codec=model.tokenizer,
            profile=model.profile,
            prompt_ids=ids,
            sampling=sampling(index),
            limits=Limits(N_TOKENS, N_TOKENS + 64),
            policies=[User(control), Budget(N_TOKENS), LoopGuard(rungs=0)],
            trace=trace,
            emit=emit,
            index=index,
        )
        for index in range(n)
    ]

    async def run(path: ThoughtPath) -> None:
        path.started_at = asyncio.get_running_loop().time()
        task = asyncio.create_task(path.run())
        while path.phase == "thinking" and not task.done():
            await asyncio.sleep(0.005)
        path.cancel()
        await task

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(run(p) for p in paths))
    offset = [p.started_at - began for p in paths]
    return [
        t.t + o
        for p, o in zip(trace.paths, offset, strict=True)
        for t in p.tokens
        if t.origin == "sampled" and t.phase == "thinking"
    ]


async def through_engine(model: Model, n: int) -> list[float]:
    return await decode(model.engine, prompt_ids(model), n)


async def decode(engine: Engine, ids: tuple[int, ...], n: int) -> list[float]:
    times: list[float] = []

    async def run(index: int) -> None:
        async for _ in engine.start(ids, sampling(index)):
            times.append(time.perf_counter())

    await asyncio.gather(*(run(i) for i in range(n)))
    return times


def measured(model: Model, through: str) -> dict[int, float]:
    found: dict[int, float] = {}
    run = through_controller if through == "controller" else through_engine
    asyncio.run(run(model, 2))
    for n in PATHS:
        found[n] = rate(asyncio.run(run(model, n)))
    return found


def raw_genai(model_dir: Path, ids: tuple[int, ...], properties: dict[str, object], n_batched: int) -> dict[int, float]:
    """OpenVINO GenAI by itself, in the way its own samples drive it."""
    import openvino
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size, scheduler.enable_prefix_caching, scheduler.max_num_seqs = 2, True, 64
    scheduler.max_num_batched_tokens = n_batched
    pipeline: Any = genai.ContinuousBatchingPipeline(model_dir, scheduler, "CPU", properties)
    tensor = openvino.Tensor(np.asarray([ids], dtype=np.int64))
    found: dict[int, float] = {}
    for n in (2, *PATHS):
        handles: list[Any] = []
        for index in range(n):
            config = genai.GenerationConfig()
            config.max_new_tokens, config.ignore_eos, config.do_sample = N_TOKENS, True, True
            config.temperature, config.rng_seed = 0.7, index
            handles.append(pipeline.add_request(index, tensor, config))
        times: list[float] = []
        while pipeline.has_non_finished_requests():
            pipeline.step()
            now = time.perf_counter()
            for handle in handles:
                while handle.can_read():
                    times += [now for out in handle.read().values() for _ in out.generated_ids]
        found[n] = rate(times)
    return found


def llama_cpp(model_name: str) -> dict[int, float]:
    """The faster of its two caches, for each number of paths."""
    local = Store(Settings.from_env().home).get(model_name)
    found: dict[int, float] = {}
    with load(model_name, engine="llamacpp") as model:
        found.update(measured(model, "engine"))
        ids = prompt_ids(model)
    for n in PATHS:
        settings = LlamaCppSettings(kv_tokens=512 * n, n_parallel=n, is_kv_shared=False)
        engine = LlamaCppEngine(local.path, local.sha256, settings=settings)
        try:
            engine.wait_until_loaded()
            asyncio.run(decode(engine, ids, 1))
            found[n] = max(found[n], rate(asyncio.run(decode(engine, ids, n))))
        finally:
            engine.close()
    return found


def prepared_folder(model_name: str) -> Path:
    """What the engine reads where no precision is asked for."""
    store = Store(Settings.from_env().home)
    local = store.get(model_name)
    return store.prepared_dir(local.sha256, local.entry.default_precision if local.entry else DEFAULT_PRECISION)


def arm(name: str, model_name: str) -> dict[int, float]:
    if name == "llama.cpp":
        return llama_cpp(model_name)
    with load(model_name, engine="openvino") as model:
        if name == "bethink":
            return measured(model, "controller")
        ids = prompt_ids(model)
    folder = prepared_folder(model_name)
    settings = settings_for(folder, tuning=tune(folder))
    return raw_genai(folder, ids, settings.tuning.properties(), settings.tuning.max_batched_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(arm(given.arm, given.model)))
        return
    arms = ("bethink", "OpenVINO GenAI raw", "llama.cpp")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for _ in range(given.rounds):
        for name in arms:
            command = [sys.executable, __file__, "--model", given.model, "--arm", name]
            printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs[name].append(json.loads(printed.splitlines()[-1]))
    median = {name: [statistics.median(r[str(n)] for r in runs[name]) for n in PATHS] for name in arms}
    ours = median["bethink"]
    rows: list[list[object]] = [[name, *(f"{v:.1f}" for v in median[name])] for name in arms]
    for other in arms[1:]:
        rows.append([f"bethink / {other}", *(f"{a / b:.2f}×" for a, b in zip(ours, median[other], strict=True))])
    rows.append(
        ["time of so many paths / of one", *(f"{n * ours[0] / v:.2f}×" for n, v in zip(PATHS, ours, strict=True))]
    )
    print(machine())
    show(
        f"Decode tokens per second over all paths, {given.model}, median of {given.rounds}",
        ["", *map(str, PATHS)],
        rows,
    )


if __name__ == "__main__":
    main()
