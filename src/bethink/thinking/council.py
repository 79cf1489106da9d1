"""`Council`: several paths of one question, in waves, and the vote that ends them.

A wave is started together, because a batch of paths costs far less than the same paths in turn. After every finished
path the vote is looked at: when it is decided, the paths that still run are cancelled and their tokens counted as
discarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bethink.thinking.path import Path
from bethink.thinking.vote import Grouping, Tally, VoteRule, is_decided, is_futile, tally
from bethink.trace import Trace
from bethink.types import Decided, Event, PathDone, PathResult

Extract = Callable[[PathResult], str | None]
"""What of a finished path is compared, or None."""


@dataclass(slots=True)
class Council:
    """Up to `n_paths` paths made by `new_path(index)`. `group` compares answers; it may be slow and runs off the
    event loop."""

    new_path: Callable[[int], Path]
    n_paths: int
    rule: VoteRule
    extract: Extract
    group: Grouping
    trace: Trace
    emit: Callable[[Event], None]
    results: list[PathResult] = field(default_factory=list[PathResult])
    paths: list[Path] = field(default_factory=list[Path])
    tally: Tally = field(default_factory=lambda: Tally((), (), 0))
    _is_over: bool = False
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> PathResult:
        """Run waves until the vote ends. Returns the path whose answer is given: the first of the largest class."""
        while not self._is_over and len(self.paths) < self.n_paths:
            await self._wave(min(self.rule.wave, self.n_paths - len(self.paths)))
            self._end_if_futile()
        return self._winner()

    async def _wave(self, size: int) -> None:
        wave = [self.new_path(len(self.paths) + i) for i in range(size)]
        self.paths += wave
        async with asyncio.TaskGroup() as group:
            for path in wave:
                group.create_task(self._run_path(path))

    async def _run_path(self, path: Path) -> None:
        result = await path.run()
        if not result.is_cancelled:
            extracted = await asyncio.to_thread(self.extract, result)
            path.chain.traced.extracted = extracted
            result = replace(result, extracted=extracted)
        self.results.append(result)
        async with self._counting:
            await self._count(result)

    async def _count(self, result: PathResult) -> None:
        if not result.is_cancelled:
            self.tally = await asyncio.to_thread(tally, [r.extracted for r in self.counted], self.group)
        running = [p for p in self.paths if p.finish is None]
        n_left = self.n_paths - len(self.paths)
        if not self._is_over and is_decided(self.tally, self.rule, n_running=len(running), n_left=n_left):
            self._end("decided", running)
        self.emit(PathDone(result, self.tally.votes, len(running)))

    @property
    def counted(self) -> list[PathResult]:
        """The paths that vote, in the order in which they finished."""
        return [r for r in self.results if not r.is_cancelled]

    def _end_if_futile(self) -> None:
        if not self._is_over and is_futile(self.tally, self.rule):
            self._end("futile", [])

    def _end(self, action: str, running: Sequence[Path]) -> None:
        self._is_over = True
        first, second = self.tally.lead
        spared = f"{len(running)} cancelled, {self.n_paths - len(self.paths)} not started"
        cause = f"{first} to {second} of {self.tally.n} paths; {spared}"
        self.trace.decisions.append(Decided(-1, sum(len(p.tokens) for p in self.trace.paths), action, cause))
        for path in running:
            path.cancel()

    def _winner(self) -> PathResult:
        counted = self.counted or self.results
        if not self.tally.members:
            return min(counted, key=lambda r: r.index)
        return min((counted[at] for at in self.tally.members[0]), key=lambda r: r.index)
