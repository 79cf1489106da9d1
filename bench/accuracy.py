"""No accuracy lost: unlimited thinking under the controller against the same model's plain chain of thought, greedy
and paired.

    python bench/accuracy.py --model qwen2.5-coder:0.5b --n 500

Plain is the engine alone: the same prompt, greedy to the end of the turn, judged by the same extraction from its
whole text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gsm8k import Question, data_path, is_right, questions
from scipy import stats
from table import machine, show

import bethink
from bethink.model import Model
from bethink.thinking.answers import compared_answer
from bethink.types import Sampling

MAX_TOKENS = 1024


async def plain(model: Model, question: Question) -> tuple[bool, int]:
    prompt = model.prompt(question.request(), is_thinking=True, comparable=True)
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS, stop_ids=model.stop_ids)
    ids = [t.id async for t in model.engine.start(prompt.ids, sampling)]
    text = model.tokenizer.decode([i for i in ids if i not in model.stop_ids])
    return is_right(question, compared_answer(text, "")), len(ids)


async def controlled(model: Model, question: Question) -> tuple[bool, int]:
    result = await model.answer(
        question.request(effort="max", paths=1, temperature=0.0, seed=1, max_tokens=2 * MAX_TOKENS)
    )
    return is_right(question, result.paths[0].extracted), result.usage.completion_tokens


async def measure(model: Model, todo: Sequence[Question], out: Path, concurrent: int) -> None:
    gate = asyncio.Semaphore(concurrent)

    async def one(question: Question) -> None:
        async with gate:
            (a, n_a), (b, n_b) = await plain(model, question), await controlled(model, question)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"index": question.index, "plain": a, "controlled": b, "tokens": [n_a, n_b]}) + "\n")

    async with asyncio.TaskGroup() as group:
        for question in todo:
            group.create_task(one(question))


def report(items: Sequence[dict[str, object]], name: str) -> None:
    plain_right = np.array([bool(i["plain"]) for i in items])
    ours = np.array([bool(i["controlled"]) for i in items])
    only_plain, only_ours = int((plain_right & ~ours).sum()), int((ours & ~plain_right).sum())
    difference = ours.astype(float) - plain_right.astype(float)
    low, high = 0.0, 0.0
    if difference.any():
        found = stats.bootstrap((difference,), np.mean, n_resamples=9999, rng=np.random.default_rng(0))
        low, high = found.confidence_interval
    p = stats.binomtest(only_ours, only_ours + only_plain).pvalue if only_ours + only_plain else 1.0
    show(
        f"Plain chain of thought and the controller, greedy, {name}",
        ["questions", "plain", "controlled", "difference (95 %)", "only plain / only controlled", "exact McNemar p"],
        [
            [
                len(items),
                f"{100 * plain_right.mean():.1f} %",
                f"{100 * ours.mean():.1f} %",
                f"{100 * difference.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
                f"{only_plain} / {only_ours}",
                f"{p:.2f}",
            ]
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--engine")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--concurrent", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("accuracy.jsonl"), help="one line a question; survives a kill")
    given = parser.parse_args()
    out: Path = given.out
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    done = {json.loads(line)["index"] for line in lines}
    todo = [q for q in questions(data_path(given.data), given.n) if q.index not in done]
    print(machine())
    with bethink.load(given.model, engine=given.engine) as model:
        model.traces = None
        asyncio.run(measure(model, todo, given.out, given.concurrent))
    report([json.loads(line) for line in given.out.read_text(encoding="utf-8").splitlines()], given.model)


if __name__ == "__main__":
    main()
