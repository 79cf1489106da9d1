"""Models on demand: loaded when first asked for, shared by all who ask, unloaded when idle or when memory is needed.

What always holds: a model is never closed while somebody holds it; one model is loaded at a time; a request never
downloads anything, since a name in a body must not fetch gigabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

from bethink.errors import DoesNotFit, EngineClosed, UnknownModel
from bethink.model import Model
from bethink.server.cards import Card

DEFAULT_NAMES = ("", "default", "bethink")


@dataclass(slots=True, eq=False)
class Loaded:
    """A model in memory. `idle_since` is on the monotonic clock; `keep_s` is its last user's wish."""

    model: Model
    n_held: int = 0
    keep_s: float | None = None
    idle_since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Pool:
    """`load` fetches nothing and may take long; it runs in a thread. `known` lists what could be loaded, `card` says
    what is known of it. `keep_s` is how long an idle model stays (None: until its memory is needed); `default` answers
    to no name at all."""

    load: Callable[[str], Model]
    known: Callable[[], tuple[str, ...]]
    default: str
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    keep_s: float | None = None
    on_change: Callable[[str, str], None] = lambda _name, _what: None
    card: Callable[[str], Card] = Card
    _loaded: dict[str, Loaded] = field(default_factory=dict[str, Loaded])
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def resolve(self, name: str) -> str:
        """The model that a client's name means.

        Raises: UnknownModel.
        """
        plain = name.strip().removesuffix(":latest")
        found = self.default if plain in DEFAULT_NAMES else self.aliases.get(plain, plain)
        if found in self._loaded or found in self.known():
            return found
        here = ", ".join(self.known()) or "none"
        raise UnknownModel(f"there is no model {name!r} on this server", f"it has: {here}; `bethink pull` fetches more")

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        return self._loaded

    @contextlib.asynccontextmanager
    async def hold(self, name: str, *, keep_s: float | None = None) -> AsyncGenerator[Model]:
        """The model of that (resolved) name, loaded while it is held, and for `keep_s` afterwards if one is given.

        Raises: StoreError, EngineError.
        """
        entry = self._loaded.get(name) or await self._load(name)
        entry.n_held += 1
        entry.keep_s = entry.keep_s if keep_s is None else keep_s
        try:
            yield entry.model
        except EngineClosed:
            self._drop(name, entry)
            raise
        finally:
            entry.n_held -= 1
            entry.idle_since = time.monotonic()

    async def warm_up(self, name: str) -> None:
        async with self.hold(name):
            pass

    async def unload(self, name: str) -> bool:
        """Close an idle model. False: somebody holds it, or it is not loaded."""
        entry = self._loaded.get(name)
        if entry is None or entry.n_held:
            return False
        self._drop(name, entry)
        await asyncio.to_thread(entry.model.close)
        return True

    async def unload_idle(self, now: float) -> None:
        """Close what nobody asked for during `keep_s`. `now` is on the monotonic clock."""
        for name, entry in list(self._loaded.items()):
            keep_s = self.keep_s if entry.keep_s is None else entry.keep_s
            if keep_s is not None and entry.n_held == 0 and now - entry.idle_since >= keep_s:
                await self.unload(name)

    async def close(self) -> None:
        for name, entry in list(self._loaded.items()):
            self._drop(name, entry)
            await asyncio.to_thread(entry.model.close)

    async def _load(self, name: str) -> Loaded:
        async with self._loading:
            if (entry := self._loaded.get(name)) is not None:
                return entry
            while True:
                try:
                    model = await asyncio.to_thread(self.load, name)
                    break
                except DoesNotFit:
                    if not await self._make_room():
                        raise
            entry = self._loaded[name] = Loaded(model)
            self.on_change(name, "loaded")
            return entry

    async def _make_room(self) -> bool:
        """Close the model that has been idle longest; False when there is none."""
        idle = [(entry.idle_since, name) for name, entry in self._loaded.items() if entry.n_held == 0]
        return await self.unload(min(idle)[1]) if idle else False

    def _drop(self, name: str, entry: Loaded) -> None:
        if self._loaded.get(name) is entry:
            del self._loaded[name]
            self.on_change(name, "unloaded")
