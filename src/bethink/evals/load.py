"""`Load`: how many paths run on the engine, who may start next, and whose time the machine's seconds were.

Questions wait in turn until there is room for their first wave; later waves are counted as they come, so that the
engine is kept full and never far from `capacity`. A second in which several questions ran is shared among them by
their paths: the sum over all is the time in which anything ran.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


class NotStarted(Exception):
    """The load was stopped before this question's turn came."""


@dataclass(slots=True)
class Share:
    """One question's part of the machine: `seconds` so far, while `n_paths` of it run."""

    seconds: float = 0.0
    n_paths: int = 0
    since: float = 0.0


@dataclass(slots=True)
class Load:
    """At most `capacity` paths start together. Belongs to one event loop; `clock` is in seconds."""

    capacity: int
    clock: Callable[[], float]
    n_running: int = 0
    _virtual: float = 0.0
    _last: float = 0.0
    _n_coming: int = 0
    _is_stopped: bool = False
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque[tuple[int, asyncio.Future[None]]])

    async def enter(self, n_paths: int) -> Share:
        """Wait until `n_paths` (or all there are) may start. Raises: NotStarted."""
        if self._is_stopped:
            raise NotStarted
        wanted = min(n_paths, self.capacity)
        if self._waiting or self.n_running + self._n_coming + wanted > self.capacity:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((wanted, turn))
            await turn
            self._n_coming -= wanted
        share = Share()
        self.change(share, n_paths)
        return share

    def change(self, share: Share, n_paths: int) -> None:
        """From now on `n_paths` of this question run."""
        now = self.clock()
        if self.n_running:
            self._virtual += (now - self._last) / self.n_running
        self._last = now
        share.seconds += share.n_paths * (self._virtual - share.since)
        share.since = self._virtual
        self.n_running += n_paths - share.n_paths
        share.n_paths = n_paths
        self._admit()

    def stop(self) -> None:
        """Nothing starts any more; who waits is told."""
        self._is_stopped = True
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(NotStarted())
        self._waiting.clear()

    def _admit(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and self.n_running + self._n_coming + wanted > self.capacity:
                return
            self._waiting.popleft()
            if not turn.done():
                self._n_coming += wanted
                turn.set_result(None)
