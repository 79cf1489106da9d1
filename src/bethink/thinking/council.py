"""`Council`: several paths of one question, in waves, and the evidence that ends them.

A wave is started together, because a batch of paths costs far less than the same paths in turn. A finished path is
judged by itself where the check can: one that is proven ends the run, one that is refuted has no vote. Then the vote
is looked at. When the run is over, the paths that still run are cancelled and their tokens counted as discarded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bethink.thinking.checks.check import Ask, Check, Judged, Patience
from bethink.thinking.path import Path
from bethink.thinking.vote import Tally, VoteRule, is_decided, is_futile, tally
from bethink.trace import Trace
from bethink.types import Decided, Event, PathDone, PathKind, PathResult, Verdict

T = TypeVar("T")
UNJUDGED: dict[PathKind, str] = {"prose": "", "program": "there was no time to run its program"}


@dataclass(slots=True)
class Council:
    """Up to `n_paths` paths made by `new_path(index)`, held against `check`. `lead_of` is what was put before a path's
    answer; `ask` asks the model something beside the question; `left_s` is the time until the deadline, which judging
    keeps, too. `give_up_beyond` bounds the tokens of the path of that number."""

    new_path: Callable[[int], Path]
    n_paths: int
    rule: VoteRule
    check: Check
    trace: Trace
    emit: Callable[[Event], None]
    lead_of: Callable[[PathResult], str]
    ask: Ask
    left_s: Callable[[], float | None]
    give_up_beyond: Callable[[int, int], None]
    results: list[PathResult] = field(default_factory=list[PathResult])
    paths: list[Path] = field(default_factory=list[Path])
    tally: Tally = field(default_factory=lambda: Tally((), (), 0))
    _voters: list[PathResult] = field(default_factory=list[PathResult])
    """Whom the positions in `tally` mean."""
    _is_over: bool = False
    _needs_nothing: asyncio.Event = field(default_factory=asyncio.Event)
    _given_up: threading.Event = field(default_factory=threading.Event)
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> PathResult:
        """Run waves until the run is over. Returns the path whose answer is given: the one that is proven, else the
        first of the largest class, else the first that is not refuted."""
        try:
            while not self._is_over and len(self.paths) < self.n_paths:
                await self._wave(self.rule.next_wave(self.n_paths - len(self.paths)))
                await self._after_wave()
        finally:
            self._given_up.set()
        return self._winner()

    def give_up(self) -> None:
        """Nothing more is started, judged or asked; what runs ends by itself. From the event loop of the request."""
        self._is_over = True
        self._needs_nothing.set()
        self._given_up.set()

    def verdict(self, winner: PathResult) -> Verdict:
        return self.check.verdict(winner, self.tally, self.rule, self.counted)

    @property
    def counted(self) -> list[PathResult]:
        """The paths that answered, in the order in which they were started."""
        return sorted((r for r in self.results if not r.is_cancelled), key=lambda r: r.index)

    async def _wave(self, size: int) -> None:
        wave = [self.new_path(len(self.paths) + i) for i in range(size)]
        self.paths += wave
        async with asyncio.TaskGroup() as group:
            for path in wave:
                group.create_task(self._run_path(path))

    async def _run_path(self, path: Path) -> None:
        result = await path.run()
        if not result.is_cancelled:
            result = await self._judged(result)
            traced = path.chain.traced
            traced.extracted, traced.passed, traced.why = result.extracted, result.passed, result.why
            traced.answer = result.answer
        self.results.append(result)
        async with self._counting:
            await self._count(result)

    async def _judged(self, result: PathResult) -> PathResult:
        if result.tool_calls:
            return replace(result, why="it calls a tool")
        check, lead = self.check, self.lead_of(result)
        result = replace(result, extracted=await asyncio.to_thread(check.extract, result, lead))
        judged = await self._patiently(
            lambda patience: check.judge(result, patience), Judged(why=UNJUDGED[result.kind])
        )
        result = replace(result, passed=judged.passed, why=judged.why)
        return self._with_output(result, judged) if result.kind == "program" else result

    def _with_output(self, result: PathResult, judged: Judged) -> PathResult:
        """What a program printed is its vote; without that it casts none."""
        action = "no_vote" if judged.printed is None else "program_ran"
        n_tokens = len(self.paths[result.index].chain.traced.tokens)
        self.trace.decisions.append(Decided(result.index, n_tokens, action, judged.why))
        return replace(result, extracted=judged.printed, answer=judged.answer or result.answer)

    async def _count(self, result: PathResult) -> None:
        if not result.is_cancelled:
            await self._vote()
        running = [p for p in self.paths if p.finish is None]
        if not self._is_over and result.passed:
            self.give_up()
            self._end("proven", running, f"path {result.index + 1}: {result.why}")
        self._end_if_decided(running)
        if len(running) == 1 and not self._is_over and self.check.asks_for_value:
            self._hurry(running[0])
        self.emit(PathDone(result, self.tally.votes, len(running)))

    def _hurry(self, last: Path) -> None:
        """Nobody waits for the last path of a wave that becomes far longer than those of its kind that have a vote."""
        like = [r for r in self.counted if r.kind == last.kind and r.extracted is not None and r.passed is not False]
        ended = [r.usage.completion_tokens for r in like]
        if (most := self.rule.most_tokens(ended)) is not None:
            self.give_up_beyond(last.index, most)

    async def _vote(self) -> None:
        """Count again. Where there is no time for it, what was counted before stands."""
        check, voters = self.check, self.counted
        answers = [r.extracted if r.passed is not False else None for r in voters]
        counted = await self._patiently(
            lambda patience: tally(answers, lambda given: check.group(given, patience)), None
        )
        if counted is not None:
            self.tally, self._voters = replace(counted, votes=check.named(counted.votes)), voters

    async def _after_wave(self) -> None:
        """What a wave showed may be needed to compare its candidates."""
        if self._is_over:
            return
        candidates = [r.extracted for r in self.counted if r.extracted is not None and r.passed is not False]
        learned = await self.check.learn(candidates, self.ask)
        if learned is not self.check:
            self.check = learned
            self._note("learned", learned.learned)
            await self._vote()
            self._end_if_decided([])
        if not self._is_over and self.check.votes and is_futile(self.tally, self.rule):
            self._end("futile", [], self._votes())

    def _end_if_decided(self, running: Sequence[Path]) -> None:
        n_left = self.n_paths - len(self.paths)
        n_uncounted = len(self.paths) - self.tally.n - sum(r.is_cancelled for r in self.results)
        if not self._is_over and is_decided(self.tally, self.rule, n_running=n_uncounted, n_left=n_left):
            self._end("decided", running, self._votes())

    def _votes(self) -> str:
        first, second = self.tally.lead
        return f"{first} to {second} of {self.tally.n} paths"

    def _end(self, action: str, running: Sequence[Path], cause: str) -> None:
        self._is_over = True
        self._note(action, f"{cause}; {len(running)} cancelled, {self.n_paths - len(self.paths)} not started")
        for path in running:
            path.cancel()

    def _note(self, action: str, cause: str) -> None:
        n_tokens = sum(len(p.tokens) for p in self.trace.paths)
        self.trace.decisions.append(Decided(-1, n_tokens, action, cause))

    async def _patiently(self, work: Callable[[Patience], T], otherwise: T) -> T:
        """Slow work off the event loop; `otherwise` when the deadline, or the end of the run, comes first."""
        left_s = self.left_s()
        if self._needs_nothing.is_set() or (left_s is not None and left_s <= 0):
            return otherwise
        patience = Patience(None if left_s is None else time.monotonic() + left_s, self._given_up)
        working = asyncio.ensure_future(asyncio.to_thread(work, patience))
        ending = asyncio.ensure_future(self._needs_nothing.wait())
        try:
            await asyncio.wait({working, ending}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() or (ending.done() and working.exception()):  # what was given up may fail
                return otherwise
            return working.result()
        finally:
            ending.cancel()
            working.cancel()

    def _winner(self) -> PathResult:
        counted = self.counted or sorted(self.results, key=lambda r: r.index)
        if proven := [r for r in counted if r.passed]:
            return proven[0]
        if self.tally.members:
            return min((self._voters[at] for at in self.tally.members[0]), key=_words_first)
        counted.sort(key=_words_first)
        return next((r for r in counted if r.passed is not False), counted[0])


def _words_first(path: PathResult) -> tuple[bool, int]:
    """Of answers that are the same, one with its reasons is shown before one that a program printed."""
    return path.kind == "program", path.index
