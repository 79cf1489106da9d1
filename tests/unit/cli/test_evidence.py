from __future__ import annotations

import pytest

from bethink.picture.evidence import closing, cost, judgement, one_line, seconds, vote_rows
from bethink.types import ClosedBy, FinishReason, ModelRef, Result, Timing, Usage, Verdict, Vote


def result(
    closed_by: ClosedBy = "natural", finish: FinishReason = "stop", verdict: Verdict | None = None, thinking: str = "hm"
) -> Result:
    return Result(
        answer="4",
        thinking=thinking,
        closed_by=closed_by,
        finish_reason=finish,
        verdict=verdict or Verdict("none", None),
        usage=Usage(10, 1300, 40, 0, 7),
        timing=Timing(0.1, 0.5, 12.34, 108.6),
        model=ModelRef("m", "ab"),
        engine="scripted",
        seed=1,
        trace_id="t",
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (result(), "the thought ended by itself"),
        (result("budget"), "the thought was closed at its budget"),
        (result("budget", thinking=""), "answered without thinking"),
        (
            result("budget", "deadline", thinking=""),
            "answered without thinking, the answer was cut by the deadline",
        ),
        (result("user"), "the thought was closed by you"),
        (result("user", "user"), "stopped by you"),
        (result("natural", "user"), "the thought ended by itself, the answer was stopped by you"),
        (result("budget", "length"), "the thought was closed at its budget, the answer was cut at its limit"),
        (result("natural", "deadline"), "the thought ended by itself, the answer was cut by the deadline"),
        (result("deadline", "deadline"), "the thought was closed by the deadline"),
    ],
)
def test_what_ended_the_thought_is_said_in_words(given: Result, words: str) -> None:
    assert closing(given) == words


def test_the_verdict_is_said_with_its_share() -> None:
    votes = (Vote("4", 5), Vote("5", 3))
    assert judgement(Verdict("vote", True, "4", "5 of 8 paths agree", 5 / 8, votes)) == "5 of 8 paths agree (62%)"
    assert (
        judgement(Verdict("vote", None, "4", "3 of 8 paths agree", 3 / 8, votes)) == "unsure: 3 of 8 paths agree (38%)"
    )
    assert judgement(Verdict("none", None)) == ""
    apart = (Vote("4", 1), Vote("5", 1))
    assert judgement(Verdict("vote", None, "4", "no two of 2 paths agree", 1 / 2, apart)).endswith("agree")


def test_one_line_says_everything_and_empty_parts_leave_no_gap() -> None:
    assert cost(result()) == "1,300 thinking + 40 answer + 7 discarded tokens, 12.3 s, 109 tokens/s"
    assert one_line(result()) == f"the thought ended by itself · {cost(result())}"


def test_votes_are_bars_and_the_rest_is_summed_up() -> None:
    votes = tuple(Vote(str(n), 9 - n) for n in range(8))
    rows = vote_rows(votes, 18, "#", most=3)
    assert rows[0] == ("0", "#" * 18, 9)
    assert rows[-1] == ("5 others", "#" * 18, 6 + 5 + 4 + 3 + 2)
    assert vote_rows((Vote(r"\frac{1}{2}", 1),), 4, "#") == [("1/2", "####", 1)]


@pytest.mark.parametrize(
    ("value", "words"), [(0.04, "0.0 s"), (99.94, "99.9 s"), (100, "1 min 40 s"), (7300, "2 h 1 min")]
)
def test_seconds_are_shown_as_people_say_them(value: float, words: str) -> None:
    assert seconds(value) == words


def test_a_calibrated_verdict_says_how_likely_the_answer_is_right() -> None:
    votes = (Vote("4", 5), Vote("5", 3))
    said = judgement(Verdict("vote", None, "4", "5 of 8 paths agree", 0.625, votes, 0.61))
    assert said == "unsure: 5 of 8 paths agree (62%), right with a probability of 61%"
