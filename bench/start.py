"""Cold start: from `bethink ask` on the command line to the first token, and what the time is spent on.

    python bench/start.py --model qwen2.5-coder:0.5b

The model must be prepared; each run is a new process. The page cache is warm (a first run that is not counted).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from table import machine, show

STAGES = r"""
import time
began = time.perf_counter()
def lap(name):
    global began
    now = time.perf_counter()
    print(f"{name}\t{now - began:.3f}", flush=True)
    began = now
import bethink.model as m
from bethink.types import Message, Request, TextDelta
import asyncio
lap("import bethink.model")
from bethink.config import Settings
from bethink.store import Store
from bethink.engine.opening import open_engine
settings = Settings.from_env()
store = Store(settings.home)
local = store.get(NAME)
lap("find the model")
model = m.load(NAME)
lap("open engine, tokenizer and template")
async def first():
    run = model.think(Request((Message("user", "What is 17 * 23?"),)))
    async for event in run:
        if isinstance(event, TextDelta):
            return
asyncio.run(first())
lap("load weights, prefill, first token")
model.close()
"""


def run_ask(model: str) -> float:
    """Seconds from the start of the process to the first byte of its thought or answer on a terminal-less pipe."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "bethink",
        "ask",
        "--model",
        model,
        "--json",
        "--paths",
        "1",
        "--budget",
        "8",
        "What is 17 * 23?",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read()
    return time.perf_counter() - began


def stages(model: str) -> list[tuple[str, float]]:
    code = STAGES.replace("NAME", repr(model))
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return [(name, float(seconds)) for name, seconds in (line.split("\t") for line in printed.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    run_ask(given.model)
    whole = [run_ask(given.model) for _ in range(given.runs)]
    laps = [stages(given.model) for _ in range(given.runs)]
    names = [name for name, _ in laps[0]]
    rows: list[list[object]] = [
        [name, f"{statistics.median(lap[at][1] for lap in laps):.2f}"] for at, name in enumerate(names)
    ]
    totals = [sum(seconds for _, seconds in lap) for lap in laps]
    rows.append(["**to the first token**", f"{statistics.median(totals):.2f}"])
    rows.append(
        ["whole `bethink ask`, a short answer and the end of the process included", f"{statistics.median(whole):.2f}"]
    )
    show(f"Cold start, {given.model}, median of {given.runs}", ["stage", "seconds"], rows)


if __name__ == "__main__":
    main()
