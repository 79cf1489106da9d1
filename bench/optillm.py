"""Several thoughts and a vote, side by side with optillm in front of a llama.cpp server: same file, same questions.

    pip install optillm==0.4.0          # in an environment of its own; it brings torch
    python bench/optillm.py --model qwen2.5-coder:0.5b --optillm .venv-optillm/bin/optillm --n 30 --out optillm.jsonl

optillm's self-consistency draws five samples, one after the other, as it is written; bethink gets five paths as well.
Its `bon` (five samples in one call, which the model then rates) is the other approach. Of every answer the boxed or
last value is judged, by one verifier. One question at a time; one line a question in --out, and a run that was killed
goes on. Development questions only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from gsm8k import Question, data_path, is_right, questions
from serving import Server, free_port, llamacpp_server, wait_for
from table import machine, show

import bethink
from bethink.evals.stats import Difference, paired
from bethink.model import Model
from bethink.thinking.answers import extract

N_SAMPLES = 5
OURS = "bethink, 5 paths"
APPROACHES = ("self_consistency", "bon")
SYSTEM = "Think step by step and put the final answer in \\boxed{}."


@dataclass(frozen=True, slots=True)
class Answered:
    arm: str
    index: int
    is_right: bool
    seconds: float
    tokens: int


def ask_bethink(model: Model, question: Question) -> Answered:
    began = time.perf_counter()
    result = asyncio.run(model.answer(question.request(paths=N_SAMPLES, seed=question.index)))
    seconds = time.perf_counter() - began
    right = is_right(question, extract(result.answer, strict=False))
    return Answered(OURS, question.index, right, seconds, result.usage.completion_tokens)


def ask_optillm(url: str, name: str, approach: str, question: Question) -> Answered:
    body = {
        "model": f"{approach}-{name}",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question.text}],
        "max_tokens": 1024,
    }
    began = time.perf_counter()
    response = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=1800).raise_for_status().json()
    seconds = time.perf_counter() - began
    right = is_right(question, extract(response["choices"][0]["message"]["content"], strict=False))
    tokens = int(response["usage"]["completion_tokens"])
    return Answered(f"optillm, {approach}", question.index, right, seconds, tokens)


def start_optillm(program: Path, upstream: Server) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    command = [str(program), "--base-url", f"{upstream.url}/v1", "--port", str(port), "--log", "error"]
    command += ["--best-of-n", str(N_SAMPLES)]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it holds this very file
    environ["OPENAI_API_KEY"] = upstream.key
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/health", process)
    return process, f"http://127.0.0.1:{port}"


def report(name: str, rows: Sequence[Answered]) -> None:
    by_arm: dict[str, dict[str, Answered]] = {}
    for row in rows:
        by_arm.setdefault(row.arm, {})[str(row.index)] = row
    ours = by_arm.get(OURS, {})
    table: list[list[object]] = []
    for arm, found in by_arm.items():
        shared = sorted(found.keys() & ours.keys())
        if not shared:
            continue
        seconds = statistics.fmean(found[i].seconds for i in shared)
        faster = seconds / statistics.fmean(ours[i].seconds for i in shared)
        better = paired({i: found[i].is_right for i in shared}, {i: ours[i].is_right for i in shared})
        right = statistics.fmean(found[i].is_right for i in shared)
        tokens = statistics.fmean(found[i].tokens for i in shared)
        cells = [f"{right:.1%}", _points(better), f"{seconds:.1f}", f"{faster:.1f}×", f"{tokens:.0f}"]
        table.append([arm, len(shared), *cells])
    columns = ["", "n", "right", "bethink against it", "seconds a question", "times bethink's", "tokens"]
    show(f"{name}, {N_SAMPLES} samples a question ({machine()})", columns, table)


def _points(found: Difference | None) -> str:
    if found is None:
        return "–"
    by = found.difference
    return f"{100 * by.value:+.1f} [{100 * by.low:+.1f}, {100 * by.high:+.1f}] points"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--optillm", type=Path, required=True, help="the program, in its own environment")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    asked = questions(data_path(given.data), given.n, given.first)
    rows = read(given.out)
    done = {(row.arm, row.index) for row in rows}
    with given.out.open("a", encoding="utf-8") as out:

        def keep(row: Answered) -> None:
            rows.append(row)
            out.write(json.dumps(asdict(row)) + "\n")
            out.flush()
            print(row, file=sys.stderr, flush=True)

        missing = [q for q in asked if (OURS, q.index) not in done]
        if missing:
            with bethink.load(given.model) as model:
                for question in missing:
                    keep(ask_bethink(model, question))
        wanted = [(a, q) for q in asked for a in APPROACHES if (f"optillm, {a}", q.index) not in done]
        if wanted:
            with llamacpp_server(given.model, is_kv_shared=False, n_slots=8, slot_tokens=4096) as upstream:
                process, url = start_optillm(given.optillm, upstream)
                try:
                    for approach, question in wanted:
                        keep(ask_optillm(url, upstream.model, approach, question))
                finally:
                    process.terminate()
    report(given.model, rows)


def read(path: Path) -> list[Answered]:
    if not path.exists():
        return []
    return [Answered(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
