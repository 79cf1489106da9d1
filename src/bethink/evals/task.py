"""`Task`: questions and the verifier of their answers, one definition for evaluation and for reward.

Judging has two steps, so that a gain in format is never taken for skill: `extract` finds the answer (*strict* takes
only what the text states as its answer, *lenient* also the last thing that could be one), `judge` holds it against what
is known. `verify` is both, lenient. What always holds: a task gives the same example for the same number, and judging
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, overload

from bethink.errors import UsageError
from bethink.types import Verdict

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """One question. `gold` is the known answer, `tests` what must hold of a program; tasks keep what else they need
    in `meta`. `id` names it within its task."""

    id: str
    question: str
    gold: str | None = None
    tests: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Output:
    """What a model wrote. `lead` was put in its mouth before the answer, and is no part of it."""

    answer: str
    thinking: str = ""
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Made(Sequence[Example]):
    """`n` examples that `make` makes when they are asked for, the same for the same number."""

    n: int
    make: Callable[[int], Example]

    def __len__(self) -> int:
        return self.n

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self.make(i) for i in range(self.n)[index]]
        return self.make(range(self.n)[index])


@dataclass(frozen=True, slots=True)
class Listed:
    """Examples that are known by their number. They are one split, whatever they hold."""

    name: str
    examples: Sequence[Example]
    source: str
    sha256: str

    def size(self, split: Split = "test") -> int | None:
        del split
        return len(self.examples)

    def example(self, i: int, split: Split = "test") -> Example:
        del split
        if not 0 <= i < len(self.examples):
            raise UsageError(f"{self.name} has no question {i}: it has {len(self.examples)}", "ask for fewer")
        return self.examples[i]


class Task(Protocol):
    """`compares` is the check of a request: "math" where answers are values that a vote can compare, else "none".
    `source` says where the questions come from, `sha256` which they are; `notes` is what a reader of the numbers must
    know."""

    @property
    def name(self) -> str: ...
    @property
    def compares(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def size(self, split: Split = "test") -> int | None:
        """How many examples there are; None: as many as one likes."""
        ...

    def example(self, i: int, split: Split = "test") -> Example:
        """Raises: UsageError: there is no example `i`."""
        ...

    def extract(self, example: Example, output: Output, *, strict: bool) -> str | None:
        """The answer in the output, or None."""
        ...

    def judge(self, example: Example, extracted: str | None) -> Verdict:
        """Hold what was extracted against what is known. May take seconds, and may be called from any thread."""
        ...

    def verify(self, example: Example, text: str) -> Verdict: ...

    def close(self) -> None:
        """Free what the task holds (a sandbox). Idempotent."""
        ...
