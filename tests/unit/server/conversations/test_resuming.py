"""How an interrupted answer goes on: from the thought that was kept, within what is left of its limits, or from the
beginning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.engine.scripted import Context, Line
from bethink.server.conversations.resuming import LEAST_S, Going, counted_on, go_on
from bethink.server.conversations.state import Shown
from bethink.types import CLOSINGS, ClosedBy, Message, Request, Started, TextDelta, ThoughtClosed
from tests.unit.server.conversations.conftest import CLOSED, NATIVE, Serve, make_model, until

pytestmark = pytest.mark.anyio

REQUEST = Request((Message("user", "x"),), within_s=60.0, seed=5)
HANDOFF = " Time is up."


def shown(thinking: str, *, budget: int | None = 100, paths: int = 1, closed_by: ClosedBy | None = None) -> Shown:
    made = Shown()
    made.take(Started(3, budget, paths, "auto"))
    made.take(TextDelta(0, "thinking", thinking, len(thinking)))
    if closed_by is not None:
        made.take(ThoughtClosed(0, closed_by, len(thinking)))
        made.take(TextDelta(0, "answer", "It is", 2))
    return made


def gone_on(kept: Shown, elapsed_s: float = 10.0) -> Going:
    return go_on(REQUEST, kept, elapsed_s=elapsed_s, handoff=HANDOFF)


def test_an_open_thought_goes_on_with_what_is_left_of_its_budget_and_its_time() -> None:
    going = gone_on(shown("two and", budget=100))
    assert going == Going(replace(REQUEST, thought="two and", budget=93, within_s=50.0), n_kept_tokens=7)


def test_a_path_that_goes_on_from_its_thought_is_in_words() -> None:
    request = replace(REQUEST, paths=1, programs=1)
    going = go_on(request, shown("two and"), elapsed_s=0.0, handoff=HANDOFF)
    assert (going.request.thought, going.request.programs) == ("two and", None)
    assert go_on(request, Shown(), elapsed_s=0.0, handoff=HANDOFF).request.programs == 1


def test_a_thought_without_a_budget_stays_without_one() -> None:
    assert gone_on(shown("two and", budget=None)).request.budget is None


@pytest.mark.parametrize("closed_by", ["budget", "user"])
def test_a_closed_thought_is_not_handed_off_twice(closed_by: ClosedBy) -> None:
    going = gone_on(shown("two and" + HANDOFF, closed_by=closed_by))
    assert going.request.thought == "two and"
    assert going.answers_now == (closed_by == "user")
    assert (going.request.budget == 0) == (closed_by == "budget")


@pytest.mark.parametrize(
    "kept",
    [
        Shown(),
        shown(""),
        shown("x", paths=4),
        shown(HANDOFF, closed_by="budget"),
        *[shown("x", closed_by=reason) for reason in ("loop", "deadline", "converged")],
    ],
)
def test_everything_else_runs_again_from_the_beginning(kept: Shown) -> None:
    assert gone_on(kept) == Going(replace(REQUEST, within_s=50.0))


def test_a_deadline_that_passed_while_nobody_was_there_leaves_a_moment() -> None:
    assert gone_on(Shown(), elapsed_s=1000.0).request.within_s == LEAST_S


@given(
    thinking=st.text(max_size=30),
    budget=st.none() | st.integers(0, 60),
    paths=st.integers(1, 3),
    closed_by=st.none() | st.sampled_from(CLOSINGS),
    elapsed_s=st.floats(0, 1e6),
)
def test_a_resumed_answer_is_told_one_budget_and_never_takes_more(
    thinking: str, budget: int | None, paths: int, closed_by: ClosedBy | None, elapsed_s: float
) -> None:
    going = gone_on(shown(thinking, budget=budget, paths=paths, closed_by=closed_by), elapsed_s)
    request = going.request
    assert LEAST_S <= (request.within_s or 0) <= 60.0
    if request.thought is None:
        assert going.n_kept_tokens == 0
    elif budget is not None:
        assert request.budget is not None
        assert request.budget + going.n_kept_tokens <= max(budget, going.n_kept_tokens)
        told = counted_on(Started(3, request.budget, 1, "auto"), going.n_kept_tokens)
        assert isinstance(told, Started)
        assert told.budget is not None
        assert told.budget <= max(budget, going.n_kept_tokens)


THOUGHT = " ".join(f"step{n}" for n in range(100))
ANSWER = " ".join(f"word{n}" for n in range(80))


def script(context: Context) -> Line:
    """A long thought; after a close, however it came, a long answer."""
    said = context.text.rsplit("assistant\n", 1)[1]
    if CLOSED in said:
        return Line(ANSWER[len(said.partition(CLOSED)[2]) :])
    return Line(f"<think>\n{THOUGHT}{CLOSED}{ANSWER}"[len(said) :])


@pytest.mark.parametrize(("settings", "closed_by"), [({"budget": 120}, "budget"), ({}, "user"), ({}, "natural")])
async def test_an_answer_that_was_half_said_is_said_whole_and_closed_by_the_same(
    serve: Serve, settings: dict[str, Any], closed_by: str
) -> None:
    async with serve(make_model(script, token_delay_s=0.002)) as client:
        conversation = await client.new()
        node_id = (await client.ask(conversation, "Count.", paths=1, **settings))["assistant"]["id"]
        log = client.page.detached.find(node_id).log
        if closed_by == "user":
            await until(lambda: 0 in log.shown.paths and len(log.shown.paths[0].thinking) > 50)
            await client.post(f"/api/nodes/{node_id}/answer_now")
        await until(lambda: 0 in log.shown.paths and len(log.shown.paths[0].answer) > 30)
        before = log.shown.paths[0]
        thinking, answer = before.thinking, before.answer
    async with serve(make_model(script, token_delay_s=0.0005)) as client:
        await client.watch(node_id)
        node = await client.node(conversation, node_id)
    assert ANSWER.startswith(answer)
    assert (node["status"], node["content"]) == ("done", ANSWER)
    thought, again = (text.removesuffix(NATIVE.handoff) for text in (thinking, node["thinking"]))
    assert again.startswith(thought)
    assert len(again) - len(thought) == (closed_by == "user")  # a wish is heard at the next token
    assert node["result"]["closed_by"] == closed_by
    assert thinking.count(NATIVE.handoff.strip()) == (closed_by != "natural")
    assert node["result"]["resumed"]["times"] == 1
