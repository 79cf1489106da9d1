"""`cancel` is idempotent, may come from anywhere at any time, and what it freed is free."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from dataclasses import replace

import pytest

from bethink.engine.protocol import Engine
from bethink.types import Sampling
from tests.contract.subject import SMALL_KV_TOKENS, Subject, hear, take

pytestmark = pytest.mark.anyio
LONG = Sampling(max_tokens=600)


def all_of(small: Engine, ids: list[int]) -> Sampling:
    """A start that leaves no room for another."""
    return Sampling(max_tokens=small.info.kv_tokens - len(ids))


@pytest.mark.parametrize("n_tokens", range(7))
async def test_a_cancel_at_any_token_ends_the_stream_there(subject: Subject, n_tokens: int) -> None:
    stream = subject.engine.start(subject.story, LONG)
    await take(stream, n_tokens)
    stream.cancel()
    assert (await hear(stream)).ids == ()
    assert stream.finish == "cancelled"


async def test_a_cancel_while_tokens_wait_unread_drops_them(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, LONG)
    await take(stream, 1)
    await asyncio.sleep(0.2)
    stream.cancel()
    assert (await hear(stream)).finish == "cancelled"


async def test_a_second_cancel_changes_nothing(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, LONG)
    await take(stream, 2)
    stream.cancel()
    stream.cancel()
    assert (await hear(stream)).finish == "cancelled"
    stream.cancel()
    assert stream.finish == "cancelled"


async def test_a_cancel_after_the_end_changes_nothing(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, Sampling(max_tokens=3))
    await hear(stream)
    stream.cancel()
    assert stream.finish == "length"


async def test_a_cancel_from_another_thread_ends_the_wait_of_the_reader(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, LONG)
    await take(stream, 1)
    timer = threading.Timer(0.1, stream.cancel)
    timer.start()
    heard = await asyncio.wait_for(hear(stream), 30)
    timer.join()
    assert heard.finish == "cancelled"
    assert len(heard.ids) < 599


async def test_a_cancel_during_the_prompt_ends_the_stream(subject: Subject) -> None:
    stream = subject.engine.start(subject.prompt("the quick brown fox " * 100), LONG)
    await asyncio.sleep(0.01)
    stream.cancel()
    assert (await asyncio.wait_for(hear(stream), 30)).ids == ()
    assert len((await subject.hear(subject.story, Sampling(max_tokens=2))).ids) == 2


async def test_a_start_after_a_cancel_goes_on_as_if_nothing_had_happened(subject: Subject) -> None:
    asked = Sampling(max_tokens=12)
    whole = (await subject.hear(subject.story, asked)).ids
    stream = subject.engine.start(subject.story, LONG)
    begun = await take(stream, 6)
    stream.cancel()
    rest = await subject.hear([*subject.story, *begun], replace(asked, max_tokens=6))
    assert (*begun, *rest.ids) == whole


async def test_a_start_after_a_cancel_finds_its_prefix_in_the_cache(subject: Subject) -> None:
    if subject.name == "scripted":
        pytest.skip("the scripted engine has no prompt to compute")
    ids = subject.prompt(f"{time.time_ns()} is a number. " + "Here is a long text about foxes and woods. " * 60)

    async def first_token_s(context: list[int]) -> float:
        begun = time.monotonic()
        stream = subject.engine.start(context, LONG)
        said.extend(await take(stream, 8))
        seconds = time.monotonic() - begun
        stream.cancel()
        return seconds

    said: list[int] = []
    cold_s = await first_token_s(ids)
    warm_s = min([await first_token_s([*ids, *said]) for _ in range(3)])
    assert warm_s < 0.6 * cold_s


async def test_a_cancelled_stream_frees_its_room(subject: Subject, small: Engine) -> None:
    ids = subject.story
    for _ in range(3):
        stream = small.start(ids, all_of(small, ids))
        await asyncio.wait_for(take(stream, 2), 60)
        stream.cancel()


async def test_a_stream_that_waits_can_be_cancelled(subject: Subject, small: Engine) -> None:
    ids = subject.story
    first = small.start(ids, all_of(small, ids))
    await take(first, 1)
    waiting = small.start(ids, all_of(small, ids))
    last = small.start(ids, all_of(small, ids))
    waiting.cancel()
    assert (await asyncio.wait_for(hear(waiting), 10)).ids == ()
    first.cancel()
    assert len(await asyncio.wait_for(take(last, 2), 60)) == 2
    last.cancel()


async def test_a_stream_that_is_dropped_without_a_cancel_frees_its_room(subject: Subject, small: Engine) -> None:
    ids = subject.story
    dropped = small.start(ids, all_of(small, ids))
    await take(dropped, 2)
    del dropped
    gc.collect()
    stream = small.start(ids, all_of(small, ids))
    assert len(await asyncio.wait_for(take(stream, 2), 60)) == 2
    stream.cancel()


async def test_a_stream_whose_reader_was_cancelled_frees_its_room(subject: Subject, small: Engine) -> None:
    ids = subject.story
    reader = asyncio.ensure_future(hear(small.start(ids, all_of(small, ids))))
    await asyncio.sleep(0.1)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    del reader
    gc.collect()
    stream = small.start(ids, all_of(small, ids))
    assert len(await asyncio.wait_for(take(stream, 2), 60)) == 2
    stream.cancel()


async def test_a_reader_that_gave_up_once_may_read_on(subject: Subject) -> None:
    """As after a deadline's timeout: no token is lost or doubled."""
    whole = (await subject.hear(subject.story, Sampling(max_tokens=10))).ids
    stream = subject.engine.start(subject.story, Sampling(max_tokens=10))
    heard: list[int] = []
    n_timeouts = 0
    while stream.finish is None and n_timeouts < 100_000:
        try:
            heard.append((await asyncio.wait_for(anext(aiter(stream)), 0.0005)).id)
        except TimeoutError:
            n_timeouts += 1
        except StopAsyncIteration:
            break
    assert tuple(heard) == whole
    assert n_timeouts > 0


async def test_many_cancels_leave_nothing_behind(subject: Subject, small: Engine) -> None:
    ids = subject.story
    for n_tokens in [0, 1, 2] * 10:
        stream = small.start(ids, Sampling(max_tokens=200))
        await asyncio.wait_for(take(stream, n_tokens), 60)
        stream.cancel()
    whole = small.start(ids, Sampling(max_tokens=SMALL_KV_TOKENS - len(ids)))
    assert len(await asyncio.wait_for(take(whole, 3), 60)) == 3
    whole.cancel()
