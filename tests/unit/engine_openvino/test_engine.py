"""What only this engine can promise: a worker process that may die, and starts that wait for cache."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path

import psutil
import pytest

from bethink.engine.openvino import wire
from bethink.engine.openvino.engine import OpenVinoEngine, OpenVinoStream
from bethink.engine.openvino.loading import shape_of_folder
from bethink.engine.openvino.settings import OpenVinoSettings, Tuning
from bethink.errors import ContextFull, EngineClosed, EngineError, UsageError
from bethink.types import Sampling

pytestmark = pytest.mark.anyio
PROMPT = list(range(40))


async def read(stream: OpenVinoStream) -> list[int]:
    return [token.id async for token in stream]


async def test_the_same_seed_says_the_same_alone(engine: OpenVinoEngine) -> None:
    asked = Sampling(temperature=1.0, seed=7, max_tokens=60)
    first = await read(engine.start(PROMPT, asked))
    assert len(first) == 60
    assert first == await read(engine.start(PROMPT, asked))
    assert first != await read(engine.start(PROMPT, Sampling(temperature=1.0, seed=8, max_tokens=60)))


async def test_nothing_ends_a_stream_that_asked_for_no_stop(engine: OpenVinoEngine) -> None:
    streams = [engine.start(PROMPT, Sampling(temperature=5.0, seed=s, max_tokens=200)) for s in range(8)]
    said = await asyncio.gather(*map(read, streams))
    assert [len(ids) for ids in said] == [200] * 8
    assert any(259 in ids[:-1] for ids in said)  # the model's own end token


async def test_the_stop_token_comes_last(engine: OpenVinoEngine) -> None:
    free = await read(engine.start(PROMPT, Sampling(max_tokens=30)))
    stop = free[9]
    stream = engine.start(PROMPT, Sampling(max_tokens=30, stop_ids=(stop,)))
    assert await read(stream) == free[: free.index(stop) + 1]
    assert stream.finish == "stop"


async def test_logprobs_are_the_models_own(engine: OpenVinoEngine) -> None:
    asked = Sampling(temperature=0.5, top_k=5, seed=3, max_tokens=20, logprobs=True)
    tokens = [token async for token in engine.start(PROMPT, asked)]
    assert all(token.logprob is not None and token.logprob <= 0 for token in tokens)


async def test_starts_that_do_not_fit_wait_their_turn(engine: OpenVinoEngine) -> None:
    streams = [engine.start(PROMPT, Sampling(seed=s, temperature=1.0, max_tokens=300)) for s in range(6)]
    said = await asyncio.gather(*map(read, streams))
    assert [len(ids) for ids in said] == [300] * 6


async def test_what_can_never_fit_is_refused_at_once(engine: OpenVinoEngine) -> None:
    with pytest.raises(ContextFull):
        engine.start(PROMPT, Sampling(max_tokens=500))


async def test_a_waiting_start_can_be_cancelled(engine: OpenVinoEngine) -> None:
    running = engine.start(PROMPT, Sampling(max_tokens=400))
    waiting = engine.start(PROMPT, Sampling(max_tokens=400))
    waiting.cancel()
    assert await read(waiting) == []
    assert waiting.finish == "cancelled"
    assert len(await read(running)) == 400


async def test_a_dropped_stream_gives_its_place_back(engine: OpenVinoEngine) -> None:
    engine.start(PROMPT, Sampling(max_tokens=450))
    gc.collect()
    assert len(await asyncio.wait_for(read(engine.start(PROMPT, Sampling(max_tokens=450))), 60)) == 450


async def test_a_thought_survives_its_workers_death(engine: OpenVinoEngine) -> None:
    whole = await read(engine.start(PROMPT, Sampling(max_tokens=300)))
    stream, said = engine.start(PROMPT, Sampling(max_tokens=300)), list[int]()
    async for token in stream:
        said.append(token.id)
        if len(said) == 20:
            os.kill(engine.worker_pid, signal.SIGKILL)
    assert said[:20] == whole[:20]
    assert (len(said), stream.finish) == (300, "length")


async def test_a_worker_that_keeps_dying_is_given_up(engine: OpenVinoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = engine.start(PROMPT, Sampling(max_tokens=400))
    await anext(aiter(stream))
    monkeypatch.setattr(engine, "_load", wire.Load("nowhere", 1, 1))
    os.kill(engine.worker_pid, signal.SIGKILL)
    with pytest.raises(EngineError):
        await read(stream)
    with pytest.raises(EngineClosed):
        engine.start(PROMPT, Sampling(max_tokens=9))


async def test_a_schema_that_kills_the_worker_is_its_own_requests_error(engine: OpenVinoEngine) -> None:
    other = engine.start(PROMPT, Sampling(max_tokens=300))
    bad = engine.start(PROMPT, Sampling(max_tokens=20, json_schema='{"type": "nonsense"}'))
    with pytest.raises(EngineError, match="schema"):
        await read(bad)
    assert len(await read(other)) == 300


async def test_a_schema_that_is_no_json_is_refused_at_once(engine: OpenVinoEngine) -> None:
    with pytest.raises(UsageError, match="JSON"):
        engine.start(PROMPT, Sampling(max_tokens=9, json_schema="{"))


async def test_closing_while_busy_frees_the_worker_and_tells_the_readers(engine: OpenVinoEngine) -> None:
    stream = engine.start(PROMPT, Sampling(max_tokens=400))
    await anext(aiter(stream))
    worker = engine.worker_pid
    engine.close()
    engine.close()
    assert not psutil.pid_exists(worker)
    with pytest.raises(EngineClosed):
        await read(stream)


def test_a_folder_that_cannot_be_loaded_is_a_clear_error(tiny_folder: Path, tmp_path: Path) -> None:
    for path in tiny_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "openvino_model.xml").write_text("<net")
    settings = OpenVinoSettings(shape_of_folder(tiny_folder), 20, Tuning())
    engine = OpenVinoEngine(tmp_path, "0" * 64, settings)
    with pytest.raises(EngineError, match="cannot load"):
        engine.wait_until_loaded()
    with pytest.raises(EngineClosed):
        engine.start(PROMPT, Sampling(max_tokens=9))
    engine.close()
