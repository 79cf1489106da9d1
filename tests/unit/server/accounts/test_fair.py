"""Keys take turns when the engine is full, and nobody's leaving costs a slot."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import Overloaded
from bethink.server.accounts import FairQueue, Pass

pytestmark = pytest.mark.anyio


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_is_taken_at_once_and_no_more_than_there_are() -> None:
    queue = FairQueue(2)
    first, second = await queue.acquire("a"), await queue.acquire("a")
    third = asyncio.create_task(queue.acquire("a"))
    await settled()
    assert (queue.n_running, queue.n_waiting, third.done()) == (2, 1, False)
    first.release()
    first.release()
    await settled()
    assert third.done()
    assert queue.n_running == 2
    second.release()
    (await third).release()
    assert (queue.n_running, queue.n_waiting) == (0, 0)


async def order_of(queue: FairQueue, asked: list[tuple[str, bool]]) -> list[str]:
    """In which order those who asked (key, is low) are let in, when one slot is given on and on."""
    order: list[str] = []
    held = await queue.acquire("first")

    async def ask(key: str, *, is_low: bool) -> None:
        async with queue.slot(key, is_low=is_low):
            order.append(key)
            await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    for key, is_low in asked:
        tasks.append(asyncio.create_task(ask(key, is_low=is_low)))
        await asyncio.sleep(0)
    held.release()
    await asyncio.gather(*tasks)
    return order


async def test_keys_take_turns_whatever_one_of_them_sends() -> None:
    asked = [*[("greedy", False)] * 5, ("b", False), ("c", False), ("b", False)]
    assert await order_of(FairQueue(1), asked) == ["greedy", "b", "c", "greedy", "b", "greedy", "greedy", "greedy"]


async def test_low_priority_waits_for_everybody_else() -> None:
    asked = [("batch", True), ("batch", True), ("a", False), ("b", False), ("a", False)]
    assert await order_of(FairQueue(1), asked) == ["a", "b", "a", "batch", "batch"]


async def test_who_comes_late_does_not_go_before_who_waits() -> None:
    queue, order = FairQueue(1), list[str]()
    held = await queue.acquire("x")

    async def ask(key: str) -> None:
        async with queue.slot(key):
            order.append(key)

    tasks = [asyncio.create_task(ask("patient")) for _ in range(2)]
    await settled()
    held.release()
    for n in range(6):  # each time a new key comes along
        tasks.append(asyncio.create_task(ask(f"new{n}")))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order.index("new3") > [at for at, key in enumerate(order) if key == "patient"][1]


async def test_a_key_with_long_requests_does_not_hold_all_slots_forever() -> None:
    queue = FairQueue(4)
    long = [await queue.acquire("long") for _ in range(4)]
    waiting = {key: asyncio.create_task(queue.acquire(key)) for key in ("long", "short")}
    await settled()
    long[0].release()
    await settled()
    assert waiting["short"].done()
    assert not waiting["long"].done()
    waiting["long"].cancel()


async def test_too_many_who_wait_are_refused_by_key_and_together() -> None:
    queue = FairQueue(1, max_waiting=3, max_waiting_per_key=2)
    await queue.acquire("a")
    tasks = [asyncio.create_task(queue.acquire("a", is_low=low)) for low in (False, True)]
    await settled()
    with pytest.raises(Overloaded, match="2 requests of this key wait already") as refused:
        await queue.acquire("a")
    assert (refused.value.http_status, refused.value.code) == (503, "overloaded")
    assert refused.value.retry_after_s > 0
    tasks.append(asyncio.create_task(queue.acquire("b")))
    await settled()
    with pytest.raises(Overloaded, match="the engine is full, and 3 requests wait already"):
        await queue.acquire("c")
    for task in tasks:
        task.cancel()
    await settled()
    assert queue.n_waiting == 0


async def test_more_slots_let_more_in() -> None:
    queue = FairQueue(1)
    await queue.acquire("a")
    waiting = [asyncio.create_task(queue.acquire("b")) for _ in range(3)]
    await settled()
    queue.resize(3)
    await settled()
    assert [task.done() for task in waiting] == [True, True, False]
    queue.resize(1)
    (await waiting[0]).release()
    await settled()
    assert not waiting[2].done()
    waiting[2].cancel()


MOVES = st.lists(
    st.tuples(st.sampled_from(["ask", "low", "leave", "cancel", "both", "step"]), st.integers(0, 5)), max_size=60
)


@given(slots=st.integers(1, 3), moves=MOVES)
def test_whoever_comes_and_goes_no_slot_is_lost_or_given_twice(slots: int, moves: list[tuple[str, int]]) -> None:
    async def play() -> None:
        queue = FairQueue(slots, max_waiting=8, max_waiting_per_key=4)
        tasks: list[asyncio.Task[Pass]] = []
        gone: set[asyncio.Task[Pass]] = set()

        def held() -> list[Pass]:
            let_in = [t for t in tasks if t.done() and not t.cancelled() and t.exception() is None]
            return [passed for task in let_in if (passed := task.result()).is_held]

        def waiting() -> list[asyncio.Task[Pass]]:
            return [task for task in tasks if not task.done() and task not in gone]

        for move, number in moves:
            if move in ("ask", "low"):
                tasks.append(asyncio.create_task(queue.acquire(f"k{number % 3}", is_low=move == "low")))
            if move in ("leave", "both") and held():
                held()[number % len(held())].release()
            if move in ("cancel", "both") and waiting():
                chosen = waiting()[number % len(waiting())]
                chosen.cancel()
                gone.add(chosen)
            if move == "step":
                await settled()
                assert len(held()) == queue.n_running <= slots
                assert len(waiting()) == queue.n_waiting
                assert queue.n_running == slots or not queue.n_waiting, "a slot stands free while somebody waits"
                running = Counter(passed.key for passed in held())
                assert sum(running.values()) == queue.n_running
        for _ in range(len(tasks) + 1):
            await settled()
            for passed in held():
                passed.release()
        await settled()
        assert (queue.n_running, queue.n_waiting) == (0, 0)
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
