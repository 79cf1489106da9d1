"""`Outbox`: bytes on their way to one client, from whoever makes them to whoever can send them just now."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Outbox:
    """For one writer and one reader in one event loop. `n_bytes` wait."""

    n_bytes: int = 0
    _pieces: deque[bytes] = field(default_factory=deque[bytes])
    _is_over: bool = False
    _error: BaseException | None = None
    _waiter: asyncio.Future[None] | None = None

    def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.n_bytes += len(piece)
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes; whoever reads to the end is raised the error. A second time does nothing."""
        if not self._is_over:
            self._is_over, self._error = True, error
            self._wake()

    def end_quietly(self) -> None:
        """The end, for a reader who has heard of the error."""
        self._pieces.clear()
        self._is_over, self._error = True, None

    async def take(self, quiet_s: float) -> bytes | None:
        """All that waits, joined; empty when nothing came for `quiet_s`; None at the end.

        Raises: what it was ended with.
        """
        if not self._pieces and not self._is_over:
            await self._wait(quiet_s)
        if self._pieces:
            joined = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
            self._pieces.clear()
            self.n_bytes = 0
            return joined
        if not self._is_over:
            return b""
        if self._error is not None:
            raise self._error
        return None

    async def _wait(self, quiet_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(quiet_s, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
