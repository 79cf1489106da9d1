"""What the server adds to the engine: the same requests asked of a model in this process, and through HTTP.

    python bench/serve_overhead.py                        the scripted engine
    python bench/serve_overhead.py --model smollm2:135m   a real one

Both arms take turns, request by request at concurrency 1 and round by round at `--concurrency`, on one model in one
process: the server listens on a socket here, its client is a process of its own. Each request through the server is
settled in a ledger on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripted_service import scripted_model
from table import machine, show

import bethink
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings, create_app
from bethink.server.door.keys import Keys
from bethink.server.listening import Server, Serving, bind
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from bethink.types import Finished, Message, Request, TextDelta

CLIENT = r"""
import asyncio, json, re, sys, time, uvloop
port, kept = int(sys.argv[1]), []
text, end = re.compile(rb'"(?:reasoning_)?content":"[^"]'), b"\r\n0\r\n\r\n"
def asked(body):
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data
async def ask(request):
    reader, writer = kept.pop() if kept else await asyncio.open_connection("127.0.0.1", port)
    began, first, got = time.perf_counter(), None, b""
    writer.write(request)
    while not got.endswith(end):
        piece = await reader.read(65536)
        if first is None and text.search(piece):
            first = time.perf_counter() - began
        got += piece
    took = time.perf_counter() - began
    kept.append((reader, writer))
    return first, took, int(re.findall(rb'"completion_tokens":(\d+)', got)[-1])
async def main():
    for line in sys.stdin:
        requests = [asked(body) for body in json.loads(line)]
        print(json.dumps(await asyncio.gather(*map(ask, requests))), flush=True)
uvloop.run(main())
"""
"""Light, so that what is measured is the server and not who asks it."""


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds to the first token and to the end, and sampled tokens."""

    first_s: float
    total_s: float
    n_tokens: int


async def direct(model: Model, request: Request) -> Took:
    began, first = time.perf_counter(), 0.0
    async for event in model.think(request):
        if isinstance(event, TextDelta) and not first:
            first = time.perf_counter() - began
        if isinstance(event, Finished):
            return Took(first, time.perf_counter() - began, event.result.usage.completion_tokens)
    raise RuntimeError("no result")


class Client:
    """The other process; a batch of requests at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, bodies: Sequence[dict[str, Any]]) -> list[Took]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(bodies).encode() + b"\n")
        return [Took(*took) for took in json.loads(await self._process.stdout.readline())]


def body_of(request: Request) -> dict[str, Any]:
    ours = {"paths": 1, "budget": request.budget}
    asked = {
        "messages": [{"role": "user", "content": request.messages[0].content}],
        "seed": request.seed,
        "stream": True,
    }
    more = {"max_tokens": request.max_tokens, "stream_options": {"include_usage": True}}
    return asked | more | {"bethink": {k: v for k, v in ours.items() if v is not None}}


async def compare(model: Model, port: int, n: int, rounds: int, concurrency: int, tokens: int) -> list[list[object]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    client = Client(process)
    base = Request((Message("user", "Tell me about the sea."),), paths=1, budget=0, max_tokens=tokens)

    def request(k: int) -> Request:
        return replace(base, seed=k)

    await client.ask([body_of(request(0))])
    pairs: list[tuple[Took, Took]] = []
    for k in range(n):
        if k % 2:
            alone = await direct(model, request(k))
            pairs.append((alone, (await client.ask([body_of(request(k))]))[0]))
        else:
            (through,) = await client.ask([body_of(request(k))])
            pairs.append((await direct(model, request(k)), through))
    rates: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    for k in range(rounds + 1):
        batch = [request(1000 + k * concurrency + i) for i in range(concurrency)]
        began, cpu = time.perf_counter(), time.process_time()
        alone_all = await asyncio.gather(*(direct(model, one) for one in batch))
        alone_rate = sum(took.n_tokens for took in alone_all) / (time.perf_counter() - began)
        alone_cost = (time.process_time() - cpu) / sum(took.n_tokens for took in alone_all)
        began, cpu = time.perf_counter(), time.process_time()
        through_all = await client.ask([body_of(one) for one in batch])
        through_rate = sum(took.n_tokens for took in through_all) / (time.perf_counter() - began)
        through_cost = (time.process_time() - cpu) / sum(took.n_tokens for took in through_all)
        if k:  # the first warms up
            rates.append((alone_rate, through_rate))
            costs.append((alone_cost, through_cost))
    process.terminate()
    await process.wait()
    return _rows(pairs, rates, costs, concurrency)


def _rows(
    pairs: Sequence[tuple[Took, Took]],
    rates: Sequence[tuple[float, float]],
    costs: Sequence[tuple[float, float]],
    concurrency: int,
) -> list[list[object]]:
    def ms(pick: str) -> list[object]:
        alone, through = ([getattr(pair[arm], pick) * 1e3 for pair in pairs] for arm in (0, 1))
        added = [b - a for a, b in zip(alone, through, strict=True)]
        return [f"{statistics.median(values):.2f}" for values in (alone, through, added)]

    alone, through = (statistics.median(rate[arm] for rate in rates) for arm in (0, 1))
    costs_us = [statistics.median(cost[arm] for cost in costs) * 1e6 for arm in (0, 1)]
    share = statistics.median(1 - b / a for a, b in rates)
    return [
        ["first token, ms (p50)", *ms("first_s")],
        ["whole request, ms (p50)", *ms("total_s")],
        [f"tokens/s at {concurrency} at once", f"{alone:.0f}", f"{through:.0f}", f"-{share:.1%}"],
        ["processor of this process, µs a token", *(f"{c:.0f}" for c in costs_us), f"{costs_us[1] - costs_us[0]:.0f}"],
    ]


async def run(given: argparse.Namespace, model: Model, home: Path) -> list[list[object]]:
    with Accounts.open(None, home) as accounts:
        pool = Pool(load=lambda _: model, known=lambda: ("bench",), default="bench")
        service = Service(pool, Admission(accounts, given.concurrency))
        app = create_app(service, Surroundings(keys=Keys(accounts)))
        sockets, started = bind("127.0.0.1", 0), asyncio.Event()
        server = Server(Serving(app, sockets, service.stopping, on_started=started.set))
        serving = asyncio.create_task(server.serve(sockets))
        await started.wait()
        port = sockets[0].getsockname()[1]
        rows = await compare(model, port, given.requests, given.rounds, given.concurrency, given.tokens)
        service.stopping.next()
        await serving
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a real model; without it the scripted engine")
    parser.add_argument("--requests", type=int, default=60, help="at concurrency 1")
    parser.add_argument("--rounds", type=int, default=5, help="at --concurrency")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.01, help="seconds a token of the scripted engine")
    given = parser.parse_args()
    print(machine())
    model = bethink.load(given.model) if given.model else scripted_model(given.tokens, given.delay)
    model.traces = None
    import uvloop

    with tempfile.TemporaryDirectory() as home, model:
        rows = uvloop.run(run(given, model, Path(home)))
    name = given.model or f"the scripted engine, a token every {given.delay * 1e3:.0f} ms"
    show(f"What the server adds, {name}", ("", "model alone", "through the server", "added"), rows)


if __name__ == "__main__":
    main()
