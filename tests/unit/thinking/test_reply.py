"""What of an answer is shown, where it ends and what it calls, however its text is split."""

from __future__ import annotations

import json
from itertools import pairwise
from time import process_time

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
TAGGED = f"<tool_call>{ROME}</tool_call>"


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


@pytest.mark.parametrize(
    "told",
    [
        f"Write `{TAGGED}` to ask.",
        f"Write ``a ` {TAGGED}`` to ask.",
        f"Write `so: {TAGGED} ` to ask.",
        f'Write "{TAGGED}" to ask.',
        f'Write "so: {TAGGED} " to ask.',
        f"Write “so: {TAGGED} ” to ask.",
        f"Write '{TAGGED}' to ask.",
        f"Write so:{TAGGED}",
        f"For example:\n```\n{CALL}\n```\nThat asks.",
        f"For example:\n```xml\n{CALL}\n```",
        f"For example:\n\n  ~~~~\n  ```\n{CALL}\n  ~~~~",
        f"```xml\n{CALL}\n```\nThat is how one asks.",
        f"An open fence:\n```\n{CALL}",
    ],
)
def test_a_call_that_is_only_quoted_stays_text(told: str) -> None:
    for reply in (read(told), read(*told)):
        assert (reply.calls, reply.text) == ([], told)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "I look.\n",
        "I look: ",
        "  ",
        'A `span`, and a stray ` and a stray " in a line.\n',
        'It is a 5" pipe, and "this" is “quoted”. ',
        "```\ncode\n```\n",
        "~~~ python\n```\n~~~~ \n",
        "```a span``` that begins a line\n",
        "<tool_call>\nno call\n</tool_call>",
        "<tool_call>",
    ],
)
def test_a_call_that_is_meant_is_a_call_whatever_stands_before_it(before: str) -> None:
    for reply in (read(before + CALL), read(*(before + CALL))):
        assert (called(reply), reply.text) == (ONE, before.strip())


def test_an_answer_that_is_a_call_in_a_fence_and_nothing_else_is_a_call() -> None:
    for written in (f"```xml\n{CALL}\n```", f"```\n{CALL}\n{CALL}\n```\n", f"```xml\n{CALL}"):
        reply = read(*written)
        assert (called(reply), reply.text) == (ONE * written.count(ROME), "")


def test_prose_about_a_tag_is_shown_at_once() -> None:
    reply = Reply(tools=TOOLS)
    assert "".join(str(out) for out in reply.feed("You write <tool_call> before it, and then")).endswith("then")


@pytest.mark.parametrize("part", ["</tool_call>", "<tool_call>", "\\\\", '\\"', "words ", "  ", "```", "<"])
@pytest.mark.parametrize("before", ["<tool_call>", "", "```json\n"], ids=["tagged", "bare", "fenced"])
def test_a_long_argument_costs_as_much_as_it_is_long(part: str, before: str) -> None:
    argument = part * (200_000 // len(part))
    if before.startswith("`"):
        argument = argument.replace("```", "---")  # which would end the fence
    written = f'{before}{{"name": "weather", "arguments": {{"city": "{argument}"}}}}'
    reply = Reply(tools=TOOLS)
    began = process_time()
    for at in range(0, len(written), 4):
        reply.feed(written[at : at + 4])
    reply.finish()
    assert process_time() - began < 5.0  # half a second; it was hours
    assert json.loads(reply.calls[0].arguments) == {"city": json.loads(f'"{argument}"')}


def test_a_text_that_a_line_break_ends_hides_no_closing_tag() -> None:
    broken = '<tool_call>\n{"name": "weather", "arguments": {"city": "Ro\nme"\n</tool_call>'
    reply = read(*f"{broken}\n{CALL}")
    assert (called(reply), reply.text) == (ONE, broken)


def test_markers_of_what_is_no_call_are_dropped_and_those_of_a_call_are_its_own() -> None:
    moon = CALL.replace("weather", "moon").replace("Rome", "<think>a</thi</think>nk>")
    rome = CALL.replace("Rome", "<think>a")
    reply = Reply(tools=TOOLS, markers=("<think>", "</think>"))
    for part in f"{moon}\n{rome}":
        reply.feed(part)
    reply.finish()
    assert reply.text == CALL.replace("weather", "moon").replace("Rome", "a")
    assert called(reply) == [("weather", {"city": "<think>a"})]


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
     "EN", "END", "ab", "b", '{"name": "moon"}', "<tool", "_call>",
     "`", "``", "~~~\n", "```xml\n", "“", "”", "\\", CALL]
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
