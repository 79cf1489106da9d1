"""`bethink serve` and the llama.cpp server side by side: the same file, the same machine, the same requests over HTTP.

    python bench/serving.py --model qwen2.5-coder:0.5b

Two loads: 16 chats about different things, and 16 samples of one prompt, all at once, streamed, 128 tokens each at
T = 0.7. Rates count all tokens over the wall time of a load; the time to the first token is measured at the client.
Servers take turns for `--rounds` rounds, and ratios are of medians in this one run. llama.cpp has a slot for each
request, one thread a core, and the faster of two caches (one that all slots share, one divided among them).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from table import machine, show

from bethink.config import Settings
from bethink.engine.llamacpp.settings import n_cores
from bethink.store import Store

N_AT_ONCE, N_TOKENS = 16, 128
THINGS = (
    "lighthouse", "violin", "glacier", "bakery", "submarine", "orchard", "telescope", "market", "railway", "volcano",
    "library", "harbour", "beehive", "clock", "desert", "bridge",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    url: str
    model: str
    key: str
    extra: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Load:
    """What one load measured: tokens per second, and every request's seconds to its first token."""

    rate: float
    first_s: tuple[float, ...]


@contextlib.contextmanager
def bethink_server(model: str) -> Generator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "bethink", "serve", "--port", str(port), "--model", model]
    with running(command) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/readyz", process)
        yield Server("bethink", url, model, "", {"reasoning_effort": "none"})


@contextlib.contextmanager
def llamacpp_server(
    model: str, *, is_kv_shared: bool, n_slots: int = N_AT_ONCE, slot_tokens: int = 1024
) -> Generator[Server]:
    local, key = Store(Settings.from_env().home).get(model), secrets.token_hex(8)
    wish = {
        "path": str(local.path), "n_ctx": n_slots * slot_tokens, "n_parallel": n_slots, "is_kv_shared": is_kv_shared,
        "n_ubatch": 512, "n_gpu_layers": 0, "n_threads": n_cores(), "key": key,
    }  # fmt: skip
    with running([sys.executable, "-m", "bethink.engine.llamacpp.server"]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(wish).encode() + b"\n")
        process.stdin.flush()
        url = json.loads(process.stdout.readline())["address"]
        yield Server(f"llama.cpp, {'shared' if is_kv_shared else 'divided'} cache", url, model, key, {})


@contextlib.contextmanager
def running(command: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url).status_code == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


async def load(server: Server, prompts: Sequence[str]) -> Load:
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=600) as client:
        began = time.perf_counter()
        done = await asyncio.gather(*(chat(client, server, prompt, seed) for seed, prompt in enumerate(prompts)))
        seconds = time.perf_counter() - began
    return Load(sum(n for _, n in done) / seconds, tuple(first for first, _ in done))


async def chat(client: httpx.AsyncClient, server: Server, prompt: str, seed: int) -> tuple[float, int]:
    """Seconds to the first token, and how many tokens came."""
    body = {
        "model": server.model, "messages": [{"role": "user", "content": prompt}], "stream": True, "seed": seed,
        "max_tokens": N_TOKENS, "temperature": 0.7, "stream_options": {"include_usage": True}, **server.extra,
    }  # fmt: skip
    began, first, n_tokens = time.perf_counter(), 0.0, 0
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise SystemExit(f"{server.name}: {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
                first = time.perf_counter() - began
            if chunk.get("usage"):
                n_tokens = chunk["usage"]["completion_tokens"]
    return first, n_tokens


def loads() -> dict[str, list[str]]:
    chats = [f"Tell me everything you know about a {thing}, at length." for thing in THINGS]
    return {"16 chats": chats, "16 samples": ["Tell me everything you know about a river, at length."] * N_AT_ONCE}


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    makers = [
        lambda: bethink_server(given.model),
        lambda: llamacpp_server(given.model, is_kv_shared=True),
        lambda: llamacpp_server(given.model, is_kv_shared=False),
    ]
    found: dict[tuple[str, str], list[Load]] = {}
    for _ in range(given.rounds):
        for make in makers:
            with make() as server:
                asyncio.run(load(server, ["Say hello."] * 2))
                for name, prompts in loads().items():
                    found.setdefault((name, server.name), []).append(asyncio.run(load(server, prompts)))
    rows: list[list[object]] = []
    for name in loads():
        mine = statistics.median(load.rate for load in found[name, "bethink"])
        for (at, server), measured in found.items():
            if at == name:
                rate = statistics.median(load.rate for load in measured)
                first = p95([second for load in measured for second in load.first_s])
                rows.append([name, server, rate, f"{mine / rate:.2f}×", f"{first:.2f} s"])
    show(
        f"{given.model} over HTTP, {N_AT_ONCE} requests at once ({machine()})",
        ["load", "server", "tokens/s", "bethink against it", "first token, p95"],
        rows,
    )


if __name__ == "__main__":
    main()
