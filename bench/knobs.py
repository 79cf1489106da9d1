"""Random knobs of all dialects against the contract of thinking, on the scripted engine through the whole server.

    python bench/knobs.py --n 10000

Every request is drawn from its number: dialect, knobs (some contradict each other or the model), schema, tools,
streaming.
An answer holds every clause, a refusal is a 400 in the dialect's own shape; the tokens that clients were told are
compared with those that the server settled, one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # what is drawn is what the tests draw

from table import machine, show

from bethink.server.record import Record
from bethink.server.running.service import Service
from tests.unit.server.wire.random_asking import broken, draw, random_model, read
from tests.unit.server.wire.served import serving

CAN = frozenset({"json_schema", "logprobs", "top_logprobs"})


def settling(service: Service) -> list[int]:
    """Gets the tokens of every request that was settled, in order."""
    settled, before = list[int](), service.on_settled

    def on_settled(record: Record) -> None:
        before(record)
        settled.append(0 if record.usage is None else record.usage.completion_tokens)

    service.on_settled = on_settled
    return settled


async def measure(n: int, first: int) -> bool:
    answers, refusals, failures, tokens = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    began = time.perf_counter()
    async with serving(random_model, capabilities=CAN) as served:
        settled = settling(served.service)
        for seed in range(first, first + n):
            drawn = draw(seed)
            answer = await served.client.post(drawn.speech.path, json=drawn.body)
            name = drawn.speech.name
            for clause in broken(drawn, answer):
                failures[f"{clause} ({name})"] += 1
                print(f"broken: {seed}: {clause}", file=sys.stderr)
            if answer.status_code == 200:
                answers[name] += 1
                told = read(drawn, answer).usage[1]
                tokens[name] += told
                if told != settled[-1]:
                    failures[f"{told} tokens told, {settled[-1]} settled"] += 1
            else:
                refusals[name] += 1
            served.engine.starts.clear()
        left = served.service.n_running + served.engine.n_running
    rows = [[name, str(answers[name]), str(refusals[name]), str(tokens[name])] for name in sorted(answers)]
    show("Random knobs", ["dialect", "answered", "refused", "tokens told"], rows)
    print(f"{n} requests in {time.perf_counter() - began:.0f} s")
    print(f"{sum(failures.values())} clauses broken; {left} requests left running")
    for clause, count in failures.most_common():
        print(f"  {count:6} {clause}")
    return not failures and not left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first request")
    given = parser.parse_args()
    print(machine())
    return 0 if asyncio.run(measure(given.n, given.first)) else 1


if __name__ == "__main__":
    sys.exit(main())
