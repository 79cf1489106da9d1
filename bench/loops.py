"""Loops: false alarms on sound thoughts, and what the escape ladder wins over closing at once.

    python bench/loops.py alarms votes-0.5b/results.jsonl --model qwen2.5-coder:0.5b
    python bench/loops.py ladder --model smollm2:135m --n 200

`alarms` replays the detectors over kept thoughts (bench/voting.py): a thought that its model closed by itself is
sound, an alarm in it is false. `ladder` collects real loops: greedy thoughts of a small model that raise an alarm;
each question is then answered with the ladder and by closing at once, with the same budget, paired.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from gsm8k import Question, data_path, is_right, questions
from scipy import stats
from table import machine, show

import bethink
from bethink.model import Model
from bethink.thinking.policies.loops import PeriodDetector, SentenceDetector
from bethink.types import Result


def alarm(model: Model, thought: str) -> str | None:
    """Which detector finds a loop in this text, if any."""
    periods, sentences, detokenizer = PeriodDetector(), SentenceDetector(), model.tokenizer.detokenizer()
    for token_id in model.tokenizer.encode(thought, parse_special=False):
        if periods.feed(token_id) is not None:
            return "period"
        if sentences.feed(detokenizer.push(token_id)) is not None:
            return "sentences"
    return None


def alarms(model: Model, files: Sequence[Path]) -> None:
    rows: list[list[object]] = []
    for file in files:
        paths = [p for line in file.read_text(encoding="utf-8").splitlines() for p in json.loads(line)["paths"]]
        for name, closings in (("sound: closed by the model", {"natural"}), ("cut off by the budget", {"budget"})):
            found = [alarm(model, p.get("thinking", p.get("thought", ""))) for p in paths if p["closed_by"] in closings]
            by_period, by_sentence = found.count("period"), found.count("sentences")
            share = f"{100 * (by_period + by_sentence) / len(found):.2f} %" if found else "–"
            rows.append([f"{file.stem}, {name}", len(found), by_period, by_sentence, share])
    show("Alarms of the loop detectors", ["thoughts", "n", "by period", "by sentences", "share"], rows)


async def answers(model: Model, asked: Sequence[Question], escapes: int, budget: int, concurrent: int) -> list[Result]:
    gate = asyncio.Semaphore(concurrent)
    model.escapes = escapes

    async def one(question: Question) -> Result:
        async with gate:
            return await model.answer(question.request(budget=budget, paths=1, temperature=0.0, seed=question.index))

    return await asyncio.gather(*(one(q) for q in asked))


def ladder(model: Model, asked: Sequence[Question], budget: int, concurrent: int) -> None:
    at_once = asyncio.run(answers(model, asked, 0, budget, concurrent))
    looping = [q for q, r in zip(asked, at_once, strict=True) if r.closed_by == "loop"]
    closed = [r for r in at_once if r.closed_by == "loop"]
    climbed = asyncio.run(answers(model, looping, 2, budget, concurrent))
    right = [
        (is_right(q, a.paths[0].extracted), is_right(q, b.paths[0].extracted))
        for q, a, b in zip(looping, closed, climbed, strict=True)
    ]
    only_closed, only_climbed = right.count((True, False)), right.count((False, True))
    p = stats.binomtest(only_climbed, only_climbed + only_closed).pvalue if only_climbed + only_closed else 1.0
    rows: list[list[object]] = []
    for at, (name, results) in enumerate((("closed at once", closed), ("ladder", climbed))):
        tokens = sum(r.usage.completion_tokens for r in results) / max(1, len(results))
        ended = sum(r.closed_by == "natural" for r in results)
        rows.append([name, len(results), sum(r[at] for r in right), ended, f"{tokens:.0f}"])
    show(
        f"{len(looping)} loops among {len(asked)} greedy thoughts of {model.ref.name} (budget {budget})",
        ["what is done", "loops", "right", "thoughts that then ended by themselves", "tokens each"],
        rows,
    )
    print(f"right only closed at once: {only_closed}; only with the ladder: {only_climbed}; McNemar p = {p:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("alarms", "ladder"))
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--model", default="smollm2:135m")
    parser.add_argument("--engine")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--budget", type=int, default=1024)
    parser.add_argument("--concurrent", type=int, default=16)
    given = parser.parse_args()
    print(machine())
    with bethink.load(given.model, engine=given.engine) as model:
        model.traces = None
        if given.what == "alarms":
            alarms(model, given.files)
        else:
            ladder(model, questions(data_path(given.data), given.n), given.budget, given.concurrent)


if __name__ == "__main__":
    main()
