"""One turn with a model at the command line: show its events, pass on Ctrl-C, return what came of it.

`ask` and `chat` are both made of this. What always holds: the display is closed, whatever happens; a second Ctrl-C ends
the request at the next token, a third at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bethink.cli.display import Display
from bethink.cli.interrupt import on_interrupt, unseen_keys
from bethink.types import Event, Finished, Result

TICK_S = 0.1


class Running(Protocol):
    """What a turn needs of a run (`bethink.model.Run`)."""

    def __aiter__(self) -> AsyncIterator[Event]: ...
    def answer_now(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """`is_stopped`: the user ended it; `result` then holds what there was, or is None when nothing came."""

    result: Result | None
    is_stopped: bool


@dataclass(slots=True)
class _Interrupts:
    """Once is "answer now", twice is "stop", three times is "at once"."""

    run: Running
    display: Display
    task: asyncio.Task[Result | None]
    times: int = 0

    def __call__(self) -> None:
        self.times += 1
        if self.times == 1:
            self.run.answer_now()
        elif self.times == 2:
            self.run.stop()
        else:
            self.task.cancel()
        self.display.interrupted(self.times)


async def take_turn(run: Running, display: Display) -> Turn:
    """Read the run to its end.

    Raises: EngineError and whatever else the run raises.
    """
    reading = asyncio.create_task(_read(run, display))
    interrupts = _Interrupts(run, display, reading)
    try:
        with on_interrupt(interrupts), unseen_keys():
            await _tick_until(reading, display)
            result = await reading
    except asyncio.CancelledError:
        if interrupts.times < 3:
            raise
        result = None
    finally:
        reading.cancel()
        display.close()
    return Turn(result, interrupts.times >= 2)


async def _read(run: Running, display: Display) -> Result | None:
    result: Result | None = None
    async for event in run:
        display.handle(event)
        if isinstance(event, Finished):
            result = event.result
    return result


async def _tick_until(task: asyncio.Task[Result | None], display: Display) -> None:
    while not task.done():
        display.tick()
        await asyncio.wait([task], timeout=TICK_S)
