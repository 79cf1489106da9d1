"""`Shown`: what a display that follows an answer shows at one moment, and how each event of a run changes it.

Pure, and a value that can be written down. What always holds: whoever starts from `Shown.record()` and takes
every later event shows the same as who took all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bethink.types import (
    ClosedBy,
    Event,
    PathDone,
    Phase,
    Started,
    TextDelta,
    ThoughtClosed,
    ThoughtRolledBack,
    Vote,
)


@dataclass(slots=True)
class ShownPath:
    """One path. `n_thinking` and `n_answer` are sampled tokens."""

    index: int
    phase: Phase = "thinking"
    thinking: str = ""
    answer: str = ""
    n_thinking: int = 0
    n_answer: int = 0
    closed_by: ClosedBy | None = None
    is_done: bool = False
    is_cancelled: bool = False
    extracted: str | None = None
    passed: bool | None = None

    def holds(self, other: ShownPath) -> bool:
        """Whether this is as far as the other."""
        if other.is_done and not self.is_done:
            return False
        if other.phase == "thinking":
            return self.phase == "answer" or len(self.thinking) >= len(other.thinking)
        return self.is_done or len(self.answer) >= len(other.answer)


@dataclass(slots=True)
class Shown:
    """Everything of one answer. `start` is what `started` said (None: it has not begun)."""

    start: dict[str, Any] | None = None
    paths: dict[int, ShownPath] = field(default_factory=dict[int, ShownPath])
    votes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    n_running: int | None = None

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.start = started_record(event)
            case TextDelta(path=index, phase=phase, text=text, n_tokens=n):
                path = self._path(index)
                path.phase = phase
                if phase == "thinking":
                    path.thinking, path.n_thinking = path.thinking + text, n
                else:
                    path.answer, path.n_answer = path.answer + text, n
            case ThoughtRolledBack(path=index, keep_chars=n):
                path = self._path(index)
                path.thinking = path.thinking[:n]
            case ThoughtClosed(path=index, closed_by=reason, n_tokens=n):
                path = self._path(index)
                path.closed_by, path.n_thinking, path.phase = reason, n, "answer"
            case PathDone(result=result):
                path = self._path(result.index)
                path.is_done, path.is_cancelled = True, result.is_cancelled
                path.extracted, path.passed, path.answer = result.extracted, result.passed, result.answer
                self.votes, self.n_running = votes_record(event.votes), event.n_running
            case _:
                pass

    def holds(self, other: Shown) -> bool:
        """Whether a display may go over to this one without losing anything that it shows."""
        return all(index in self.paths and self.paths[index].holds(path) for index, path in other.paths.items())

    @property
    def n_paths(self) -> int | None:
        return None if self.start is None else int(self.start["paths"])

    def record(self) -> dict[str, Any]:
        """As an event that takes the place of all before it."""
        start = self.start or dict.fromkeys(("prompt_tokens", "budget", "paths", "effort", "notes"))
        shown = {("n_paths" if name == "paths" else name): value for name, value in start.items()}
        paths = [asdict(self.paths[index]) for index in sorted(self.paths)]
        return {"type": "snapshot", **shown, "paths": paths, "votes": self.votes, "n_running": self.n_running}

    def kept(self) -> dict[str, Any]:
        """To be written down."""
        return {"start": self.start, "paths": [asdict(path) for path in self.paths.values()], "votes": self.votes}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> Shown:
        paths = [ShownPath(**path) for path in kept["paths"]]
        return cls(start=kept["start"], paths={path.index: path for path in paths}, votes=list(kept["votes"]))

    def _path(self, index: int) -> ShownPath:
        return self.paths.setdefault(index, ShownPath(index))


def event_record(event: Event) -> dict[str, Any] | None:
    """One event as the page is told it (None: it is told otherwise)."""
    match event:
        case Started():
            return {"type": "started", **started_record(event)}
        case ThoughtRolledBack(path=path, keep_chars=n, cause=cause):
            return {"type": "rolled_back", "path": path, "keep_chars": n, "cause": cause}
        case ThoughtClosed(path=path, closed_by=reason, n_tokens=n):
            return {"type": "closed", "path": path, "closed_by": reason, "n_tokens": n}
        case PathDone(result=result):
            return {
                "type": "path",
                "index": result.index,
                "answer": result.answer,
                "extracted": result.extracted,
                "is_cancelled": result.is_cancelled,
                "passed": result.passed,
                "votes": votes_record(event.votes),
                "n_running": event.n_running,
            }
        case _:
            return None


def started_record(event: Started) -> dict[str, Any]:
    return {
        "prompt_tokens": event.prompt_tokens,
        "budget": event.budget,
        "paths": event.paths,
        "effort": event.effort,
        "notes": list(event.notes),
    }


def votes_record(votes: Sequence[Vote]) -> list[dict[str, Any]]:
    return [{"answer": vote.answer, "count": vote.count} for vote in votes]
