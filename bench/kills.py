"""The engine's process is killed with -9 at random moments under load: what do clients notice?

    python bench/kills.py --kills 200

A server in this process over a real model; `--streams` clients ask one request after another, greedily. A kill waits
until tokens came again after the last one. Counted: streams that did not end, usage that differs from the ledger, and
requests asked alone that do not go on, after the kill, in the words of an undisturbed run (much later, and in company,
greedy requests may differ by themselves: what is read again in one go is rounded otherwise than what came one by one).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from table import machine, show

import bethink
from bethink.engine.openvino.engine import OpenVinoEngine
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings, create_app
from bethink.server.door.keys import Keys
from bethink.server.listening import Server, Serving, bind
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service

SEAM_CHARS = 24


@dataclass(slots=True)
class Load:
    """Clients under way, and what they were told."""

    url: str
    n_heard: int = 0
    told: dict[str, int] = field(default_factory=dict[str, int])
    seen: Counter[str] = field(default_factory=Counter[str])
    is_over: bool = False

    async def ask(self, client: httpx.AsyncClient, n: int, heard: list[str] | None = None) -> str:
        """The text of one stream; how it ended is counted. `heard` gets it as it comes."""
        body = {
            "messages": [{"role": "user", "content": f"Write the numbers from {n} to {n + 40}, one in each line."}],
            "temperature": 0,
            "max_tokens": 120,
            "stream": True,
            "stream_options": {"include_usage": True},
            "bethink": {"paths": 1, "budget": 0},
        }
        text, usage, is_whole = "", 0, False
        with suppress(httpx.HTTPError):
            async with client.stream("POST", f"{self.url}/v1/chat/completions", json=body, timeout=300) as response:
                async for line in response.aiter_lines():
                    self.n_heard += line.startswith("data: ")
                    is_whole = is_whole or line == "data: [DONE]"
                    if line.startswith("data: {"):
                        event = json.loads(line[6:])
                        piece = "".join(c["delta"].get("content") or "" for c in event.get("choices", ()))
                        text += piece
                        if heard is not None:
                            heard.append(piece)
                        usage = event["usage"]["total_tokens"] if event.get("usage") else usage
                self.told[response.headers["x-request-id"]] = usage
        self.seen["ended well" if is_whole else "broken"] += 1
        return text

    async def go_on(self, client: httpx.AsyncClient, first: int) -> None:
        n = first
        while not self.is_over:
            await self.ask(client, n)
            n += 7

    async def kill(self, engine: OpenVinoEngine, chance: random.Random, most: int = 200) -> None:
        n_heard, n_restarts = self.n_heard, engine.n_restarts
        least = chance.randint(1, most)
        while self.n_heard < n_heard + least:
            await asyncio.sleep(0.001)
        await asyncio.sleep(chance.random() / 20)
        os.kill(engine.worker_pid, signal.SIGKILL)
        while engine.n_restarts == n_restarts:
            await asyncio.sleep(0.005)


async def disturb(load: Load, engine: OpenVinoEngine, n_kills: int, n_streams: int) -> int:
    """How many requests asked alone did not go on after the seam as they would have."""
    chance, n_changed = random.Random(1), 0
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
        for n in range(max(1, n_kills // 10)):
            undisturbed, heard = await load.ask(client, n), list[str]()
            asking = asyncio.create_task(load.ask(client, n, heard))
            await load.kill(engine, random.Random(n), most=20)
            seam = undisturbed[: len("".join(heard)) + SEAM_CHARS]
            n_changed += not (await asking).startswith(seam)
        clients = [asyncio.create_task(load.go_on(client, 100 * k)) for k in range(n_streams)]
        for _ in range(n_kills):
            await load.kill(engine, chance)
        load.is_over = True
        await asyncio.gather(*clients)
    return n_changed


async def run(given: argparse.Namespace, model: Model, home: Path) -> list[tuple[str, object]]:
    engine = model.engine
    assert isinstance(engine, OpenVinoEngine)
    with Accounts.open(None, home) as accounts:
        pool = Pool(load=lambda _: model, known=lambda: (given.model,), default=given.model)
        service = Service(pool, Admission(accounts))
        sockets, started = bind("127.0.0.1", 0), asyncio.Event()
        app = create_app(service, Surroundings(keys=Keys(accounts)))
        server = Server(Serving(app, sockets, service.stopping, on_started=started.set))
        serving = asyncio.create_task(server.serve(sockets))
        await started.wait()
        load, began = Load(f"http://127.0.0.1:{sockets[0].getsockname()[1]}"), time.monotonic()
        n_changed = await disturb(load, engine, given.kills, given.streams)
        took_s = time.monotonic() - began
        service.stopping.next()
        await serving
        rows = {row.request_id: row.input_tokens + row.thinking_tokens + row.answer_tokens for row in accounts.rows()}
    return [
        ("kills", engine.n_restarts),
        *load.seen.items(),
        ("usage unlike the ledger's", sum(rows.get(request) != told for request, told in load.told.items())),
        ("asked alone, other words after the kill", n_changed),
        ("seconds", f"{took_s:.0f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2:135m")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--streams", type=int, default=6)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home, bethink.load(given.model) as model:
        rows = asyncio.run(run(given, model, Path(home)))
    show(f"The engine of {given.model} is killed under {given.streams} streams", ("", ""), rows)


if __name__ == "__main__":
    main()
