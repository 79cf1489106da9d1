"""What each precision costs: size, speed, perplexity and accuracy of one model prepared in several ways.

    python bench/precision.py --model qwen2.5-coder:0.5b --precisions f16 int8 --n 300

Perplexity is that of the worked answers of development questions 701 to 800, given their questions; accuracy is
greedy plain chain of thought on questions 1 to `--n`; pairs are made with the first precision named. Precisions are
prepared where they are not yet. One line is kept for everything measured, so that a run that was stopped goes on where
it was; `--no-speed` leaves the rates to a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import plain
from gsm8k import data_path, questions
from scipy import stats
from table import machine, show

import bethink
from bethink.config import Settings
from bethink.engine.openvino.likelihood import perplexity
from bethink.engine.openvino.prepare import prepare
from bethink.model import Model
from bethink.store import Store
from bethink.types import Message, Request, Sampling

SPEED_PATHS = (1, 8, 32)
SPEED_TOKENS = 48
N_PERPLEXITY = 100


def preparation(model: str, precision: str) -> Path:
    store = Store(Settings.from_env().home)
    local = store.get(model)
    return prepare(local, store.prepared_dir(local.sha256, precision), precision)


async def speed(model: Model, n_paths: int) -> float:
    """Tokens per second over all paths, between the first token of the last path and the end."""
    request = Request(messages=(Message("user", "Explain how a bicycle stays upright."),))
    ids = model.prompt(request, is_thinking=True, comparable=False).ids
    firsts: list[float] = []

    async def one(seed: int) -> None:
        is_first = True
        async for _ in model.engine.start(ids, Sampling(temperature=0.7, seed=seed, max_tokens=SPEED_TOKENS)):
            if is_first:
                firsts.append(time.perf_counter())
            is_first = False

    async with asyncio.TaskGroup() as group:
        for path in range(n_paths):
            group.create_task(one(path))
    return n_paths * (SPEED_TOKENS - 1) / (time.perf_counter() - max(firsts))


def answered_texts(model: Model, path: Path) -> list[tuple[list[int], int]]:
    """(ids of question and worked answer, how many of them are the question)."""
    found: list[tuple[list[int], int]] = []
    lines = path.read_text(encoding="utf-8").splitlines()[700 : 700 + N_PERPLEXITY]
    for line in lines:
        item = json.loads(line)
        request = Request(messages=(Message("user", item["question"]),))
        given = list(model.prompt(request, is_thinking=True, comparable=True).ids)
        found.append((given + model.tokenizer.encode(item["answer"], parse_special=False), len(given)))
    return found


async def answer(model: Model, precision: str, done: set[int], data: Path, n: int, out: Path) -> None:
    gate = asyncio.Semaphore(32)

    async def one(question: Any) -> None:
        async with gate:
            is_right, n_tokens = await plain(model, question)
        keep(out, {"precision": precision, "index": question.index, "right": is_right, "tokens": n_tokens})

    async with asyncio.TaskGroup() as group:
        for question in questions(data, n):
            if question.index not in done:
                group.create_task(one(question))


def keep(out: Path, item: dict[str, Any]) -> None:
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(item) + "\n")


def kept(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []


def measure(model_name: str, precision: str, data: Path, n: int, out: Path, *, with_speed: bool) -> None:
    items = [item for item in kept(out) if item["precision"] == precision]
    folder = preparation(model_name, precision)
    if not any("size" in item for item in items):
        size = (folder / "openvino_model.bin").stat().st_size
        seconds = json.loads((folder / "how.json").read_text(encoding="utf-8"))["seconds"]
        keep(out, {"precision": precision, "size": size, "prepared_s": seconds})
    with bethink.load(model_name, engine="openvino", precision=precision) as model:
        model.traces = None
        if with_speed and not any("speed" in item for item in items):
            rates = {n_paths: asyncio.run(speed(model, n_paths)) for n_paths in (1, *SPEED_PATHS)}
            keep(out, {"precision": precision, "speed": rates})
        texts = answered_texts(model, data)
        done = {int(item["index"]) for item in items if "index" in item}
        asyncio.run(answer(model, precision, done, data, n, out))
    if not any("perplexity" in item for item in items):
        keep(out, {"precision": precision, "perplexity": perplexity(folder, texts)})


def report(items: Sequence[dict[str, Any]], name: str) -> None:
    precisions = list(dict.fromkeys(item["precision"] for item in items))
    right = {p: {i["index"]: i["right"] for i in items if i["precision"] == p and "index" in i} for p in precisions}
    rows: list[list[object]] = []
    for precision in precisions:
        facts = {key: value for item in items if item["precision"] == precision for key, value in item.items()}
        rates: dict[str, float] = facts.get("speed", {})
        answers = right[precision]
        share = 100 * float(np.mean(list(answers.values()))) if answers else float("nan")
        rows.append(
            [
                precision,
                f"{facts.get('size', 0) / 1e6:.0f} MB",
                " / ".join(f"{rates[str(n)]:.0f}" for n in SPEED_PATHS) if rates else "–",
                f"{facts.get('perplexity', float('nan')):.4f}",
                f"{share:.1f} % of {len(answers)}",
                against(right[precisions[0]], answers),
                f"{facts.get('prepared_s', 0):.0f} s",
            ]
        )
    columns = [
        "precision",
        "weights",
        "tokens/s at 1 / 8 / 32",
        "perplexity",
        "right, greedy",
        f"against {precisions[0]}",
        "prepared",
    ]
    show(f"What a precision costs, {name}", columns, rows)


def against(reference: dict[int, bool], answers: dict[int, bool]) -> str:
    """Paired: lost and won questions, and how likely chance alone makes such a difference."""
    both = reference.keys() & answers.keys()
    lost = sum(reference[i] and not answers[i] for i in both)
    won = sum(answers[i] and not reference[i] for i in both)
    if not both or not lost + won:
        return "same" if both else "-"
    return f"-{lost} +{won} (p = {stats.binomtest(won, lost + won).pvalue:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--precisions", nargs="+", default=["f16", "int8"])
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("precision.jsonl"), help="one line a measurement")
    parser.add_argument("--no-speed", action="store_true")
    given = parser.parse_args()
    print(machine())
    for precision in given.precisions:
        measure(given.model, precision, data_path(given.data), given.n, given.out, with_speed=not given.no_speed)
        report(kept(given.out), given.model)


if __name__ == "__main__":
    main()
