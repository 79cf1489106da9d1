"""Models come when they are asked for, stay while they are held, and go when they are idle or broken."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from bethink.errors import DoesNotFit, EngineClosed, Overloaded, StoreError, UnknownModel
from bethink.model import Model
from bethink.server.running.pool import BROKEN_S, Change, ModelBroken, NoAdapters, Pool
from tests.unit.server.scripted import scripted_model

pytestmark = pytest.mark.anyio
NAMES = ("small:1b", "large:70b", "qwen2.5-coder:0.5b")


class Shelf:
    """Counts what is loaded; at most `room` models fit at once."""

    def __init__(self, room: int = 9) -> None:
        self.room = room
        self.loads: list[str] = []
        self.models: dict[str, Model] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.now = 0.0
        self.changes: list[tuple[str, Change]] = []

    def load(self, name: str) -> Model:
        assert self.gate.wait(5)
        if sum(not is_closed(model) for model in self.models.values()) >= self.room:
            raise DoesNotFit(f"{name} does not fit")
        self.loads.append(name)
        self.models[name] = scripted_model()
        return self.models[name]

    def pool(self, *, keep_s: float | None = None, kept: frozenset[str] = frozenset()) -> Pool:
        return Pool(
            load=self.load,
            known=lambda: NAMES,
            default=NAMES[0],
            aliases={"gpt-4o": "large:70b", "coder": "qwen2.5-coder:0.5b"},
            keep_s=keep_s,
            kept=kept,
            on_change=lambda name, change: self.changes.append((name, change)),
            clock=lambda: self.now,
        )


def is_closed(model: Model) -> bool:
    return bool(getattr(model.engine, "is_closed"))  # noqa: B009 - of the scripted engine


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("", "small:1b"),
        ("default", "small:1b"),
        ("gpt-4o", "large:70b"),
        ("gpt-4o:latest", "large:70b"),
        ("large:70b", "large:70b"),
    ],
)
def test_a_name_means_a_model(asked: str, meant: str) -> None:
    assert Shelf().pool().resolve(asked) == meant


@pytest.mark.parametrize("asked", ["nope", "nope:1b", "../../etc/passwd", "x" * 10_000, "small", ":", "a:b:c:d"])
def test_a_name_that_means_nothing_is_unknown(asked: str) -> None:
    with pytest.raises(UnknownModel) as told:
        Shelf().pool().resolve(asked)
    assert not isinstance(told.value, NoAdapters)
    assert len(str(told.value)) < 300


def test_an_error_tells_of_no_model_that_its_reader_may_not_use() -> None:
    with pytest.raises(UnknownModel) as caught:
        Shelf().pool().resolve("nothing", lambda name: name == "small:1b")
    assert "small:1b" in caught.value.hint
    assert "large:70b" not in caught.value.hint


@pytest.mark.parametrize("asked", ["qwen2.5-coder:0.5b:mine", "small:1b:a", "coder:mine"])
def test_a_name_after_a_model_is_kept_for_adapters(asked: str) -> None:
    with pytest.raises(NoAdapters, match="adapters are not served yet"):
        Shelf().pool().resolve(asked)


async def test_many_who_ask_at_once_load_once() -> None:
    shelf = Shelf()
    pool = shelf.pool()

    async def hold() -> Model:
        async with pool.hold("small:1b") as model:
            await asyncio.sleep(0)
            return model

    assert len({id(model) for model in await asyncio.gather(*(hold() for _ in range(50)))}) == 1
    assert shelf.loads == ["small:1b"]
    await pool.close()


async def test_a_model_is_loaded_to_the_end_though_whoever_asked_has_gone() -> None:
    shelf = Shelf()
    pool = shelf.pool()
    shelf.gate.clear()
    asking = asyncio.create_task(pool.warm_up("small:1b"))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait({asking})
    shelf.gate.set()
    await pool.warm_up("small:1b")
    assert (asking.cancelled(), shelf.loads) == (True, ["small:1b"])
    await pool.close()


async def test_an_idle_model_goes_after_its_time_unless_it_is_held_or_kept() -> None:
    shelf = Shelf()
    pool = shelf.pool(keep_s=60, kept=frozenset({"large:70b"}))
    await pool.warm_up("small:1b")
    await pool.warm_up("large:70b")
    async with pool.hold("small:1b"):
        await pool.unload_idle(1000.0)
        assert set(pool.loaded) == {"small:1b", "large:70b"}
    await pool.unload_idle(59.0)
    assert set(pool.loaded) == {"small:1b", "large:70b"}
    await pool.unload_idle(60.0)
    assert set(pool.loaded) == {"large:70b"}
    assert is_closed(shelf.models["small:1b"])
    await pool.close()


async def test_the_model_idle_longest_makes_room() -> None:
    shelf = Shelf(room=2)
    pool = shelf.pool()
    await pool.warm_up("small:1b")
    shelf.now = 1.0
    await pool.warm_up("large:70b")
    await pool.warm_up("qwen2.5-coder:0.5b")
    assert set(pool.loaded) == {"large:70b", "qwen2.5-coder:0.5b"}
    await pool.close()


async def test_when_all_are_at_work_whoever_asks_for_another_comes_back_later() -> None:
    pool = Shelf(room=1).pool()
    async with pool.hold("small:1b"):
        with pytest.raises(Overloaded, match="does not fit into memory beside what is at work") as refused:
            await pool.warm_up("large:70b")
        assert "small" not in f"{refused.value}{refused.value.hint}"
    await pool.warm_up("large:70b")
    await pool.close()


async def test_what_never_fits_is_said_as_it_is() -> None:
    with pytest.raises(DoesNotFit):
        await Shelf(room=0).pool().warm_up("small:1b")


async def test_a_load_that_fails_is_tried_again_by_the_next() -> None:
    outcomes: list[Callable[[], Model]] = [_fails, scripted_model]
    pool = Pool(load=lambda _: outcomes.pop(0)(), known=lambda: NAMES, default=NAMES[0])
    with pytest.raises(StoreError):
        await pool.warm_up("small:1b")
    await pool.warm_up("small:1b")
    await pool.close()


def _fails() -> Model:
    raise StoreError("the disk is gone")


async def test_a_model_whose_engine_died_is_closed_when_the_last_lets_go_and_rests_longer_each_time() -> None:
    shelf = Shelf()
    pool = shelf.pool()
    for rest_s in BROKEN_S:
        async with pool.hold("small:1b"):
            with pytest.raises(EngineClosed):
                async with pool.hold("small:1b"):
                    raise EngineClosed("died 3 times in a row")
            assert not is_closed(shelf.models["small:1b"])
        assert is_closed(shelf.models["small:1b"])
        with pytest.raises(ModelBroken, match="died 3 times in a row") as told:
            await pool.warm_up("small:1b")
        assert told.value.retry_after_s == rest_s
        shelf.now += rest_s
    assert [change for _, change in shelf.changes] == ["loaded", "unloaded", "died"] * 3
    await pool.warm_up("small:1b")
    await pool.close()


async def test_models_are_held_loaded_and_unloaded_by_many_at_once_without_one_closed_in_use() -> None:
    shelf = Shelf(room=2)
    pool = shelf.pool(keep_s=0.0)

    async def use(n: int) -> int:
        done = 0
        for step in range(20):
            try:
                async with pool.hold(NAMES[(n + step) % 3]) as model:
                    await asyncio.sleep(0.0005 * (n % 3))
                    assert not is_closed(model)
                    done += 1
            except Overloaded:
                await asyncio.sleep(0.001)
        return done

    async def tidy() -> None:
        while True:
            await asyncio.sleep(0.001)
            await pool.unload_idle(time.monotonic())

    tidying = asyncio.create_task(tidy())
    done = await asyncio.gather(*(use(n) for n in range(8)))
    tidying.cancel()
    await asyncio.wait({tidying})
    assert sum(done) > 40
    await pool.close()
    assert all(is_closed(model) for model in shelf.models.values())
