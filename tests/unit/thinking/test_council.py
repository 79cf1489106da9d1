"""The council gives the answer that its evidence speaks of, whatever comes in between."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bethink.thinking.checks.values import Values
from bethink.thinking.council import Council
from bethink.thinking.path import Path
from bethink.thinking.vote import VoteRule
from bethink.trace import Trace, TracedPath
from bethink.types import Event, PathResult, Usage

pytestmark = pytest.mark.anyio


@dataclass
class Traced:
    traced: TracedPath


@dataclass
class Written:
    """A path that says `answer` after `turns` turns of the loop."""

    index: int
    answer: str
    turns: int
    kind: str = "prose"
    finish: str | None = None
    is_cancelled: bool = False
    chain: Traced = field(init=False)

    def __post_init__(self) -> None:
        self.chain = Traced(TracedPath(self.index, 0, 0.0))

    async def run(self) -> PathResult:
        for _ in range(self.turns):
            if not self.is_cancelled:
                await asyncio.sleep(0.001)
        self.finish = "stop"
        return PathResult(self.index, "", self.answer, "natural", "stop", Usage(), is_cancelled=self.is_cancelled)

    def cancel(self) -> None:
        self.is_cancelled = True


def council_of(paths: list[Written], rule: VoteRule, **settings: Any) -> Council:
    async def silent(wish: str, beginning: str) -> str:
        del wish, beginning
        return ""

    def emit(_: Event) -> None:
        return

    def wait_for_all(_: int, __: int) -> None:
        return

    values: dict[str, Any] = {"left_s": lambda: None, **settings}
    return Council(
        new_path=lambda index: cast("Path", paths[index]),
        n_paths=len(paths),
        rule=rule,
        check=Values(),
        trace=Trace("", "", {}, {}, "", "", [], ""),
        emit=emit,
        lead_of=lambda _: "",
        ask=silent,
        give_up_beyond=wait_for_all,
        **values,
    )


async def test_a_path_that_came_too_late_to_be_counted_does_not_take_the_winners_place() -> None:
    paths = [Written(0, "7", 200), Written(1, "4", 1), Written(2, "4", 30), *(Written(at, "9", 1) for at in (3, 4, 5))]
    council = council_of(paths, VoteRule(wave=3, confidence=2.0))
    council.left_s = lambda: 0.0 if paths[0].finish else None
    winner = await council.run()
    assert (winner.answer, council.verdict(winner).extracted) == ("4", "4")


async def test_votes_that_are_not_counted_yet_may_still_overtake() -> None:
    paths = [Written(at, answer, 1) for at, answer in enumerate(["4", *"777777777"])]
    council = council_of(paths, VoteRule(wave=10, confidence=0.7))
    assert (await council.run()).answer == "7"
    (decided,) = [d for d in council.trace.decisions if d.action == "decided"]
    assert not decided.cause.startswith("1 to 0")


@pytest.mark.parametrize(("n_paths", "most"), [(5, 5), (6, 6), (7, 4), (8, 4)])
async def test_a_small_rest_of_the_paths_does_not_wait_for_a_wave_of_its_own(n_paths: int, most: int) -> None:
    running, at_once = list[int](), list[int]()

    @dataclass
    class Counted(Written):
        async def run(self) -> PathResult:
            running.append(self.index)
            at_once.append(len(running))
            return await super().run()

    council = council_of([Counted(at, str(at), 3) for at in range(n_paths)], VoteRule(confidence=2.0))
    council.emit = lambda _: running.clear()
    await council.run()
    assert (len(council.results), max(at_once)) == (n_paths, most)
