"""How a request is answered, whatever its dialect: read, admitted, run, told, and settled before its last byte.

What always holds: a run ends when its client goes away; its tokens are settled exactly once, finished or not; the last
bytes of an answer leave after its usage was written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

from bethink.errors import BethinkError, ContextFull
from bethink.model import Model, Run
from bethink.server.asks import Ask
from bethink.server.telling import Part, Story
from bethink.types import Request, Result

SEED_STEP = 7_919_003
"""Between the choices of one request; paths of one choice lie nearer."""


@dataclass(slots=True, eq=False)
class Answering:
    """One request while it runs. `id` is what clients call it by; `runs` has one entry a choice, once they run."""

    id: str
    ask: Ask
    created: int = field(default_factory=lambda: int(time.time()))
    runs: list[Run] = field(default_factory=list[Run])

    def answer_now(self) -> None:
        for run in self.runs:
            run.answer_now()

    def stop(self) -> None:
        for run in self.runs:
            run.stop()


@dataclass(slots=True)
class Running:
    """The requests that run now, by id."""

    _by_id: dict[str, Answering] = field(default_factory=dict[str, Answering])

    def find(self, request_id: str) -> Answering | None:
        return self._by_id.get(request_id)

    def __len__(self) -> int:
        return len(self._by_id)

    @contextlib.contextmanager
    def listed(self, answering: Answering) -> Generator[Answering]:
        self._by_id[answering.id] = answering
        try:
            yield answering
        finally:
            del self._by_id[answering.id]


def refuse_longer(ask: Ask, model: Model) -> None:
    """Raises: ContextFull: the client counts on a longer context than there is; nothing is ever cut in silence."""
    info = model.engine.info
    longest = min(info.context_length, info.kv_tokens)
    if ask.n_context is not None and ask.n_context > longest:
        raise ContextFull(
            f"a context of {ask.n_context} was asked for, but this model's holds {longest}", "ask for less"
        )


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(12)}"


async def run(
    answering: Answering, model: Model, on_results: Callable[[Sequence[Result]], None]
) -> AsyncGenerator[tuple[int, Part]]:
    """Run every choice at once and yield their parts as they come. `on_results` is called with the results, by choice,
    before this ends; when the reader goes away, with those of the stopped runs.

    Raises: BethinkError.
    """
    ask = answering.ask
    answering.runs = [model.think(choice_of(ask.request, n, model)) for n in range(ask.n)]
    stories = [Story() for _ in answering.runs]
    queue: asyncio.Queue[tuple[int, Part] | None] = asyncio.Queue()
    tasks = [
        asyncio.create_task(_follow(run, story, choice, queue.put_nowait))
        for choice, (run, story) in enumerate(zip(answering.runs, stories, strict=True))
    ]
    gathered = asyncio.gather(*tasks)
    gathered.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (item := await queue.get()) is not None:
            yield item
        await gathered
    finally:
        if not gathered.done():
            answering.stop()
            with contextlib.suppress(BethinkError):
                await asyncio.shield(gathered)
        elif not gathered.cancelled():
            gathered.exception()
        on_results([story.result for story in stories if story.result is not None])


async def _follow(run: Run, story: Story, choice: int, put: Callable[[tuple[int, Part]], None]) -> None:
    async for event in run:
        for part in story.parts(event):
            put((choice, part))


def choice_of(request: Request, choice: int, model: Model) -> Request:
    """The first choice is drawn as it would be alone; the others with seeds of their own, and never greedily unless the
    client wished so, since they would all be the same."""
    if choice == 0:
        return request
    temperature = request.temperature
    if temperature is None:
        temperature = model.profile.sampling.temperature
    seed = None if request.seed is None else (request.seed + SEED_STEP * choice) & 0x7FFFFFFF
    return replace(request, temperature=temperature, seed=seed)
