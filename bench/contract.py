"""The contract of thinking on real models: every request ends, on budget, with an answer and the truth about why.

    python bench/contract.py --model qwen2.5-coder:0.5b --engine openvino --n 200

For each budget (0, 32, 128, 512 tokens and a deadline of 5 s) and each question: ended with a non-empty answer, no
thought over budget, no marker in the answer, `closed_by` true (judged from the trace, not from the result).
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gsm8k import Question, data_path, is_right, questions
from table import machine, show

import bethink
from bethink.model import Model
from bethink.trace import Trace
from bethink.types import Finished, Request, Result

BUDGETS: tuple[int | None, ...] = (0, 32, 128, 512, None)
DEADLINE_S = 5.0
STEP_S = 1.0
"""What "plus one decode step" may take here, the prefill of the hand-off included, with other requests in the batch."""


@dataclass
class Kept:
    """How often each clause held."""

    n: int = 0
    right: int = 0
    broken: Counter[str] = field(default_factory=Counter[str])
    closings: Counter[str] = field(default_factory=Counter[str])
    slowest_s: float = 0.0


def clauses(result: Result, trace: Trace, request: Request, markers: Sequence[str]) -> dict[str, bool]:
    """Each clause of the contract, and whether it held."""
    path = trace.paths[0]
    thought = [t for t in path.tokens if t.phase == "thinking" and t.origin == "sampled"]
    budget = request.budget if request.budget is not None else 10**9
    caps = trace.request["plan"]["thinking_tokens"]
    spent = len(thought)
    truths = {
        "natural": spent <= caps,
        "budget": spent >= min(budget, caps),
        "deadline": request.within_s is not None and any(d.action == "close" for d in trace.decisions),
        "loop": any(d.action == "roll_back" for d in trace.decisions),
    }
    return {
        "answered": bool(result.answer.strip()),
        "within budget": spent <= budget,
        "no marker in the answer": not any(m in result.answer for m in markers),
        "closed_by is true": truths.get(result.closed_by, False),
        "in time": request.within_s is None or result.timing.total_s <= request.within_s + STEP_S,
        "usage is exact": result.usage.completion_tokens == sum(t.origin == "sampled" for t in path.tokens),
    }


def check(
    kept: Kept, question: Question, result: Result, trace: Trace, request: Request, markers: Sequence[str]
) -> None:
    kept.n += 1
    kept.right += is_right(question, result.paths[0].extracted)
    kept.closings[result.closed_by] += 1
    kept.slowest_s = max(kept.slowest_s, result.timing.total_s)
    held = clauses(result, trace, request, markers)
    kept.broken.update(name for name, holds in held.items() if not holds)


async def measure(model: Model, asked: Sequence[Question], budget: int | None, concurrent: int) -> Kept:
    kept, gate = Kept(), asyncio.Semaphore(concurrent)

    async def one(question: Question) -> None:
        within = DEADLINE_S if budget is None else None
        request = question.request(budget=budget, within_s=within, paths=1, seed=question.index, max_tokens=2048)
        async with gate:
            run = model.think(request)
            async for event in run:
                if isinstance(event, Finished):
                    check(kept, question, event.result, run.trace, request, model.profile.markers)

    async with asyncio.TaskGroup() as group:
        for question in asked:
            group.create_task(one(question))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--engine")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--deadline-concurrent", type=int, default=2, help="requests at once under the deadline")
    given = parser.parse_args()
    asked = questions(data_path(given.data), given.n)
    rows: list[list[object]] = []
    print(machine())
    with bethink.load(given.model, engine=given.engine) as model:
        model.traces = None
        for budget in BUDGETS:
            at_once = given.deadline_concurrent if budget is None else given.concurrent
            kept = asyncio.run(measure(model, asked, budget, at_once))
            closings = ", ".join(f"{name} {n}" for name, n in kept.closings.most_common())
            broken = ", ".join(f"{name}: {n}" for name, n in kept.broken.items()) or "none"
            limit = f"{DEADLINE_S:g} s" if budget is None else budget
            rows.append(
                [limit, kept.n, broken, closings, f"{100 * kept.right / kept.n:.0f} %", f"{kept.slowest_s:.1f} s"]
            )
            print(rows[-1], flush=True)
        name = f"{given.model} on {model.engine.info.name}"
    show(f"The contract of thinking, {name}", ["budget", "requests", "broken", "closed by", "right", "slowest"], rows)


if __name__ == "__main__":
    main()
