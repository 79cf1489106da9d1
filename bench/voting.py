"""Generate once, decide often: sample paths for every question, keep them, and replay every rule of stopping over them.

    python bench/voting.py sample --model qwen2.5-coder:0.5b --n 100 --out votes-0.5b.jsonl      # hours; survives a
    kill python bench/voting.py replay votes-0.5b.jsonl

Each path runs through bethink's own controller, with the escape from loops switched off, so that bench/loops.py can
replay that as well. Path 0 is greedy, as it is in `bethink ask`; it is also the baseline, so that every comparison is
paired by question. Waves are replayed whole: a path of a started wave costs all its tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from gsm8k import Question, data_path, is_right, questions
from scipy import stats
from table import machine, show

import bethink
from bethink.model import Model
from bethink.thinking.vote import VoteRule, is_decided, is_futile, tally
from bethink.types import Result
from bethink.verify.math import classes

NEVER = VoteRule(wave=64, confidence=2.0, futile_after=10**6)


@dataclass(frozen=True)
class Sampled:
    """One path as it was: what it would vote for, whether that is right, what it cost."""

    answer: str | None
    is_right: bool
    tokens: int


@dataclass(frozen=True)
class Item:
    index: int
    paths: tuple[Sampled, ...]


def record(question: Question, result: Result, seconds: float) -> dict[str, object]:
    return {
        "index": question.index,
        "gold": question.gold,
        "model": result.model.sha256,
        "engine": result.engine,
        "seed": result.seed,
        "seconds": round(seconds, 2),
        "paths": [
            {
                "answer": p.extracted,
                "right": is_right(question, p.extracted),
                "tokens": p.usage.completion_tokens,
                "thinking": p.usage.thinking_tokens,
                "closed_by": p.closed_by,
                "thought": p.thinking,
            }
            for p in result.paths
        ],
    }


async def sample(model: Model, todo: Sequence[Question], out: Path, n_paths: int, concurrent: int, budget: int) -> None:
    """Append one line a question; questions in `out` already are not asked again."""
    gate = asyncio.Semaphore(concurrent)
    began, n_tokens, n_done = time.monotonic(), 0, 0

    async def one(question: Question) -> None:
        nonlocal n_tokens, n_done
        async with gate:
            start = time.monotonic()
            request = question.request(paths=n_paths, budget=budget, seed=question.index)
            result = await model.answer(request)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record(question, result, time.monotonic() - start)) + "\n")
        n_tokens += result.usage.completion_tokens
        n_done += 1
        rate = n_tokens / (time.monotonic() - began)
        left = (len(todo) - n_done) * (time.monotonic() - began) / n_done
        print(f"{n_done}/{len(todo)}  {rate:.0f} tokens/s  {left / 60:.0f} min left", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as group:
        for question in todo:
            group.create_task(one(question))


def read(path: Path) -> list[Item]:
    items: dict[int, Item] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        items[raw["index"]] = Item(
            raw["index"], tuple(Sampled(p["answer"], p["right"], p["tokens"]) for p in raw["paths"])
        )
    return [items[k] for k in sorted(items)]


Outcome = tuple[bool, int, int, bool]
"""(right, tokens, paths, given up as unsure)"""


def replay(item: Item, rule: VoteRule, n_paths: int) -> Outcome:
    """What the council would have done with these paths."""
    taken: list[Sampled] = []
    while len(taken) < n_paths:
        taken += item.paths[len(taken) : min(n_paths, len(taken) + rule.wave)]
        counted = tally([p.answer for p in taken], classes)
        is_hopeless = is_futile(counted, rule)
        if is_hopeless or is_decided(counted, rule, n_left=n_paths - len(taken)):
            break
    counted = tally([p.answer for p in taken], classes)
    winner = taken[min(counted.members[0])] if counted.members else taken[0]
    return winner.is_right, sum(p.tokens for p in taken), len(taken), counted.agreement < rule.sure_share


def arms(n_paths: int) -> dict[str, Callable[[Item], Outcome]]:
    """The rules, with their controls."""
    default = VoteRule()
    found: dict[str, Callable[[Item], Outcome]] = {
        "greedy": lambda i: (i.paths[0].is_right, i.paths[0].tokens, 1, True)
    }
    for k in (4, 8, n_paths):
        found[f"fixed {k}"] = lambda i, k=k: replay(i, replace(NEVER, wave=k), k)
    found["adaptive 0.95"] = lambda i: replay(i, replace(default, futile_after=10**6), n_paths)
    for after, share in ((4, 0.26), (8, 0.2), (8, 0.25), (8, 0.3), (12, 0.25), (12, 0.34)):
        rule = replace(default, futile_after=after, futile_share=share)
        found[f"adaptive, gives up after {after} under {share}"] = lambda i, r=rule: replay(i, r, n_paths)
    return found


def interval(difference: Sequence[float]) -> str:
    """A paired bootstrap interval (95 %) of the mean, in points."""
    values = np.asarray(difference, dtype=float)
    if not values.any():
        return "0"
    low, high = stats.bootstrap((values,), np.mean, n_resamples=5000, rng=np.random.default_rng(0)).confidence_interval
    return f"{100 * values.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def report(items: Sequence[Item], name: str) -> None:
    n_paths = min(len(i.paths) for i in items)
    outcomes = {arm: [rule(i) for i in items] for arm, rule in arms(n_paths).items()}
    greedy, fixed = outcomes["greedy"], outcomes[f"fixed {n_paths}"]
    rows: list[list[object]] = []
    for arm, got in outcomes.items():
        right = [o[0] for o in got]
        tokens = float(np.mean([o[1] for o in got]))
        saved = 1 - tokens / float(np.mean([o[1] for o in fixed]))
        sure = [o for o in got if not o[3]]
        rows.append(
            [
                arm,
                f"{100 * np.mean(right):.1f} %",
                interval([a - b for a, b in zip(right, (o[0] for o in greedy), strict=True)]),
                interval([a - b for a, b in zip(right, (o[0] for o in fixed), strict=True)]),
                f"{np.mean([o[2] for o in got]):.1f}",
                f"{tokens:.0f}",
                f"{100 * saved:.0f} %",
                f"{100 * np.mean([o[0] for o in sure]):.0f} % of {len(sure)}" if sure else "–",
            ]
        )
    show(
        f"Voting, {name}, {len(items)} questions, up to {n_paths} paths",
        ["rule", "right", "against greedy", f"against fixed {n_paths}", "paths", "tokens", "saved", "right when sure"],
        rows,
    )
    counted = [tally([p.answer for p in i.paths], classes) for i in items]
    bins = [(0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)]
    shown: list[list[object]] = []
    for low, high in bins:
        inside = [f[0] for f, c in zip(fixed, counted, strict=True) if low <= c.agreement < high]
        shown.append(
            [f"{low:.1f}–{min(high, 1):.1f}", len(inside), f"{100 * np.mean(inside):.0f} %" if inside else "–"]
        )
    show("Agreement and being right", ["agreement", "questions", "right"], shown)
    any_right = np.mean([any(p.is_right for p in i.paths) for i in items])
    print(f"any of {n_paths} right: {100 * any_right:.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sampling = commands.add_parser("sample")
    sampling.add_argument("--model", default="qwen2.5-coder:0.5b")
    sampling.add_argument("--data")
    sampling.add_argument("--n", type=int, default=300)
    sampling.add_argument("--first", type=int, default=0)
    sampling.add_argument("--paths", type=int, default=16)
    sampling.add_argument("--budget", type=int, default=1024)
    sampling.add_argument("--concurrent", type=int, default=2, help="questions at once")
    sampling.add_argument("--engine")
    sampling.add_argument("--out", type=Path, required=True)
    replaying = commands.add_parser("replay")
    replaying.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "replay":
        for file in given.files:
            report(read(file), file.stem)
        return
    print(machine(), file=sys.stderr)
    done = {i.index for i in read(given.out)} if given.out.exists() else set[int]()
    todo = [q for q in questions(data_path(given.data), given.n, given.first) if q.index not in done]
    with bethink.load(given.model, engine=given.engine) as model:
        model.rule = NEVER
        model.traces, model.escapes = None, None
        asyncio.run(sample(model, todo, given.out, given.paths, given.concurrent, given.budget))


if __name__ == "__main__":
    main()
