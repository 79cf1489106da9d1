"""`Check`: which evidence an answer is held against. The base of all of them is no evidence at all.

A check is a frozen value, chosen once per request. It says what is taken from a path (`extract`), whether that can be
proven or refuted by itself (`judge`), which candidates are the same (`group`), what must be known before they can be
compared (`learn`), and what is said of the winner (`verdict`). `judge` and `group` may be slow: they run on threads,
never raise for anything a model wrote, and end when their `Patience` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bethink.thinking.vote import Tally, VoteRule
from bethink.types import PathResult, Verdict, Vote

Ask = Callable[[str, str], Awaitable[str]]
"""Ask the model something short beside the question: the wish, and how its answer begins. Returns the answer, that
beginning included where the model was given one; empty where there was no time for it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long slow work is waited for: `until` on the monotonic clock (None: no deadline), and until `given_up`."""

    until: float | None = None
    given_up: threading.Event = field(default_factory=threading.Event)

    def seconds(self, most: float) -> float:
        """What is left, at most `most`; never nothing, so that a limit can be made of it."""
        return most if self.until is None else max(0.05, min(most, self.until - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate by itself: True proves it and ends the run, False refutes it and takes its vote, None leaves it to
    the vote. Of a path that wrote a program `printed` is what votes (None: it casts no vote), and `answer` what is
    shown of it."""

    passed: bool | None = None
    why: str = ""
    printed: str | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """No evidence: the first path answers.

    `spreads`: the effort may spend several paths. `asks_for_value`: the model is asked for one value that can be
    compared. `votes`: candidates are grouped, and a vote that scatters is given up. `is_slow`: time is kept for judging
    before a deadline.
    """

    kind: ClassVar[str] = "none"
    spreads: ClassVar[bool] = False
    asks_for_value: ClassVar[bool] = False
    votes: ClassVar[bool] = False
    is_slow: ClassVar[bool] = False

    notes: tuple[str, ...] = ()

    @property
    def instruction(self) -> str:
        """What is added to the question."""
        return ""

    def prepare(self) -> None:
        """Several paths have begun to write: start in the background what takes a while to start."""

    def extract(self, path: PathResult, lead: str) -> str | None:
        """What of a finished path is judged and compared; `lead` was put before its answer."""
        del path, lead
        return None

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        """`path.extracted` is what `extract` found."""
        del path, patience
        return Judged()

    def group(self, answers: Sequence[str], patience: Patience) -> list[list[int]]:
        """The indices of equivalent answers, in the order of first appearance."""
        del answers, patience
        return []

    def named(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """The classes in words for people."""
        return tuple(votes)

    async def learn(self, candidates: Sequence[str], ask: Ask) -> Check:
        """After a wave: the check that knows what it must to compare `candidates`, those that are not refuted."""
        del candidates, ask
        return self

    @property
    def learned(self) -> str:
        """What `learn` found, in words for the trace."""
        return ""

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        del tally, rule
        paths = "one path" if len(counted) < 2 else f"{len(counted)} paths"
        return Verdict("none", None, winner.extracted, f"{paths}, nothing to compare with")


def verdict_by_proof(kind: str, winner: PathResult, counted: Sequence[PathResult]) -> Verdict:
    """What is said where every candidate is judged by itself. A winner that was refuted was so because all were."""
    why = winner.why or "it could not be judged in time"
    if winner.passed is False and len(counted) > 1:
        why = f"none of {len(counted)} passed; the first: {why}"
    return Verdict(kind, winner.passed, winner.extracted, why)
