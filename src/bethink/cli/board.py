"""The state of one request as its events tell it: per path the thought, the answer and their counts; the running vote.

Pure: events in, state out, no terminal. What always holds: `thought` is what the path's kept thought reads so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bethink.types import (
    ClosedBy,
    Event,
    Finished,
    PathDone,
    PathResult,
    Phase,
    Result,
    Started,
    TextDelta,
    ThoughtClosed,
    ThoughtRolledBack,
    ToolCallDelta,
    Vote,
)


@dataclass(slots=True)
class PathView:
    """One chain of thought. `n_thinking` counts sampled tokens, those since taken back included, as the budget does."""

    index: int
    thought: str = ""
    answer: str = ""
    n_thinking: int = 0
    n_answer: int = 0
    phase: Phase = "thinking"
    closed_by: ClosedBy | None = None
    n_rollbacks: int = 0
    result: PathResult | None = None

    @property
    def is_running(self) -> bool:
        return self.result is None


@dataclass(slots=True)
class Board:
    """Everything a display shows. `clock` is in seconds."""

    clock: Callable[[], float] = time.monotonic
    started: Started | None = None
    paths: dict[int, PathView] = field(default_factory=dict[int, PathView])
    votes: tuple[Vote, ...] = ()
    result: Result | None = None
    started_at: float = 0.0
    first_token_at: float | None = None

    def apply(self, event: Event) -> None:
        match event:
            case Started():
                self.started, self.started_at = event, self.clock()
            case TextDelta():
                self._add(event)
            case ThoughtRolledBack(index, keep_chars, _):
                path = self.path(index)
                path.thought = path.thought[:keep_chars]
                path.n_rollbacks += 1
            case ThoughtClosed(index, closed_by, n_tokens):
                path = self.path(index)
                path.closed_by, path.n_thinking, path.phase = closed_by, max(n_tokens, path.n_thinking), "answer"
            case PathDone(result, votes, _):
                self.path(result.index).result = result
                self.votes = votes
            case ToolCallDelta():
                pass  # the command line offers no tools
            case Finished(result):
                self.result = result

    def path(self, index: int) -> PathView:
        return self.paths.setdefault(index, PathView(index))

    @property
    def budget(self) -> int | None:
        return self.started.budget if self.started else None

    @property
    def may_vote(self) -> bool:
        """Whether several paths may be spent: then no answer is shown before the vote has ended."""
        return (self.started is not None and self.started.paths > 1) or len(self.paths) > 1

    @property
    def elapsed_s(self) -> float:
        return self.clock() - self.started_at if self.started else 0.0

    @property
    def n_tokens(self) -> int:
        return sum(path.n_thinking + path.n_answer for path in self.paths.values())

    @property
    def rate(self) -> float | None:
        """Tokens per second over all paths since the first token; None until it means something."""
        if self.first_token_at is None:
            return None
        elapsed_s = self.clock() - self.first_token_at
        return self.n_tokens / elapsed_s if elapsed_s > 0.5 and self.n_tokens > 3 else None

    @property
    def leading(self) -> PathView | None:
        """The path that is shown: the first that still thinks, else the first that runs, else the first."""
        paths = list(self.paths.values())
        running = [path for path in paths if path.is_running]
        thinking = [path for path in running if path.phase == "thinking"]
        return min(thinking or running or paths, key=lambda path: path.index, default=None)

    def _add(self, delta: TextDelta) -> None:
        path = self.path(delta.path)
        if self.first_token_at is None and delta.n_tokens:
            self.first_token_at = self.clock()
        if delta.phase == "thinking":
            path.thought += delta.text
            path.n_thinking = max(path.n_thinking, delta.n_tokens)
        else:
            path.answer += delta.text
            path.n_answer = delta.n_tokens
            path.phase = "answer"
