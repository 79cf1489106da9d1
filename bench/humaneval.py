"""HumanEval: plain greedy answers against several candidates that vote by what they do, paired by problem.

    python bench/humaneval.py --model qwen2.5-coder:0.5b --out humaneval.jsonl

The hidden tests judge, and choose nothing: the vote runs on inputs that the model wrote, and on the examples that the
problem itself shows. One line a problem in --out, with every candidate; a run that was killed goes on from there.
Needs the extra bethink[eval]; the problems are those of the task `humaneval`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from table import machine, show

import bethink
from bethink.evals.programs import ProgramTask
from bethink.evals.stats import accuracy, paired
from bethink.evals.task import Example
from bethink.evals.tasks.humaneval import humaneval
from bethink.model import Model
from bethink.thinking.vote import VoteRule
from bethink.types import Finished, Message, Request
from bethink.verify.sandbox import open_sandbox

MAX_TOKENS = 1024


async def measure(
    model: Model, task: ProgramTask, todo: Sequence[Example], out: Path, given: argparse.Namespace
) -> None:
    gate = asyncio.Semaphore(given.concurrent)

    async def one(example: Example) -> None:
        async with gate:
            line = await _asked(model, task, example, given.paths, given.seed)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    async with asyncio.TaskGroup() as group:
        for example in todo:
            group.create_task(one(example))


async def _asked(model: Model, task: ProgramTask, example: Example, n_paths: int, seed: int) -> dict[str, Any]:
    def request(check: str, paths: int) -> Request:
        message = Message("user", example.question)
        return Request((message,), check=check, paths=paths, budget=0, max_tokens=MAX_TOKENS, seed=seed)

    greedy = await model.answer(request("none", 1))
    run = model.think(request("code", n_paths))
    voted = [event.result async for event in run if isinstance(event, Finished)].pop()
    texts = dict.fromkeys([greedy.answer, voted.answer, *(p.answer for p in voted.paths)])
    solved = {text: (await asyncio.to_thread(task.verify, example, text)).passed is True for text in texts}
    return {
        "name": example.id,
        "greedy": solved[greedy.answer],
        "voted": solved[voted.answer],
        "candidates": [
            {"answer": p.answer, "passed": p.passed, "why": p.why, "solved": solved[p.answer]} for p in voted.paths
        ],
        "passed": voted.verdict.passed,
        "why": voted.verdict.why,
        "agreement": voted.verdict.agreement,
        "tokens": [greedy.usage.completion_tokens, voted.usage.completion_tokens],
        "probe_tokens": voted.usage.probe_tokens,
        "seconds": [round(greedy.timing.total_s, 2), round(voted.timing.total_s, 2)],
        "answers": [greedy.answer, voted.answer],
        "inputs": [d.cause for d in run.trace.decisions if d.action == "learned"],
    }


def report(lines: Sequence[dict[str, Any]], name: str) -> None:
    greedy, voted = ({it["name"]: float(it[way]) for it in lines} for way in ("greedy", "voted"))
    n_paths = max(len(it["candidates"]) for it in lines)
    solved = [[float(c["solved"]) for c in it["candidates"]] for it in lines]
    tokens, seconds = (np.mean([it[key] for it in lines], axis=0) for key in ("tokens", "seconds"))
    against = paired(greedy, voted)
    assert against is not None
    gain = against.difference
    show(
        f"HumanEval, {name}, {len(lines)} problems",
        ["way", "solved (95 %)", "against greedy (95 %)", "only greedy / only it", "McNemar p", "tokens", "seconds"],
        [
            ["greedy", _share(list(greedy.values())), "", "", "", f"{tokens[0]:.0f}", f"{seconds[0]:.1f}"],
            [
                f"{n_paths} candidates, vote by behaviour",
                _share(list(voted.values())),
                f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]",
                f"{against.only_a} / {against.only_b}",
                f"{against.p:.4f}",
                f"{tokens[1]:.0f}",
                f"{seconds[1]:.1f}",
            ],
            [f"one of the {n_paths} at random", f"{100 * np.mean([np.mean(it) for it in solved]):.1f} %", *[""] * 5],
            [f"any of the {n_paths}", _share([max(it) for it in solved]), *[""] * 5],
        ],
    )
    rows: list[list[object]] = []
    for passed, word in ((True, "passed"), (None, "unsure"), (False, "failed")):
        inside = [bool(it["voted"]) for it in lines if it["passed"] is passed]
        rows.append([word, len(inside), f"{100 * np.mean(inside):.0f} %" if inside else "–"])
    show("What the verdict says and what is so", ["verdict", "problems", "solved"], rows)


def _share(rights: Sequence[float]) -> str:
    found = accuracy(rights)
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--engine")
    parser.add_argument("--data", type=Path, help="HumanEval.jsonl.gz; by default the package's")
    parser.add_argument("--n", type=int, default=164)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--paths", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--concurrent", type=int, default=2, help="problems at once")
    parser.add_argument("--out", type=Path, default=Path("humaneval.jsonl"), help="one line a problem; survives a kill")
    given = parser.parse_args()
    out: Path = given.out
    done = {line["name"] for line in _read(out)}
    print(machine())
    with open_sandbox() as sandbox:
        task = humaneval("humaneval", given.data, sandbox)
        wanted = task.examples[given.first : given.first + given.n]
        todo = [example for example in wanted if example.id not in done]
        if todo:
            with bethink.load(given.model, engine=given.engine) as model:
                model.traces = None
                model.rule = VoteRule(wave=given.paths, confidence=2.0, futile_after=10**6)  # all candidates, always
                asyncio.run(measure(model, task, todo, out, given))
    if lines := _read(out):
        report(lines, given.model)


def _read(out: Path) -> list[dict[str, Any]]:
    """The finished problems; a line that a kill cut is asked again."""
    lines: list[dict[str, Any]] = []
    for text in out.read_text(encoding="utf-8").splitlines() if out.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


if __name__ == "__main__":
    main()
