"""How much of the engine's raw batch throughput an evaluation gets, from its first question to its report.

    python bench/eval_speed.py --model qwen2.5-coder:0.5b --n 200

One arm is `bethink eval` with greedy answers, judged and written down line by line; the other OpenVINO GenAI by itself,
given all prompts at once and exactly as many tokens for each as that question took. The two take turns in processes of
their own; loading is left out for both. Development questions only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from gsm8k import N_DEVELOPMENT, data_path
from speed import prepared_folder
from table import machine, show

import bethink
from bethink.engine.openvino.loading import settings_for
from bethink.engine.openvino.tune import tune
from bethink.evals.arms import parse_arms
from bethink.evals.measure import Order, measure
from bethink.evals.registry import open_task
from bethink.evals.results import read_results
from bethink.types import Message, Request

Work = list[tuple[list[int], int]]
"""Prompt and number of tokens of each question."""


def evaluate(given: argparse.Namespace, folder: Path) -> tuple[float, Work]:
    """Seconds of a whole run into `folder`, and what it asked and got."""
    task = open_task("gsm8k", data=data_path(given.data))
    order = Order(parse_arms("plain"), n=given.n, parallel=given.parallel)
    with bethink.load(given.model, engine="openvino") as model:
        began = time.perf_counter()
        measure(task, order, model, folder)
        seconds = time.perf_counter() - began
        work: Work = []
        for line in sorted(read_results(folder), key=lambda line: line.index):
            request = Request((Message("user", line.question),), check="math")
            work.append(([*model.prompt(request, is_thinking=True, comparable=True).ids], line.tokens))
            assert len(work[-1][0]) == line.prompt_tokens, "another prompt than the evaluation's"
        return seconds, work


def raw(given: argparse.Namespace, work: Work) -> float:
    """Seconds of GenAI by itself, as its own samples drive it."""
    import openvino
    import openvino_genai as genai

    folder = prepared_folder(given.model)
    tuning = settings_for(folder, tuning=tune(folder)).tuning
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size, scheduler.enable_prefix_caching, scheduler.max_num_seqs = 4, True, given.parallel
    scheduler.max_num_batched_tokens = tuning.max_batched_tokens
    pipeline: Any = genai.ContinuousBatchingPipeline(folder, scheduler, "CPU", tuning.properties())
    began = time.perf_counter()
    handles: list[Any] = []
    for index, (ids, n_tokens) in enumerate(work):
        config = genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos = n_tokens, True
        handles.append(pipeline.add_request(index, openvino.Tensor(np.asarray([ids], dtype=np.int64)), config))
    while pipeline.has_non_finished_requests():
        pipeline.step()
        for handle in handles:
            while handle.can_read():
                handle.read()
    return time.perf_counter() - began


def child(given: argparse.Namespace) -> None:
    folder = Path(given.folder)
    kept = folder / "work.json"
    if given.arm == "eval":
        seconds, work = evaluate(given, folder / f"eval-{time.time_ns()}")
        kept.write_text(json.dumps(work), encoding="utf-8")
    else:
        work = json.loads(kept.read_text(encoding="utf-8"))
        seconds = raw(given, work)
    print(json.dumps([seconds, sum(n_tokens for _, n_tokens in work)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=200, help=f"questions, at most {N_DEVELOPMENT}")
    parser.add_argument("--parallel", type=int, default=32, help="paths at once, for both")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        child(given)
        return
    rates: dict[str, list[float]] = {"eval": [], "raw": []}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", folder, "--arm"]
        for name in ["eval", "raw"] * given.rounds:
            printed = subprocess.run([*command, name], stdout=subprocess.PIPE, text=True, check=True).stdout
            seconds, n_tokens = json.loads(printed.splitlines()[-1])
            rates[name].append(n_tokens / seconds)
    pairs = [a / b for a, b in zip(rates["eval"], rates["raw"], strict=True)]
    print(machine())
    show(
        f"Tokens per second over {given.n} questions, {given.model}, {given.parallel} at once, {given.rounds} rounds",
        ["OpenVINO GenAI by itself", "bethink eval", "share"],
        [[*(f"{statistics.median(rates[name]):.1f}" for name in ("raw", "eval")), f"{statistics.median(pairs):.0%}"]],
    )


if __name__ == "__main__":
    main()
