"""One prompt, several paths: seconds until every path has its first token, against one path alone.

    python bench/shared_prompt.py --model qwen2.5-coder:0.5b --tokens 100 1000 3000 --paths 8

Each measurement reads a prompt that nobody has read before; the engines take turns, and medians are shown. llama.cpp
needs the extra bethink[llamacpp]; without it OpenVINO is measured alone.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from table import machine, show

import bethink
from bethink.engine.opening import is_installed
from bethink.model import Model
from bethink.types import Sampling


async def seconds_to_all(model: Model, ids: Sequence[int], n_paths: int) -> float:
    async def first_token(seed: int) -> None:
        stream = model.engine.start(ids, Sampling(temperature=0.7, seed=seed, max_tokens=4))
        async for _ in stream:
            break
        stream.cancel()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for seed in range(n_paths):
            group.create_task(first_token(seed))
    return time.perf_counter() - began


def prompt(model: Model, n_tokens: int, name: str) -> list[int]:
    text = (
        f"Report {name}. " + "The river rose by two metres in the night, and in the morning the bridge was gone. " * 400
    )
    return model.tokenizer.encode(text, parse_special=False)[:n_tokens]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--tokens", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--paths", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(machine())
    engines = ["openvino", *(["llamacpp"] if is_installed("llamacpp") else [])]
    models = {name: bethink.load(given.model, engine=name) for name in engines}
    rows: list[list[object]] = []
    for n_tokens in given.tokens:
        for name, model in models.items():
            seconds: dict[int, list[float]] = {1: [], given.paths: []}
            for attempt in range(given.rounds + 1):  # the first is a warm-up
                for n_paths, found in seconds.items():
                    ids = prompt(model, n_tokens, f"{n_tokens} {attempt} {n_paths}")
                    found.append(asyncio.run(seconds_to_all(model, ids, n_paths)))
            alone, together = (statistics.median(found[1:]) for found in seconds.values())
            rows.append([n_tokens, name, f"{alone:.2f}", f"{together:.2f}", f"{together / alone:.2f}×"])
    for model in models.values():
        model.close()
    columns = ["prompt tokens", "engine", "one path, s", f"{given.paths} paths, s", "ratio"]
    show(f"Until every path has its first token, {given.model}", columns, rows)


if __name__ == "__main__":
    main()
