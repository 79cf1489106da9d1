"""The memory that `bethink models fit` predicts, and what is then resident, with every path's context full.

    python bench/memory.py --model qwen2.5-coder:0.5b --loads 1x2048 8x1024 8x4096

Each load (PATHSxTOKENS) is a process of its own. Paths read different random ids and then write a few; what is shown is
the most that bethink and its worker held together after the first token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import threading

import psutil
from table import machine, show

import bethink
from bethink.cli.fit import footprint_of
from bethink.config import Settings
from bethink.model import Model
from bethink.store import Store
from bethink.types import Sampling

WRITTEN = 16
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process and its children."""
    here = psutil.Process()
    return sum(process.memory_info().rss for process in [here, *here.children(recursive=True)])


async def fill(model: Model, n_paths: int, n_tokens: int, on_token: threading.Event) -> None:
    draw = random.Random(n_paths * n_tokens)

    async def one(seed: int) -> None:
        ids = [draw.randrange(1000, 40_000) for _ in range(n_tokens - WRITTEN)]
        async for _ in model.engine.start(ids, Sampling(seed=seed, max_tokens=WRITTEN)):
            on_token.set()

    async with asyncio.TaskGroup() as group:
        for path in range(n_paths):
            group.create_task(one(path))


def measure(name: str, n_paths: int, n_tokens: int) -> int:
    """Bytes."""
    most, has_begun, is_over = 0, threading.Event(), threading.Event()

    def watch() -> None:
        nonlocal most
        has_begun.wait()
        while not is_over.wait(0.2):
            most = max(most, resident())

    with bethink.load(name, engine="openvino") as model:
        watcher = threading.Thread(target=watch)
        watcher.start()
        asyncio.run(fill(model, n_paths, n_tokens, has_begun))
        most = max(most, resident())
        is_over.set()
        watcher.join()
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--loads", nargs="+", default=["1x2048", "8x1024", "8x4096"])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    loads = [tuple(map(int, load.split("x"))) for load in given.loads]
    if given.one:
        print(json.dumps(measure(given.model, *loads[0])))
        return
    store = Store(Settings.from_env().home)
    rows: list[list[object]] = []
    for n_paths, n_tokens in loads:
        predicted = footprint_of(store, given.model, n_tokens, n_paths)[0].total
        command = [sys.executable, __file__, "--one", "--model", given.model, "--loads", f"{n_paths}x{n_tokens}"]
        found = int(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        rows.append(
            [n_paths, n_tokens, f"{predicted / MIB:.0f}", f"{found / MIB:.0f}", f"{predicted / found - 1:+.0%}"]
        )
    print(machine())
    columns = ["paths", "tokens each", "predicted, MiB", "resident, MiB", "predicted against it"]
    show(f"Memory, {given.model}", columns, rows)


if __name__ == "__main__":
    main()
