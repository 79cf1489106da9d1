"""Models on demand: loaded when first asked for, shared by all who ask, unloaded when idle or when memory is needed.

What always holds: a model is never closed while somebody holds it; one model is loaded at a time, and goes on loading
when whoever asked has gone; a request never downloads anything, since a name in a body must not fetch gigabytes; a
model whose engine dies again at once is taken out for a while, so that it cannot keep the machine busy with dying.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bethink.errors import DoesNotFit, EngineClosed, EngineError, Overloaded, UnknownModel
from bethink.model import Model
from bethink.server.running.cards import Card

DEFAULT_NAMES = ("", "default", "bethink")
BROKEN_S = (30.0, 120.0, 600.0)
"""How long a model is taken out after its first, second, and every later death."""
STABLE_S = 600.0
"""An engine that lived so long begins with a clean record."""
Change = Literal["loaded", "unloaded", "died", "restored"]


class ModelBroken(EngineError):
    """It died again and again; `retry_after_s` until it is tried once more."""

    code = "model_broken"
    http_status = 503

    def __init__(self, message: str, hint: str = "", *, retry_after_s: float) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class NoAdapters(UnknownModel):
    code = "no_adapters"


@dataclass(slots=True, eq=False)
class Loaded:
    """A model in memory. `since` and `idle_since` are on the monotonic clock. `is_dropped`: it is closed when the last
    who holds it lets go. `keep_s` is how long it stays when idle (None: until its memory is needed)."""

    model: Model
    n_held: int = 0
    since: float = field(default_factory=time.monotonic)
    idle_since: float = field(default_factory=time.monotonic)
    is_dropped: bool = False
    keep_s: float | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """What is known of a model that died. `until` is on the monotonic clock."""

    why: str
    n_deaths: int
    until: float


@dataclass(slots=True)
class Pool:
    """`load` fetches nothing and may take long; it runs in a thread. `known` lists what could be loaded, `card` says
    what is known of one. `keep_s` is how long an idle model stays (None: until its memory is needed), but for those in
    `kept`, which stay; `default` answers to no name at all."""

    load: Callable[[str], Model]
    known: Callable[[], tuple[str, ...]]
    default: str
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    keep_s: float | None = None
    kept: frozenset[str] = frozenset()
    on_change: Callable[[str, Change], None] = lambda _name, _what: None
    card: Callable[[str], Card] = Card
    clock: Callable[[], float] = time.monotonic
    _loaded: dict[str, Loaded] = field(default_factory=dict[str, Loaded])
    _broken: dict[str, Broken] = field(default_factory=dict[str, Broken])
    _loading: dict[str, asyncio.Task[Loaded]] = field(default_factory=dict[str, asyncio.Task[Loaded]])
    _closing: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def resolve(self, name: str, may_use: Callable[[str], bool] = lambda _name: True) -> str:
        """The model that a client's name means. An error tells of no model but those that it `may_use`.

        Raises: UnknownModel.
        """
        plain = name.strip().removesuffix(":latest")
        found = self.default if plain in DEFAULT_NAMES else self.aliases.get(plain, plain)
        if found in self._loaded:
            return found
        known = self.known()
        if found in known:
            return found
        base, _, adapter = found.rpartition(":")
        if adapter and (base in known or base in self.aliases):
            hint = f"ask for {base!r}; it answers without the adapter"
            raise NoAdapters(f"{adapter!r} would be an adapter of {base!r}, and adapters are not served yet", hint)
        here = ", ".join(filter(may_use, known)) or "none"
        raise UnknownModel(
            f"there is no model {name[:200]!r} on this server", f"it has: {here}; `bethink pull` fetches more"
        )

    def names(self) -> dict[str, str]:
        """Every name that a client may give, with the model it means. Reads what is known once."""
        known = self.known()
        aliases = {name: meant for name, meant in self.aliases.items() if meant in known or meant in self._loaded}
        return {name: name for name in known} | aliases

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        return self._loaded

    def add(self, name: str, model: Model) -> None:
        """A model that was loaded already."""
        now, keep_s = self.clock(), None if name in self.kept else self.keep_s
        self._loaded[name] = Loaded(model, since=now, idle_since=now, keep_s=keep_s)
        self.on_change(name, "loaded")

    @contextlib.asynccontextmanager
    async def hold(self, name: str, *, keep_s: float | None = None, may_shorten: bool = True) -> AsyncGenerator[Model]:
        """The model of that (resolved) name, loaded while it is held, and for `keep_s` afterwards where that is wished
        (infinite: until its memory is needed) and the operator did not say otherwise. Without `may_shorten` it stays at
        least as long as it would have.

        Raises: StoreError, EngineError, Overloaded.
        """
        entry = await self._entry(name)
        is_longer = keep_s is not None and entry.keep_s is not None and keep_s > entry.keep_s
        if keep_s is not None and name not in self.kept and (may_shorten or is_longer):
            entry.keep_s = None if math.isinf(keep_s) else keep_s
        try:
            yield entry.model
        except EngineClosed as error:
            self._died(name, entry, error)
            raise
        finally:
            entry.n_held -= 1
            entry.idle_since = self.clock()
            if entry.is_dropped and entry.n_held == 0:
                await self._closed(entry)

    async def warm_up(self, name: str) -> None:
        async with self.hold(name):
            pass

    async def unload(self, name: str) -> bool:
        """Close an idle model. False: somebody holds it, or it is not loaded."""
        entry = self._loaded.get(name)
        if entry is None or entry.n_held:
            return False
        self._drop(name, entry)
        await self._closed(entry)
        return True

    async def unload_idle(self, now: float) -> None:
        """Close what nobody asked for while it was kept. `now` is on the monotonic clock."""
        for name, entry in list(self._loaded.items()):
            if entry.n_held == 0 and entry.keep_s is not None and now - entry.idle_since >= entry.keep_s:
                await self.unload(name)

    async def close(self) -> None:
        """Whoever still holds a model hears that its engine was closed."""
        for task in list(self._loading.values()):
            with contextlib.suppress(Exception):
                await task
        for name, entry in list(self._loaded.items()):
            self._drop(name, entry)
            await self._closed(entry)
        await asyncio.gather(*self._closing)

    async def _closed(self, entry: Loaded) -> None:
        """Close it beside the event loop, to the end, even when whoever waits is cancelled."""
        closing = asyncio.create_task(asyncio.to_thread(entry.model.close))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def _entry(self, name: str) -> Loaded:
        """Held by the caller already: between finding and holding, nobody else runs."""
        while True:
            if (entry := self._loaded.get(name)) is None:
                self._refuse_broken(name)
                entry = await asyncio.shield(self._being_loaded(name))
            if not entry.is_dropped:
                entry.n_held += 1
                return entry

    def _being_loaded(self, name: str) -> asyncio.Task[Loaded]:
        """One load for all who wait; it ends even when they all go away."""
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._load(name), name=f"bethink load {name}")
            task.add_done_callback(
                lambda done: self._loading.pop(name, None) and (done.cancelled() or done.exception())
            )
        return task

    async def _load(self, name: str) -> Loaded:
        async with self._turn:
            while True:
                try:
                    model = await asyncio.to_thread(self.load, name)
                    break
                except DoesNotFit as error:
                    if not await self._make_room():
                        self._refuse_for_now(name, error)
                        raise
                except EngineClosed as error:
                    self._take_out(name, error)
                    raise
            self.add(name, model)
            return self._loaded[name]

    async def _make_room(self) -> bool:
        """Close the model that has been idle longest; False when there is none."""
        idle = [(entry.idle_since, name) for name, entry in self._loaded.items() if entry.n_held == 0]
        return await self.unload(min(idle)[1]) if idle else False

    def _refuse_for_now(self, name: str, error: DoesNotFit) -> None:
        """Raises: Overloaded: it may fit once others are idle. Which ones is not everybody's business."""
        if self._loaded:
            message = f"{name} does not fit into memory beside what is at work"
            raise Overloaded(message, "try again when it is idle", retry_after_s=10.0) from error

    def _died(self, name: str, entry: Loaded, error: EngineClosed) -> None:
        if entry.is_dropped:
            return  # closed on purpose, or another request of it has told already
        if self.clock() - entry.since >= STABLE_S:
            self._broken.pop(name, None)
        self._drop(name, entry)
        self._take_out(name, error)

    def _take_out(self, name: str, error: EngineClosed) -> None:
        before = self._broken.get(name)
        n = 1 if before is None else before.n_deaths + 1
        self._broken[name] = Broken(str(error), n, self.clock() + BROKEN_S[min(n, len(BROKEN_S)) - 1])
        self.on_change(name, "died")

    def _refuse_broken(self, name: str) -> None:
        broken = self._broken.get(name)
        if broken is not None and (left_s := broken.until - self.clock()) > 0:
            raise ModelBroken(
                f"the engine of {name} died and is given a rest: {broken.why}",
                f"it is tried again in {left_s:.0f} s; `bethink doctor` shows what the machine has",
                retry_after_s=left_s,
            )

    def _drop(self, name: str, entry: Loaded) -> None:
        entry.is_dropped = True
        if self._loaded.get(name) is entry:
            del self._loaded[name]
            self.on_change(name, "unloaded")
