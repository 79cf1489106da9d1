"""`bethink serve` and the LiteLLM proxy side by side: what each puts between a client and what makes the answer.

    python bench/litellm_proxy.py --litellm PATH/TO/litellm

Behind LiteLLM is a stub of OpenAI's API that answers at once with a prebuilt body; behind bethink is the scripted
engine, which plays as many tokens without delay. A load generator with raw keep-alive connections asks both for whole
answers (`--stream`: streamed ones), with and without a key. Arms take turns for `--rounds` rounds, all servers run
throughout, and figures are of this one run: requests per second at `--concurrency`, latency at 1 and at that, and
the latency *added*: percentiles of a proxy less the same percentiles of the stub, of bethink less those of the engine
asked in this process without any server.

What is comparable: how many requests per second a client gets through each door, and what the door itself costs one.
What is not: LiteLLM forwards over a second HTTP connection, bethink runs the tokens itself, so bethink's requests per
second hold the engine's work (sixteen sampled tokens, thought and answer told apart, a vote of one), and the proxy's
hold the stub's (next to nothing). A key costs bethink a look-up, its limits, and a settled row in a ledger on disk;
LiteLLM's master key is compared in memory, and nothing is written (no database, no telemetry, no retries, log level
ERROR). Its server is `--litellm-server` (granian where its environment has it; its uvicorn may lack httptools) with one
worker, as bethink has one process, and with `--workers`; clients, stub and servers share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from scripted_service import NAME, scripted_model
from serving import free_port, wait_for
from table import machine, show

from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.accounts.values import SCOPES
from bethink.types import Finished, Message, Request

KEY = "sk-bench-master"
PROMPT = "Tell me about the sea."
Ask = Callable[[], Awaitable[None]]

STUB = r"""
import json, sys, uvicorn
port, n = int(sys.argv[1]), int(sys.argv[2])
usage = {"prompt_tokens": 8, "completion_tokens": n, "total_tokens": n + 8}
head = {"id": "chatcmpl-stub", "created": 1700000000, "model": "scripted"}
message = {"role": "assistant", "content": " word" * n}
whole = json.dumps({**head, "object": "chat.completion", "usage": usage,
    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
def event(delta, reason=None):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
events = [event({"role": "assistant", "content": " word"}), *[event({"content": " word"}) for _ in range(n - 1)]]
events += [event({}, "stop"), b"data: [DONE]\n\n"]
JSON = [(b"content-type", b"application/json"), (b"content-length", str(len(whole)).encode())]
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    asked = b""
    while True:
        part = await receive()
        asked += part.get("body", b"")
        if not part.get("more_body"):
            break
    if b'"stream":true' in asked.replace(b" ", b""):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for one in events:
            await send({"type": "http.response.body", "body": one, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        await send({"type": "http.response.body", "body": whole})
uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, loop="uvloop", http="httptools")
"""


@dataclass(slots=True)
class Arm:
    """Something that can be asked. `base` is the arm whose latency is not its own; `latencies_s` by concurrency."""

    name: str
    ask: Callable[[int], contextlib.AbstractAsyncContextManager[Sequence[Ask]]]
    base: str | None = None
    rates: list[float] = field(default_factory=list[float])
    latencies_s: dict[int, list[float]] = field(default_factory=dict[int, list[float]])


@dataclass(frozen=True, slots=True)
class Address:
    port: int
    body: dict[str, Any]
    key: str | None = None

    @property
    def request(self) -> bytes:
        body = json.dumps(self.body).encode()
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n"
        )
        return f"{head}{key}content-length: {len(body)}\r\n\r\n".encode() + body

    @contextlib.asynccontextmanager
    async def connections(self, n: int):
        """`n` open connections, each as the question asked over it."""
        opened = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(n)]
        asked = self.request

        def over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ask:
            async def ask() -> None:
                writer.write(asked)
                await read_answer(reader)

            return ask

        try:
            yield [over(*pair) for pair in opened]
        finally:
            for _, writer in opened:
                writer.close()


async def read_answer(reader: asyncio.StreamReader) -> None:
    """One whole answer. An answer that is no 200 ends the bench."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"an answer was refused: {head.decode()} {(await reader.read(2000)).decode()}")
    if b"transfer-encoding: chunked" in head:
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
        return
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))


@contextlib.asynccontextmanager
async def engine_alone(model: Model, n_tokens: int, n: int):
    """The same request asked of the model in this process."""
    request = Request((Message("user", PROMPT),), paths=1, budget=0, max_tokens=n_tokens)

    async def ask() -> None:
        async for event in model.think(request):
            if isinstance(event, Finished):
                return
        raise SystemExit("the engine gave no result")

    yield [ask] * n


async def measure(arm: Arm, concurrency: int, seconds: float, *, counts: bool = True) -> None:
    """A closed loop: each of so many clients asks again as soon as it has its answer."""
    took: list[float] = []
    async with arm.ask(concurrency) as asks:
        ends = time.perf_counter() + seconds

        async def client(ask: Ask) -> None:
            while (began := time.perf_counter()) < ends:
                await ask()
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(client(ask) for ask in asks))
        elapsed = time.perf_counter() - began
    if counts:
        arm.latencies_s.setdefault(concurrency, []).extend(took)
        if concurrency > 1:
            arm.rates.append(len(took) / elapsed)


async def take_turns(arms: Sequence[Arm], given: argparse.Namespace) -> None:
    for arm in arms:
        await measure(arm, given.concurrency, min(2.0, given.seconds), counts=False)
    for turn in range(given.rounds):
        for arm in [*arms[turn % len(arms) :], *arms[: turn % len(arms)]]:
            await measure(arm, 1, given.seconds)
            await measure(arm, given.concurrency, given.seconds)


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, environment: dict[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """A server and its workers, in a group of their own that ends with the bench."""
    with (
        log.open("wb") as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        except SystemExit:
            print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def stub(n_tokens: int, folder: Path) -> Generator[int]:
    port = free_port()
    with running([sys.executable, "-c", STUB, str(port), str(n_tokens)], folder / "stub.log") as process:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield port


@contextlib.contextmanager
def litellm(given: argparse.Namespace, upstream: int, workers: int, key: str | None, folder: Path) -> Generator[int]:
    port, config = free_port(), folder / f"litellm-{workers}-{key is not None}.yaml"
    served = {"model": f"openai/{NAME}", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": NAME, "litellm_params": served}],
        "litellm_settings": {"telemetry": False, "num_retries": 0, "set_verbose": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True}
        | ({"master_key": key} if key else {}),
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [given.litellm, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", str(workers), *(["--run_granian"] if given.litellm_server == "granian" else [])]
    quiet = {
        "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True", "DISABLE_ADMIN_UI": "True",
    }  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "PYTHONPATH")} | quiet
    with running(command, folder / f"{config.stem}.log", environment) as process:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield port


@contextlib.contextmanager
def bethink(n_tokens: int, folder: Path, *, has_keys: bool) -> Generator[tuple[int, str | None]]:
    home = folder / f"bethink-{has_keys}"
    home.mkdir()
    secret = None
    if has_keys:
        with Accounts.open(None, home) as accounts:
            secret = accounts.directory.create_key("bench", scopes=frozenset(SCOPES)).secret
    script = str(Path(__file__).with_name("scripted_service.py"))
    command = [sys.executable, script, "0", str(home), "--tokens", str(n_tokens)]
    command += ["--keys"] if has_keys else []
    with running(command, folder / f"{home.name}.log") as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().decode().strip().rpartition(":")[2]), secret


def body_of(given: argparse.Namespace, **more: Any) -> dict[str, Any]:
    asked = {"model": NAME, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": given.tokens}
    return asked | ({"stream": True} if given.stream else {}) | more


def check(name: str, address: Address, n_tokens: int) -> None:
    """Every arm gives as many tokens, or the bench compares nothing."""
    headers = {"authorization": f"Bearer {address.key}"} if address.key else {}
    url = f"http://127.0.0.1:{address.port}/v1/chat/completions"
    answer = httpx.post(url, json={**address.body, "stream": False}, headers=headers, timeout=60)
    found = answer.json().get("usage", {}).get("completion_tokens") if answer.status_code == 200 else answer.text
    if found != n_tokens:
        raise SystemExit(f"{name} answered {found!r}, not {n_tokens} tokens")
    if address.key and httpx.post(url, json=address.body, timeout=60).status_code == 200:
        raise SystemExit(f"{name} lets in who has no key")


def open_arms(given: argparse.Namespace, stack: contextlib.ExitStack, model: Model) -> list[Arm]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    upstream = stack.enter_context(stub(given.tokens, folder))
    found: dict[str, Address] = {"stub": Address(upstream, body_of(given))}
    for workers in dict.fromkeys((1, given.workers)):
        for key in (None, KEY)[given.keys == "on" : 1 + (given.keys != "off")]:
            port = stack.enter_context(litellm(given, upstream, workers, key, folder))
            said = f"{workers} worker{'s' if workers > 1 else ''}, {'key' if key else 'no key'}"
            found[f"LiteLLM, {said}"] = Address(port, body_of(given), key)
    ours = {"bethink": {"paths": 1, "budget": 0}}
    for has_keys in (False, True)[given.keys == "on" : 1 + (given.keys != "off")]:
        port, secret = stack.enter_context(bethink(given.tokens, folder, has_keys=has_keys))
        found[f"bethink, {'key' if has_keys else 'no key'}"] = Address(port, body_of(given, **ours), secret)
    for name, address in found.items():
        check(name, address, given.tokens)
    arms = [Arm("engine alone", lambda n: engine_alone(model, given.tokens, n))]
    for name, address in found.items():
        base = {"stub": None, "bethi": "engine alone", "LiteL": "stub"}[name[:5].strip()]
        arms.append(Arm(name, address.connections, base))
    return arms


def percentile_ms(values: Sequence[float], percent: int) -> float:
    return 1e3 * statistics.quantiles(values, n=100)[percent - 1]


def added_ms(arm: Arm, arms: dict[str, Arm], concurrency: int, percent: int) -> float | None:
    if arm.base is None:
        return None
    own, base = (percentile_ms(a.latencies_s[concurrency], percent) for a in (arm, arms[arm.base]))
    return own - base


def tell(arms: Sequence[Arm], given: argparse.Namespace) -> None:
    by_name, many = {arm.name: arm for arm in arms}, given.concurrency
    pairs = [(n, p) for n in (1, many) for p in (50, 99)]
    rows: list[list[object]] = []
    for arm in arms:
        own = [f"{percentile_ms(arm.latencies_s[n], p):.2f}" for n, p in pairs]
        added = [added_ms(arm, by_name, n, p) for n, p in pairs]
        rows.append(
            [arm.name, f"{statistics.median(arm.rates):.0f}", *own, *("" if a is None else f"{a:.2f}" for a in added)]
        )
    columns = [f"{kind} p{p} at {n}" for kind in ("ms", "added") for n, p in pairs]
    how = "streamed" if given.stream else "whole"
    title = f"{given.tokens} tokens, {how}, LiteLLM on {given.litellm_server} ({machine()})"
    show(title, ["", f"requests/s at {many}", *columns], rows)
    rows = []
    for arm in (a for a in arms if a.base == "stub"):
        mine = by_name[f"bethink, {arm.name.rpartition(', ')[2]}"]
        rate = statistics.median(mine.rates) / statistics.median(arm.rates)
        shares = [(added_ms(mine, by_name, n, 99) or 0) / (added_ms(arm, by_name, n, 99) or 1) for n in (1, many)]
        rows.append([arm.name, f"{rate:.1f}×", *(f"{share:.2f}" for share in shares)])
    show("bethink against it", ["", "requests/s", "added p99 at 1, of its", f"added p99 at {many}, of its"], rows)


def _end(number: int, _frame: object) -> None:
    """As an exception, so that the servers end too."""
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", default="litellm", help="its command")
    parser.add_argument("--litellm-server", choices=["uvicorn", "granian"], default="granian")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="of LiteLLM, beside its arm with one")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each arm at each concurrency, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--keys", choices=["on", "off", "both"], default="both")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    import uvloop

    model = scripted_model(given.tokens, 0.0)
    model.traces = None
    with contextlib.ExitStack() as stack, model:
        arms = open_arms(given, stack, model)
        uvloop.run(take_turns(arms, given))
        tell(arms, given)


if __name__ == "__main__":
    main()
