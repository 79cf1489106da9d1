"""One start and its reader: tokens cross from the talking thread to whatever event loop reads them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from bethink.engine.llamacpp.completion import Completion
from bethink.engine.protocol import StreamFinish, Token
from bethink.errors import BethinkError
from bethink.types import Sampling


@dataclass(slots=True, eq=False)
class Run:
    """One start. `said`, `task` and `completion` belong to the talking thread; the rest is guarded by `lock`."""

    ids: tuple[int, ...]
    sampling: Sampling
    said: list[int] = field(default_factory=list[int])
    task: asyncio.Task[None] | None = None
    completion: Completion | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    buffer: deque[Token] = field(default_factory=deque[Token])
    finish: StreamFinish | None = None
    error: BethinkError | None = None
    waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
    n_cached: int = 0

    @property
    def is_over(self) -> bool:
        return self.finish is not None or self.error is not None

    @property
    def n_tokens(self) -> int:
        return len(self.ids) + self.sampling.max_tokens

    def append(self, token: Token) -> None:
        """One more sampled token, which may be the last."""
        self.said.append(token.id)
        with self.lock:
            if self.is_over:
                return
            self.buffer.append(token)
            if token.id in self.sampling.stop_ids:
                self.finish = "stop"
            elif len(self.said) == self.sampling.max_tokens:
                self.finish = "length"
            self._wake()

    def end(self, finish: StreamFinish | None, error: BethinkError | None = None) -> None:
        with self.lock:
            if not self.is_over:
                self.finish, self.error = finish, error
            self._wake()

    def cancel(self) -> None:
        with self.lock:
            if self.error is None and (self.buffer or self.finish is None):
                self.finish = "cancelled"
            self.buffer.clear()
            self._wake()

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            with contextlib.suppress(RuntimeError):  # the reader's loop is gone, and the reader with it
                waiter[0].call_soon_threadsafe(_set, waiter[1])


class LlamaCppStream:
    """The tokens of one start. Read by one task; cancelled from anywhere, and when it is dropped."""

    def __init__(self, run: Run, cancel: Callable[[Run], None]) -> None:
        self._run, self._cancel = run, cancel

    def __aiter__(self) -> AsyncIterator[Token]:
        return self

    async def __anext__(self) -> Token:
        run = self._run
        while True:
            loop = asyncio.get_running_loop()
            with run.lock:
                if run.buffer:
                    return run.buffer.popleft()
                if run.error is not None:
                    raise copy_of(run.error)
                if run.finish is not None:
                    raise StopAsyncIteration
                future: asyncio.Future[None] = loop.create_future()
                run.waiter = loop, future
            await future

    def cancel(self) -> None:
        self._cancel(self._run)

    def __del__(self) -> None:
        self._cancel(self._run)

    @property
    def finish(self) -> StreamFinish | None:
        with self._run.lock:
            return None if self._run.buffer else self._run.finish

    @property
    def n_cached(self) -> int:
        return self._run.n_cached


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def copy_of(error: BethinkError) -> BethinkError:
    """One error reaches many readers; each raises its own."""
    return type(error)(str(error), error.hint)
