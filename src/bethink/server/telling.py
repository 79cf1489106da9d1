"""From the events of a run to the parts that every dialect can say: more thought, more answer, calls, and progress.

Stock clients read one thought and one answer. What always holds: the answer that was told is exactly the result's,
whether one path thinks or many; a thought is told as it comes, that of the first path, and when another path wins its
thought follows whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bethink.types import (
    Event,
    Finished,
    PathDone,
    Result,
    Started,
    TextDelta,
    ThoughtClosed,
    ThoughtRolledBack,
)

ANOTHER_WON = "\n\n[of {n} paths this one was chosen:]\n\n"


@dataclass(frozen=True, slots=True)
class Thought:
    """More of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Aside:
    """What only our own extension can say: how the vote stands, that a thought was closed or rolled back."""

    event: Started | ThoughtRolledBack | ThoughtClosed | PathDone


Part = Thought | Answer | Aside


@dataclass(slots=True)
class Story:
    """Turns the events of one run into parts. `result` is there when it has ended."""

    result: Result | None = None
    _n_paths: int = 1
    _has_thought: bool = False
    _answer: list[str] = field(default_factory=list[str])

    def parts(self, event: Event) -> Iterator[Part]:
        match event:
            case Started():
                self._n_paths = event.paths
                yield Aside(event)
            case TextDelta(path=0, phase="thinking"):
                self._has_thought = True
                yield Thought(event.text)
            case TextDelta(path=0) if self._n_paths == 1:
                self._answer.append(event.text)
                yield Answer(event.text)
            case TextDelta():
                pass
            case Finished():
                self.result = event.result
                yield from self._last(event.result)
            case _:
                yield Aside(event)

    def _last(self, result: Result) -> Iterator[Part]:
        """What has not been told yet."""
        told = "".join(self._answer)
        if self._n_paths > 1 and result.thinking and not self._is_first(result):
            lead = ANOTHER_WON.format(n=len(result.paths)) if self._has_thought else ""
            yield Thought(lead + result.thinking)
        if rest := result.answer.removeprefix(told):
            yield Answer(rest)

    @staticmethod
    def _is_first(result: Result) -> bool:
        return any(p.index == 0 and p.thinking == result.thinking for p in result.paths)
