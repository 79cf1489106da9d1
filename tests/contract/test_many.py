"""Many at once, from everywhere: nothing is lost, mixed up or blocked, and closing is always possible."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bethink.engine.protocol import Engine
from bethink.errors import EngineClosed
from bethink.types import Sampling
from tests.contract.subject import Heard, Subject, hear, take

pytestmark = pytest.mark.anyio


async def test_64_at_once_all_come_to_their_end(subject: Subject) -> None:
    asked = [Sampling(max_tokens=4 + seed % 5, temperature=1.0, seed=seed) for seed in range(64)]
    heard = await asyncio.gather(*(subject.hear(subject.story, one) for one in asked))
    assert [len(one.ids) for one in heard] == [one.max_tokens for one in asked]
    assert len({one.ids[:4] for one in heard}) > 8


async def test_at_once_or_alone_greedy_says_the_same(subject: Subject) -> None:
    """Of its first tokens: numbers differ in their last bits with the size of the batch."""
    questions = [subject.prompt(f"What is {n} plus {n}?") for n in range(8)]
    alone = [(await subject.hear(ids, Sampling(max_tokens=4))).ids for ids in questions]
    together = await asyncio.gather(*(subject.hear(ids, Sampling(max_tokens=4)) for ids in questions))
    n_same = sum(one.ids == other for one, other in zip(together, alone, strict=True))
    assert n_same >= 5


async def test_a_thousand_short_requests(subject: Subject) -> None:
    ids = subject.tokenizer.encode("A fox")
    turns = asyncio.Semaphore(100)

    async def one(seed: int) -> Heard:
        async with turns:
            return await subject.hear(ids, Sampling(max_tokens=1 + seed % 2, temperature=1.0, seed=seed))

    heard = await asyncio.gather(*(one(seed) for seed in range(1000)))
    assert [len(one.ids) for one in heard] == [1 + seed % 2 for seed in range(1000)]
    assert {one.finish for one in heard} == {"length"}


async def test_what_does_not_fit_now_waits_its_turn(subject: Subject, small: Engine) -> None:
    ids = subject.story
    asked = Sampling(max_tokens=small.info.kv_tokens // 2 - len(ids), stop_ids=())

    async def some() -> int:
        stream = small.start(ids, asked)
        n_tokens = len(await take(stream, 4))
        stream.cancel()
        return n_tokens

    assert await asyncio.wait_for(asyncio.gather(*(some() for _ in range(7))), 120) == [4] * 7


async def test_starts_come_from_several_threads_with_their_own_loops(subject: Subject) -> None:
    alone = (await subject.hear(subject.story, Sampling(max_tokens=3))).ids

    def in_a_thread(_: int) -> list[Heard]:
        async def several() -> list[Heard]:
            return await asyncio.gather(*(subject.hear(subject.story, Sampling(max_tokens=3)) for _ in range(4)))

        return asyncio.run(several())

    with ThreadPoolExecutor(4) as threads:
        work = [asyncio.wrap_future(threads.submit(in_a_thread, n)) for n in range(4)]
        heard = [one for many in await asyncio.gather(*work) for one in many]
    assert len(heard) == 16
    assert sum(one.ids == alone for one in heard) >= 12  # the last bits of numbers differ with the size of the batch
    assert {len(one.ids) for one in heard} == {3}


async def test_a_stream_is_read_in_another_loop_than_it_was_started_in(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, Sampling(max_tokens=3))
    heard = await asyncio.to_thread(lambda: asyncio.run(hear(stream)))
    assert len(heard.ids) == 3


async def test_a_start_needs_no_loop(subject: Subject) -> None:
    stream = await asyncio.to_thread(subject.engine.start, subject.story, Sampling(max_tokens=3))
    assert len((await hear(stream)).ids) == 3


async def test_the_loop_is_never_blocked(subject: Subject) -> None:
    gaps_s: list[float] = []

    async def tick() -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.005)
            gaps_s.append(time.monotonic() - begun)

    ticking = asyncio.ensure_future(tick())
    ids = subject.prompt(f"{time.time_ns()} " + "the quick brown fox " * 60)
    await asyncio.gather(*(subject.hear(ids, Sampling(max_tokens=8)) for _ in range(2)))
    ticking.cancel()
    assert sorted([0.0, 0.0, *gaps_s])[-3] < 0.25


async def test_a_close_while_busy_tells_every_reader(subject: Subject, small: Engine) -> None:
    ids = subject.story
    asked = Sampling(max_tokens=small.info.kv_tokens // 3 - len(ids))
    readers = [asyncio.ensure_future(hear(small.start(ids, asked))) for _ in range(6)]
    await asyncio.sleep(0.005)
    await asyncio.to_thread(small.close)
    ends = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 30)
    assert {type(end) for end in ends} <= {EngineClosed, Heard}
    assert sum(isinstance(end, EngineClosed) for end in ends) >= 3
    small.close()
    with pytest.raises(EngineClosed):
        small.start(ids, asked)


async def test_a_close_from_the_loop_that_reads_does_not_hang(subject: Subject, small: Engine) -> None:
    stream = small.start(subject.story, Sampling(max_tokens=400))
    await take(stream, 1)
    begun = time.monotonic()
    small.close()
    assert time.monotonic() - begun < 10
    with pytest.raises(EngineClosed):
        await take(stream, 400)
    stream.cancel()


async def test_two_closes_at_once_are_one(subject: Subject, small: Engine) -> None:
    del subject
    closers = [threading.Thread(target=small.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    await asyncio.to_thread(lambda: [closer.join(20) for closer in closers])
    assert not any(closer.is_alive() for closer in closers)


async def test_a_close_without_any_start_is_quiet(subject: Subject) -> None:
    await asyncio.to_thread(subject.open_small().close)
