"""The engine's process is killed under load: no client notices anything but a pause."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import bethink
from bethink.engine.openvino.engine import OpenVinoEngine
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings
from bethink.server.door.keys import Keys
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit.server.scripted import Rig, on_a_socket

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.slow]
NAME = "smollm2:135m"
QUESTIONS = [f"Write the numbers from {n} to {n + 30}, one in each line." for n in range(1, 7)]
N_KILLS = 3
SEAM_CHARS = 24


@pytest.fixture
def model() -> Iterator[Model]:
    """A server closes its models when it ends: one for each test."""
    with bethink.load(NAME) as loaded:
        loaded.traces = None
        yield loaded


@pytest.fixture
def engine(model: Model) -> OpenVinoEngine:
    assert isinstance(model.engine, OpenVinoEngine)
    return model.engine


@dataclass(frozen=True, slots=True)
class Told:
    """One stream to its end."""

    text: str
    total_tokens: int
    answer_tokens: int
    request_id: str


async def told(client: httpx.AsyncClient, question: str, heard: list[str]) -> Told:
    """`heard` gets every piece of the answer as it comes."""
    body = {
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 160,
        "stream": True,
        "stream_options": {"include_usage": True},
        "bethink": {"paths": 1, "budget": 0},
    }
    usage, parts, last = dict[str, Any](), list[str](), ""
    async with client.stream("POST", "/v1/chat/completions", json=body, timeout=120) as response:
        assert response.status_code == 200
        request_id = response.headers["x-request-id"]
        async for line in response.aiter_lines():
            last = line or last
            if line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                parts += [choice["delta"].get("content") or "" for choice in event["choices"]]
                usage = event.get("usage") or usage
                heard.append(parts[-1])
    assert last == "data: [DONE]"
    return Told("".join(parts), usage["total_tokens"], usage["completion_tokens"], request_id)


async def kill(engine: OpenVinoEngine, heard: list[str], latest: int = 120) -> str:
    """At some moment after it went on: one that dies again before it said anything is given up, as it should be.
    Returns all that had been heard."""
    n_restarts, n_heard = engine.n_restarts, len(heard)
    async with asyncio.timeout(180):
        while len(heard) < n_heard + random.Random(n_restarts).randint(2, latest):
            await asyncio.sleep(0.002)
        text = "".join(heard)
        os.kill(engine.worker_pid, signal.SIGKILL)
        while engine.n_restarts == n_restarts:
            await asyncio.sleep(0.01)
    return text


@asynccontextmanager
async def served(model: Model, accounts: Accounts) -> AsyncGenerator[httpx.AsyncClient]:
    pool = Pool(load=lambda _: model, known=lambda: (NAME,), default=NAME)
    made = Rig(model, Service(pool, Admission(accounts)))
    around = Surroundings(keys=Keys(accounts))
    async with on_a_socket(made, around) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        yield client


async def test_a_stream_goes_on_without_a_gap_or_a_repetition_when_the_engine_is_killed(
    engine: OpenVinoEngine, model: Model, tmp_path: Path
) -> None:
    """One at a time, in the words after the seam: what is read again in one go is rounded otherwise than what came one
    by one, so that much later one of two words that are almost as likely may be another."""
    with Accounts.open(None, tmp_path) as accounts:
        async with served(model, accounts) as client:
            for question in QUESTIONS[:3]:
                undisturbed_heard, heard = list[str](), list[str]()
                undisturbed = await told(client, question, undisturbed_heard)
                stream = asyncio.create_task(told(client, question, heard))
                before = await kill(engine, heard, latest=len(undisturbed_heard) // 2)
                disturbed = await stream
                seam = undisturbed.text[: len(before) + SEAM_CHARS]
                assert seam.startswith(before)
                assert disturbed.text.startswith(seam)


async def test_many_streams_end_and_are_counted_to_the_token_when_the_engine_is_killed(
    engine: OpenVinoEngine, model: Model, tmp_path: Path
) -> None:
    with Accounts.open(None, tmp_path) as accounts:
        async with served(model, accounts) as client:
            before, heard = engine.n_restarts, list[str]()
            streams = [asyncio.create_task(told(client, question, heard)) for question in QUESTIONS]
            for _ in range(N_KILLS):
                await kill(engine, heard, latest=40)
            ended = await asyncio.gather(*streams)
            metrics = (await client.get("/metrics")).text
        rows = [*accounts.rows()]
    assert {one.request_id: one.total_tokens for one in ended} == {
        row.request_id: row.input_tokens + row.thinking_tokens + row.answer_tokens for row in rows
    }
    assert {row.status for row in rows} == {"ok"}
    assert [row.discarded_tokens for row in rows] == [0] * len(QUESTIONS)
    for one in ended:
        assert len(model.tokenizer.encode(one.text)) == pytest.approx(one.answer_tokens, abs=2)
    assert f'bethink_engine_restarts_total{{model="{NAME}"}} {before + N_KILLS}.0' in metrics
