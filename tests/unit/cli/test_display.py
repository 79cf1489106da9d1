from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.cli.board import Board
from bethink.cli.display import Display, Plain, Quiet, open_display
from bethink.cli.live import Live
from bethink.cli.terminal import Terminal
from bethink.types import (
    Event,
    Finished,
    FinishReason,
    ModelRef,
    PathDone,
    PathResult,
    Phase,
    Result,
    Started,
    TextDelta,
    ThoughtClosed,
    ThoughtRolledBack,
    Timing,
    Usage,
    Verdict,
    Vote,
)

from .conftest import written

MakeTerminal = Callable[..., Terminal]
ANSWER = "So it is \\(2^2\\).\n\n- **4**\n"
VERDICT = Verdict("vote", True, "4", "2 of 3 paths agree", 2 / 3, (Vote("4", 2), Vote("5", 1)))


def path_result(index: int, extracted: str | None = "4", *, is_cancelled: bool = False) -> PathResult:
    return PathResult(index, "hm", ANSWER, "natural", "stop", Usage(), extracted, is_cancelled=is_cancelled)


def result(verdict: Verdict | None = None, answer: str = ANSWER, paths: Sequence[PathResult] = ()) -> Result:
    return Result(
        answer,
        "hm",
        "natural",
        "stop",
        verdict or Verdict("none", None),
        Usage(3, 5, 6),
        Timing(0.1, 0.2, 1.0, 11.0),
        ModelRef("m", "ab"),
        "scripted",
        1,
        "t",
        tuple(paths),
    )


def deltas(text: str, phase: Phase, path: int = 0) -> list[Event]:
    return [TextDelta(path, phase, part, n) for n, part in enumerate(text.split("|"), start=1)]


SINGLE: list[Event] = [
    Started(3, 64, 1, "auto", ("the budget is cut",)),
    *deltas("Let me| see. |I see.| I see.", "thinking"),
    ThoughtRolledBack(0, 18, "6 tokens repeat"),
    *deltas(" It is four.\n", "thinking"),
    ThoughtClosed(0, "budget", 5),
    *deltas("So it is \\(2^2\\).|\n\n- **4|**\n", "answer"),
    PathDone(path_result(0), (), 0),
    Finished(result()),
]

VOTED: list[Event] = [
    Started(3, 64, 8, "high"),
    *itertools.chain.from_iterable(deltas("Let me| see.", "thinking", path) for path in range(4)),
    ThoughtRolledBack(3, 4, "a loop"),
    ThoughtClosed(0, "natural", 3),
    *deltas("It is| 4", "answer"),
    PathDone(path_result(0), (Vote("4", 1),), 3),
    PathDone(path_result(1, "5"), (Vote("4", 1), Vote("5", 1)), 2),
    PathDone(path_result(2), (Vote("4", 2), Vote("5", 1)), 1),
    PathDone(path_result(3, None, is_cancelled=True), (Vote("4", 2), Vote("5", 1)), 0),
    Finished(result(VERDICT, paths=[path_result(n) for n in range(4)])),
]


def show(display: Display, events: Sequence[Event]) -> None:
    for event in events:
        display.handle(event)
        display.tick()
    display.close()


@pytest.mark.parametrize("events", [SINGLE, VOTED], ids=["single", "voted"])
def test_a_pipe_gets_the_answer_alone(make_terminal: MakeTerminal, events: list[Event]) -> None:
    terminal = make_terminal(is_live=False, is_terminal=False)
    show(open_display(terminal), events)
    assert written(terminal.out) == ANSWER
    assert written(terminal.err) == ("note: the budget is cut\n" if events is SINGLE else "")


@pytest.mark.parametrize(
    ("passed", "told"), [(True, ""), (False, "note: refuted: exit code 1\n"), (None, "note: unsure: exit code 1\n")]
)
def test_a_log_beside_a_pipe_says_that_an_answer_was_not_proven(
    make_terminal: MakeTerminal, passed: bool | None, told: str
) -> None:
    terminal = make_terminal(is_live=False, is_terminal=False)
    show(open_display(terminal), [Finished(result(Verdict("cmd", passed, "4", "exit code 1")))])
    assert (written(terminal.out), written(terminal.err)) == (ANSWER, told)


def test_json_output_is_not_disturbed(make_terminal: MakeTerminal) -> None:
    terminal = make_terminal()
    display = open_display(terminal, is_json=True)
    assert isinstance(display, Quiet)
    show(display, SINGLE)
    assert written(terminal.out) == ""


@pytest.mark.parametrize("events", [SINGLE, VOTED], ids=["single", "voted"])
def test_a_dumb_terminal_gets_no_escape_codes(make_terminal: MakeTerminal, events: list[Event]) -> None:
    terminal = make_terminal(is_live=False, is_ascii=True)
    display = open_display(terminal)
    assert isinstance(display, Plain)
    show(display, events)
    shown = written(terminal.out)
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "- **4**" in shown
    assert "the thought ended by itself" in shown


def test_a_terminal_sees_thought_mark_answer_and_evidence(make_terminal: MakeTerminal) -> None:
    terminal = make_terminal()
    display = open_display(terminal)
    assert isinstance(display, Live)
    show(display, SINGLE)
    last = written(terminal.out).rpartition("\x1b[2K")[2]
    assert "So it is 2²." in written(terminal.out)
    assert "note: the budget is cut" in written(terminal.out)
    assert "Let me see. I see. It is four." in written(terminal.out)
    assert "the thought was closed at its budget, 5/64 tokens" in written(terminal.out)
    assert "5 thinking + 6 answer tokens, 1.0 s, 11 tokens/s" in last


def test_a_hidden_thought_is_not_shown(make_terminal: MakeTerminal) -> None:
    for is_live in (True, False):
        terminal = make_terminal(is_live=is_live)
        show(open_display(terminal, hides_thought=True), SINGLE)
        assert "Let me" not in written(terminal.out)
        assert "So it is" in written(terminal.out)


def test_a_rollback_beyond_the_screen_is_marked(make_terminal: MakeTerminal) -> None:
    terminal = make_terminal(width=40)
    display = Live(terminal)
    display.handle(Started(3, 512, 1, "auto"))
    for n in range(40):
        display.handle(TextDelta(0, "thinking", f"word {n} of a long thought ", n + 1))
        display.tick()
    display.handle(ThoughtRolledBack(0, 50, "it loops"))
    display.handle(TextDelta(0, "thinking", "AFTERWARDS", 41))
    display.handle(ThoughtClosed(0, "natural", 41))
    display.close()
    shown = written(terminal.out)
    assert "↶ taken back" in shown
    assert "AFTERWARDS" in shown.partition("↶ taken back")[2]


def test_several_paths_are_cells_and_their_vote_is_bars(make_terminal: MakeTerminal) -> None:
    terminal = make_terminal()
    show(Live(terminal), VOTED)
    shown = written(terminal.out)
    assert "not needed any more" in shown
    assert "✓ 4 natural" in shown
    assert "↶1" in shown
    assert "━━━ 2" in shown
    assert "2 of 3 paths agree (67%)" in shown


@pytest.mark.parametrize("width", [20, 31, 80, 200])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_no_line_is_wider_than_the_terminal(make_terminal: MakeTerminal, width: int, is_ascii: bool) -> None:
    for events in (SINGLE, VOTED):
        terminal = make_terminal(width=width, is_ascii=is_ascii)
        show(Live(terminal), events)
        lines = written(terminal.out).replace("\r", "\n").split("\n")
        assert max(len(_without_codes(line)) for line in lines) <= width


def _without_codes(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)


def test_more_paths_than_the_screen_holds_are_counted(make_terminal: MakeTerminal) -> None:
    terminal = make_terminal(width=40)
    display = Live(terminal)
    display.handle(Started(3, 64, 64, "max"))
    for path in range(64):
        display.handle(TextDelta(path, "thinking", "hm", 1))
    display.tick()
    display.close()
    assert "and 52 more" in written(terminal.out)


def test_control_codes_of_a_model_do_not_reach_the_terminal(make_terminal: MakeTerminal) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m"
    for is_live in (True, False):
        terminal = make_terminal(is_live=is_live)
        events: list[Event] = [
            Started(3, None, 1, "auto"),
            TextDelta(0, "thinking", evil, 1),
            ThoughtClosed(0, "natural", 1),
            TextDelta(0, "answer", evil, 1),
            Finished(result(answer=evil)),
        ]
        show(open_display(terminal), events)
        assert "\x1b]0" not in written(terminal.out)
        assert "\x1b[31m" not in written(terminal.out)


@given(st.data())
def test_the_board_holds_the_thought_that_the_events_tell(data: st.DataObject) -> None:
    board, thought = Board(), ""
    board.apply(Started(1, None, 1, "auto"))
    for n in range(data.draw(st.integers(0, 12))):
        if data.draw(st.booleans()):
            text = data.draw(st.text(max_size=5))
            board.apply(TextDelta(0, "thinking", text, n))
            thought += text
        else:
            keep = data.draw(st.integers(0, len(thought)))
            board.apply(ThoughtRolledBack(0, keep, ""))
            thought = thought[:keep]
    assert board.path(0).thought == thought


@pytest.mark.parametrize(
    ("finish", "told"),
    [("stop", ""), ("length", "note: the thought ended by itself, the answer was cut at its limit\n")],
)
def test_a_log_beside_a_pipe_says_that_an_answer_was_cut(
    make_terminal: MakeTerminal, finish: FinishReason, told: str
) -> None:
    terminal = make_terminal(is_live=False, is_terminal=False)
    show(open_display(terminal), [Finished(replace(result(), finish_reason=finish))])
    assert written(terminal.err) == told
