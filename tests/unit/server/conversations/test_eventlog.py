"""Whoever follows an answer ends with the same text, wherever they come, fall behind, go and come back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bethink.server.conversations.eventlog import LAST, PER_ATTEMPT, EventLog
from bethink.server.conversations.state import Shown
from bethink.types import Event, PathDone, PathResult, Started, TextDelta, ThoughtClosed, ThoughtRolledBack, Usage, Vote
from tests.unit.server.conversations.conftest import Display

TEXT = st.text(alphabet="ab é𝄞\n", min_size=1, max_size=6)
N_PATHS = 2


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """The events of a run, as paths emit them: thoughts that grow and are cut, then answers."""
    events: list[Event] = [Started(5, 100, N_PATHS, "auto")]
    thoughts, answers = [""] * N_PATHS, [""] * N_PATHS
    closed, done = set[int](), set[int]()
    for _ in range(draw(st.integers(0, 40))):
        path = draw(st.integers(0, N_PATHS - 1))
        what = draw(st.sampled_from(("say", "say", "say", "cut", "close", "done")))
        if path in done:
            continue
        if what == "say":
            text = draw(TEXT)
            texts = answers if path in closed else thoughts
            texts[path] += text
            events.append(TextDelta(path, "answer" if path in closed else "thinking", text, len(texts[path])))
        elif what == "cut" and path not in closed:
            thoughts[path] = thoughts[path][: draw(st.integers(0, len(thoughts[path])))]
            events.append(ThoughtRolledBack(path, len(thoughts[path]), "a loop"))
        elif what == "close" and path not in closed:
            closed.add(path)
            events.append(ThoughtClosed(path, "natural", len(thoughts[path])))
        elif what == "done" and path in closed:
            done.add(path)
            result = PathResult(path, thoughts[path], answers[path], "natural", "stop", Usage())
            events.append(PathDone(result, (Vote(answers[path], 1),), N_PATHS - len(done)))
    return events


def shown_after(events: list[Event]) -> Shown:
    shown = Shown()
    for event in events:
        shown.take(event)
    return shown


def texts_of(shown: Shown) -> tuple[dict[int, str], dict[int, str]]:
    return (
        {index: path.thinking for index, path in shown.paths.items() if path.thinking},
        {index: path.answer for index, path in shown.paths.items() if path.answer},
    )


@dataclass
class Reader:
    """A page that asks now and then."""

    display: Display = field(default_factory=Display)

    def ask(self, log: EventLog) -> None:
        for number, event in log.since(self.display.at):
            self.display.take(number, json.loads(event))

    @property
    def texts(self) -> tuple[dict[int, str], dict[int, str]]:
        return (
            {index: text for index, text in self.display.thinking.items() if text},
            {index: text for index, text in self.display.answer.items() if text},
        )


def never(_seconds: float, _call: object) -> None:
    """Tests flush by hand."""


@given(runs(), st.data(), st.sampled_from((1, 3, 10, 1000)))
def test_any_reader_ends_with_what_the_run_said(events: list[Event], data: st.DataObject, window: int) -> None:
    log = EventLog(later=never, window=window)
    eager, lazy, late = Reader(), Reader(), Reader()
    for event in events:
        log.take(event)
        if data.draw(st.booleans(), label="flush"):
            log.flush()
        eager.ask(log)
        if data.draw(st.integers(0, 4), label="lazy asks") == 0:
            lazy.ask(log)
    log.flush()
    for reader in (eager, lazy, late):
        reader.ask(log)
        assert reader.texts == texts_of(shown_after(events))
    log.close({"type": "finished"})
    for reader in (eager, lazy, late, Reader()):
        reader.ask(log)
        assert reader.display.last == {"type": "finished"}
        assert reader.display.at == LAST


@given(runs(), runs(), st.data())
def test_a_run_that_begins_again_never_shows_less_until_it_is_as_far(
    before: list[Event], after: list[Event], data: st.DataObject
) -> None:
    log, reader = EventLog(later=never), Reader()
    for event in before:
        log.take(event)
    reader.ask(log)
    had = texts_of(shown_after(before))
    log.begin_again()
    for n, event in enumerate(after):
        log.take(event)
        if data.draw(st.booleans(), label="asks"):
            reader.ask(log)
            log.flush()
            now = shown_after(after[: n + 1])
            assert texts_of(log.shown) in (had, texts_of(now))
    log.flush()
    reader.ask(log)
    assert reader.texts == texts_of(log.shown)


@given(runs(), st.integers(0, 3 * PER_ATTEMPT))
def test_a_reader_from_before_a_restart_is_told_what_is_shown(events: list[Event], at: int) -> None:
    kept = shown_after(events).kept()
    log = EventLog(n_attempts=1, shown=Shown.of_kept(json.loads(json.dumps(kept))), later=never)
    reader = Reader(Display(at=at if at != log.last else 0))
    reader.ask(log)
    assert reader.texts == texts_of(shown_after(events))


@given(runs())
def test_what_is_written_down_is_read_back_the_same(events: list[Event]) -> None:
    shown = shown_after(events)
    again = Shown.of_kept(json.loads(json.dumps(shown.kept())))
    assert again.record() | {"n_running": None} == shown.record() | {"n_running": None}


def test_many_deltas_become_one_event_for_each_path_and_phase() -> None:
    log = EventLog(later=never)
    for n in range(1000):
        log.take(TextDelta(n % 2, "thinking", "x", n + 1))
    log.flush()
    told = [json.loads(event) for _, event in log.since(0)]
    assert [(event["path"], len(event["text"]), event["n_tokens"]) for event in told] == [(0, 500, 999), (1, 500, 1000)]


def test_memory_is_bounded_however_long_nobody_asks() -> None:
    log = EventLog(later=never, window=50)
    for n in range(10_000):
        log.take(TextDelta(0, "thinking", "x", n + 1))
        log.flush()
    told = log.since(3)
    assert [json.loads(event)["type"] for _, event in told] == ["snapshot"]
    assert len(log.since(log.last - 50)) == 50
