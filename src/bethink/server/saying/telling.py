"""From the events of a run to the parts that every dialect can say: more thought, more answer, calls, and progress.

Stock clients read one thought and one answer. What always holds: the answer and the calls that were told are exactly
the result's, whether one path thinks or many; a thought is told as it comes, that of the first path, and when another
path wins its thought follows whole. What was told of a thought cannot be taken back: where a loop was rolled back, a
stream has told more of it than the whole answer shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bethink.types import (
    Completed,
    CompletionEvent,
    Event,
    Finished,
    PathDone,
    Result,
    Started,
    TextDelta,
    ThoughtClosed,
    ThoughtRolledBack,
    TokenLogprob,
    ToolCallDelta,
    Verdict,
)

ANOTHER_WON = "\n\n[of {n} paths this one was chosen:]\n\n"


@dataclass(frozen=True, slots=True)
class Thought:
    """More of the thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """More of the answer. `logprobs` are those of its tokens, when they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """More of the tool call number `index`; the first part of each brings its `id` and `name`."""

    index: int
    id: str
    name: str
    arguments: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class Aside:
    """What only our own extension can say: how the vote stands, that a thought was closed or rolled back."""

    event: Started | ThoughtRolledBack | ThoughtClosed | PathDone


Part = Thought | Answer | Call | Aside


@dataclass(slots=True)
class Story:
    """Turns the events of one run into parts. `result` is there when it has ended."""

    result: Result | None = None
    _n_paths: int = 1
    _has_thought: bool = False
    _answer: list[str] = field(default_factory=list[str])
    _n_logprobs: int = 0
    _calls: set[int] = field(default_factory=set[int])

    def parts(self, event: Event | CompletionEvent) -> Iterator[Part]:
        match event:
            case Started():
                self._n_paths = event.paths
                yield Aside(event)
            case TextDelta(path=0, phase="thinking"):
                self._has_thought = True
                yield Thought(event.text)
            case TextDelta(path=0) if self._n_paths == 1:
                self._answer.append(event.text)
                self._n_logprobs += len(event.logprobs)
                yield Answer(event.text, event.logprobs)
            case ToolCallDelta(path=0) if self._n_paths == 1:
                yield self._call(event.index, event.id, event.name, event.arguments)
            case TextDelta() | ToolCallDelta():
                pass
            case Finished():
                self.result = event.result
                yield from self._last(event.result)
            case Completed():
                self.result = as_result(event)
                yield from self._last(self.result)
            case _:
                yield Aside(event)

    def _call(self, index: int, call_id: str, name: str, arguments: str) -> Call:
        is_first = index not in self._calls
        self._calls.add(index)
        return Call(index, call_id, name, arguments, is_first)

    def _last(self, result: Result) -> Iterator[Part]:
        """What has not been told yet."""
        told = "".join(self._answer)
        if self._n_paths > 1 and result.thinking and not self._is_first(result):
            lead = ANOTHER_WON.format(n=len(result.paths)) if self._has_thought else ""
            yield Thought(lead + result.thinking)
        rest, logprobs = result.answer.removeprefix(told), result.logprobs[self._n_logprobs :]
        if rest or logprobs:
            yield Answer(rest, logprobs)
        for index, call in enumerate(result.tool_calls):
            if index not in self._calls:
                yield self._call(index, call.id, call.name, call.arguments)

    @staticmethod
    def _is_first(result: Result) -> bool:
        return any(p.index == 0 and p.thinking == result.thinking for p in result.paths)


def as_result(done: Completed) -> Result:
    """A completion in the words of a result: an answer, which may be empty, without a thought or evidence."""
    return Result(
        answer=done.text,
        thinking="",
        closed_by="natural",
        finish_reason=done.finish_reason,
        verdict=Verdict("none", None),
        usage=done.usage,
        timing=done.timing,
        model=done.model,
        engine=done.engine,
        seed=done.seed,
        trace_id=done.trace_id,
        logprobs=done.logprobs,
    )
