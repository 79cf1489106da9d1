"""`FairQueue`: who is next when the engine is full. Pure asyncio; times and databases are no part of it.

What always holds: never more than `slots` are let in at once; whoever waits is let in as soon as a slot is free; the
next is of the key that has the fewest under way, and among those, of the one whose turn is longest ago, so that keys
take turns whatever one of them sends; requests of low priority (batches) are let in only when nobody else waits;
whoever stops waiting leaves no trace, and a slot given to somebody who has just left goes to the next.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bethink.errors import Overloaded

RETRY_AFTER_S = 2.0


@dataclass(slots=True, eq=False)
class Pass:
    """The right to a slot. Release it once; again does nothing."""

    _queue: FairQueue
    key: str
    is_held: bool = True

    def release(self) -> None:
        if self.is_held:
            self.is_held = False
            self._queue.leave(self.key)


@dataclass(slots=True)
class _Line:
    """Those of one key that wait, at one priority. `turn` is when the first came, or when one was last let in."""

    turn: int
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])


class FairQueue:
    """For one event loop. `max_waiting` bounds those who wait, `max_waiting_per_key` those of one key."""

    def __init__(self, slots: int, *, max_waiting: int = 1000, max_waiting_per_key: int = 250) -> None:
        if slots < 1 or max_waiting < 0 or max_waiting_per_key < 0:
            raise ValueError(f"a queue with {slots} slots and {max_waiting} who wait")
        self._slots = slots
        self._max_waiting = max_waiting
        self._max_waiting_per_key = max_waiting_per_key
        self._lines: tuple[dict[str, _Line], dict[str, _Line]] = ({}, {})
        self._running: Counter[str] = Counter()
        self._n_running = 0
        self._n_waiting = 0
        self._turn = 0

    @property
    def n_running(self) -> int:
        return self._n_running

    @property
    def n_waiting(self) -> int:
        return self._n_waiting

    async def acquire(self, key: str, *, is_low: bool = False) -> Pass:
        """Wait for a slot.

        Raises: Overloaded: too many wait already.
        """
        if self._n_running < self._slots and not self._n_waiting:
            self._enter(key)
            return Pass(self, key)
        self._check_room(key)
        let_in = asyncio.get_running_loop().create_future()
        if key not in self._lines[is_low]:
            self._lines[is_low][key] = _Line(self._next_turn())
        self._lines[is_low][key].waiting.append(let_in)
        self._n_waiting += 1
        try:
            await let_in
        except asyncio.CancelledError:
            if let_in.cancelled():
                self._forget(key, let_in, is_low=is_low)
            else:  # let in, and gone at the same moment
                self.leave(key)
            raise
        return Pass(self, key)

    @asynccontextmanager
    async def slot(self, key: str, *, is_low: bool = False) -> AsyncGenerator[None]:
        """Raises: Overloaded."""
        held = await self.acquire(key, is_low=is_low)
        try:
            yield
        finally:
            held.release()

    def resize(self, slots: int) -> None:
        """More are let in at once; fewer as those under way end."""
        if slots < 1:
            raise ValueError(f"a queue with {slots} slots")
        self._slots = slots
        self._let_in()

    def leave(self, key: str) -> None:
        """For passes."""
        self._n_running -= 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self._let_in()

    def _check_room(self, key: str) -> None:
        n_own = sum(len(lines[key].waiting) for lines in self._lines if key in lines)
        if n_own >= self._max_waiting_per_key:
            message = f"{n_own} requests of this key wait already, which is the most"
            raise Overloaded(message, "send the next when one has ended", retry_after_s=RETRY_AFTER_S)
        if self._n_waiting >= self._max_waiting:
            message = f"the engine is full, and {self._n_waiting} requests wait already"
            raise Overloaded(message, "try again in a moment", retry_after_s=RETRY_AFTER_S)

    def _let_in(self) -> None:
        while self._n_running < self._slots and self._n_waiting:
            lines = self._lines[0] or self._lines[1]
            key = min(lines, key=lambda name: (self._running[name], lines[name].turn))
            lines[key].turn = self._next_turn()
            let_in = lines[key].waiting.popleft()
            if not lines[key].waiting:
                del lines[key]
            self._n_waiting -= 1
            if not let_in.cancelled():  # or it is on its way out
                self._enter(key)
                let_in.set_result(None)

    def _enter(self, key: str) -> None:
        self._n_running += 1
        self._running[key] += 1

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _forget(self, key: str, let_in: asyncio.Future[None], *, is_low: bool) -> None:
        line = self._lines[is_low].get(key)
        if line is not None and let_in in line.waiting:
            line.waiting.remove(let_in)
            self._n_waiting -= 1
            if not line.waiting:
                del self._lines[is_low][key]
