"""`EventLog`: the events of one answer, numbered, for any number of readers that come, fall behind, go and come back.

Many deltas become one. What always holds: numbers grow, over restarts, too; a reader that asks on from any number ends
with the text of who read from the beginning; memory is bounded by `WINDOW` events and what is shown, however long an
answer is; a reader never makes the writer wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pydantic_core

from bethink.server.conversations.state import Shown, event_record
from bethink.types import Event, Phase, TextDelta

FLUSH_S = 0.033
"""Deltas are gathered for so long: a page draws no faster."""
WINDOW = 2048
"""Events that are kept for those who come back; who was away longer is told what is shown instead."""
PER_ATTEMPT = 1 << 32
"""Numbers of one run: those of the next begin above."""
LAST = 1 << 52
"""The number of the event that ends every log."""

Numbered = tuple[int, bytes]
"""An event as JSON with its number."""


@dataclass(slots=True)
class _Gathered:
    text: list[str]
    n_tokens: int


@dataclass(slots=True)
class EventLog:
    """`later` calls something after some seconds, as an event loop's `call_later`. Used from one event loop. `window`
    is how many events are kept."""

    n_attempts: int = 0
    shown: Shown = field(default_factory=Shown)
    later: Callable[[float, Callable[[], None]], object] = lambda seconds, call: asyncio.get_running_loop().call_later(
        seconds, call
    )
    window: int = WINDOW
    is_closed: bool = False
    last: int = field(init=False)
    _kept: deque[Numbered] = field(init=False)
    _gathered: dict[tuple[int, Phase], _Gathered] = field(default_factory=dict[tuple[int, Phase], _Gathered])
    _coming: Shown | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.last = PER_ATTEMPT * self.n_attempts
        self._kept = deque(maxlen=self.window)

    # ---- writing

    def take(self, event: Event) -> None:
        """One more event of the run."""
        if self._coming is not None:
            self._coming.take(event)
            if self._coming.start is not None and self._coming.holds(self.shown):
                self._go_over(self._coming)
            return
        if isinstance(event, TextDelta):
            self._gather(event)
            return
        self.flush()
        self.shown.take(event)
        if (record := event_record(event)) is not None:
            self._append(record)

    def begin_again(self) -> None:
        """The run begins anew: what is shown stays until the new one is as far."""
        self.flush()
        self._coming = Shown()
        if not self.shown.paths:
            self._go_over(self._coming)

    def close(self, record: dict[str, Any]) -> None:
        """The last event; nothing follows it."""
        if self.is_closed:
            return
        self.flush()
        self.last = LAST - 1
        self._append(record)
        self.is_closed = True
        self._wake()

    def flush(self) -> None:
        """Show and tell what was gathered."""
        for (path, phase), gathered in self._gathered.items():
            text, n = "".join(gathered.text), gathered.n_tokens
            self.shown.take(TextDelta(path, phase, text, n))
            self._append({"type": "delta", "path": path, "phase": phase, "text": text, "n_tokens": n})
        self._gathered.clear()

    def _go_over(self, to: Shown) -> None:
        self.shown, self._coming = to, None
        self._append(to.record())

    def _gather(self, event: TextDelta) -> None:
        if not self._gathered:
            self.later(FLUSH_S, self.flush)
        gathered = self._gathered.get((event.path, event.phase))
        if gathered is None:
            self._gathered[event.path, event.phase] = _Gathered([event.text], event.n_tokens)
        else:
            gathered.text.append(event.text)
            gathered.n_tokens = event.n_tokens

    def _append(self, record: dict[str, Any]) -> None:
        self.last += 1
        self._kept.append((self.last, pydantic_core.to_json(record)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # ---- reading

    async def follow(self, after: int) -> AsyncGenerator[Numbered]:
        """Every event after that number, as they come, until the last one."""
        at = after
        while True:
            changed = self._changed
            for numbered in self.since(at):
                yield numbered
                at = numbered[0]
            if self.is_closed and at >= self.last:
                return
            if at == self.last:
                await changed.wait()

    def since(self, after: int) -> list[Numbered]:
        """What a reader that has `after` must be told now. Where that is not kept any more, or was never told, what is
        shown stands for it."""
        if after == self.last:
            return []
        oldest = self._kept[0][0] if self._kept else self.last + 1
        is_covered = oldest - 1 <= after < self.last
        if self.is_closed and not is_covered:
            return [self._kept[-1]]
        if not is_covered:
            self.flush()
            return [(self.last, pydantic_core.to_json(self.shown.record()))]
        return [numbered for numbered in self._kept if numbered[0] > after]
