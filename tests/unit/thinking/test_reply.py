"""What of an answer is shown, where it ends and what it calls, however its text is split."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.prompt.hermes import calls_at_end
from bethink.thinking.reply import Reply
from bethink.types import Tool, ToolCall

WEATHER = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
CLOCK = Tool("clock")
TOOLS = (WEATHER, CLOCK)
ROME = '{"name": "weather", "arguments": {"city": "Rome"}}'
CALL = f"<tool_call>\n{ROME}\n</tool_call>"


def read(*parts: str, stop: tuple[str, ...] = (), is_cut: bool = False, most: int | None = None) -> Reply:
    reply = Reply(stop, TOOLS, most_calls=most)
    shown = [out for part in parts for out in reply.feed(part)] + reply.finish(is_cut=is_cut)
    assert "".join(out for out in shown if isinstance(out, str)) == reply.text
    assert [out for out in shown if isinstance(out, ToolCall)] == reply.calls
    return reply


def called(reply: Reply) -> list[tuple[str, object]]:
    return [(call.name, json.loads(call.arguments)) for call in reply.calls]


ONE = [("weather", {"city": "Rome"})]


@pytest.mark.parametrize(
    "written",
    [
        CALL,
        f"<tool_call>{ROME}</tool_call>",
        f"<tool_call>\n{ROME}\n",  # no closing tag
        f"<tool_call>\n{ROME[:-1]}\n</tool_call>",  # a brace forgotten
        f"<tool_call>\n{ROME}}}\n</tool_call>",  # a brace too many
        f"<tool_call>\n```json\n{ROME}\n```\n</tool_call>",
        f"```json\n{ROME}\n```",  # no tags at all
        f"```\n{ROME}\n```",
        ROME,
        f"{{{ROME}}}",  # as a template with a slip in it shows it
        f"<tool_call>\n{{{ROME}}}\n</tool_call>",
        '<tool_call>\n{"name": "weather", "parameters": {"city": "Rome"}}\n</tool_call>',
        '<tool_call>\n{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}\n</tool_call>',
        '<tool_call>\n{"name": "weather", "city": "Rome"}\n</tool_call>',
        '<tool_call>\n{"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}</tool_call>',
    ],
)
def test_a_call_that_can_only_mean_one_thing_is_a_call(written: str) -> None:
    reply = read(written)
    assert (called(reply), reply.text) == (ONE, "")


@pytest.mark.parametrize(
    "written",
    [
        '<tool_call>\n{"name": "moon", "arguments": {}}\n</tool_call>',
        "<tool_call>\nI would call weather.\n</tool_call>",
        '<tool_call>\n{"name": "weather", "arguments": {"city": \n</tool_call>',
        '<tool_call>\n{"name": "weather", "arguments": [1]}\n</tool_call>',
        '<tool_call>\n{"name": "weather"}\n</tool_call>',  # it needs a city
        '<tool_call>\n{"name": "weather", "arguments": {"city": NaN}}\n</tool_call>',
        "You would write <tool_call> before it.",
        "```json\n" + '{"name": "Ann", "age": 7}' + "\n```",
        '{"name": "weather", "arguments": {"city": "Rome"}} is how one asks.',
        "<tool_call>" + "[" * 5000 + "</tool_call>",
        "It is 4.",
    ],
)
def test_what_is_no_call_stays_text_as_it_stands(written: str) -> None:
    reply = read(written)
    assert (reply.calls, reply.text) == ([], written)


def test_several_calls_in_one_tag_or_in_several_are_several_calls() -> None:
    two: list[tuple[str, object]] = [*ONE, ("clock", {})]
    clock = '{"name": "clock", "arguments": {}}'
    for written in (
        f"{CALL}\n<tool_call>\n{clock}\n</tool_call>",
        f"<tool_call>\n{ROME}\n{clock}\n</tool_call>",
        f"<tool_call>\n[{ROME}, {clock}]\n</tool_call>",
        f"<tool_call>\n{ROME}\n<tool_call>\n{clock}\n</tool_call>",  # the first was not closed
        f"```json\n{ROME}\n{clock}\n```",
    ):
        assert called(read(written)) == two, written
    assert called(read(f"{CALL}{CALL}", most=1)) == ONE


def test_words_around_a_call_are_the_answer() -> None:
    reply = read(f"Let me look.\n\n{CALL}\n\nI wait.  ")
    assert (reply.text, called(reply)) == ("Let me look.\nI wait.", ONE)


def test_a_call_cut_by_a_limit_is_not_made_up() -> None:
    cut = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}'
    assert read(cut, is_cut=True).calls == []
    assert read(cut, is_cut=True).text == cut
    assert called(read(cut)) == ONE


def test_a_closing_tag_inside_an_argument_is_part_of_it() -> None:
    city = 'a </tool_call> <tool_call> "b" \\'
    written = f"<tool_call>\n{json.dumps({'name': 'weather', 'arguments': {'city': city}})}\n</tool_call>"
    assert called(read(*written)) == [("weather", {"city": city})]


def test_half_a_surrogate_in_an_argument_can_be_sent_on() -> None:
    reply = read('<tool_call>{"name": "weather", "arguments": {"city": "\\ud800"}}</tool_call>')
    assert reply.calls[0].arguments.encode()


def test_a_stop_text_ends_the_answer_and_is_no_part_of_it() -> None:
    reply = read("One two", " thr", "ee four", stop=("three", "xyz"))
    assert (reply.text, reply.is_stopped) == ("One two", True)


def test_a_stop_text_inside_a_call_is_an_argument() -> None:
    assert called(read(CALL, stop=("Rome",))) == ONE


def test_half_a_stop_text_is_not_shown_before_it_is_none() -> None:
    reply = Reply(("STOP",))
    assert reply.feed("Go ST") == ["Go"]
    assert reply.feed("AY") == [" STAY"]
    assert reply.feed(" STO") == []
    assert reply.finish() == [" STO"]


PARTS = st.sampled_from(
    ["<tool_call>", "</tool_call>", ROME, ROME[:-1], ROME[:20], '"', "```json\n", "```", "{", "}", "\n", " ", "words",
     "EN", "END", "ab", "b", '{"name": "moon"}', "<tool", "_call>"]
)  # fmt: skip


@given(
    written=st.lists(PARTS, max_size=10).map("".join),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    stop=st.sampled_from([(), ("END",), ("ab", "b", "words EN"), ("\n",), ('"',)]),
    is_cut=st.booleans(),
)
def test_it_does_not_matter_how_the_text_is_split(
    written: str, cuts: list[int], stop: tuple[str, ...], is_cut: bool
) -> None:
    edges = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})
    parts = [written[a:b] for a, b in pairwise(edges)]
    whole, split = read(written, stop=stop, is_cut=is_cut), read(*parts, stop=stop, is_cut=is_cut)
    assert (split.text, split.calls, split.is_stopped) == (whole.text, whole.calls, whole.is_stopped)
    assert not any(s in split.text for s in stop)
    assert split.text == split.text.strip()


def test_only_calls_at_the_end_of_a_thought_were_meant() -> None:
    assert [wish.name for wish in calls_at_end(f"So I ask.\n{CALL}\n{CALL}\n", TOOLS)] == ["weather", "weather"]
    for thought in (f"{CALL} or perhaps not.", "I could write <tool_call>…</tool_call>", CALL[:-3], "", "</tool_call>"):
        assert calls_at_end(thought, TOOLS) == []


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_what_is_no_json_is_no_call(number: str) -> None:
    written = f'<tool_call>{{"name": "clock", "arguments": {{"at": {number}}}}}</tool_call>'
    reply = read(written)
    assert (reply.calls, reply.text) == ([], written)
