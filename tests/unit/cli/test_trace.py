from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bethink.cli.main import cli, main
from bethink.cli.terminal import UNICODE, Terminal
from bethink.cli.trace_notes import notes
from bethink.cli.trace_view import row_of, table, view
from bethink.errors import UsageError
from bethink.picture.chart import axis_of, vote_moments
from bethink.picture.page import page
from bethink.picture.story import Stretch, chosen, find_trace, story
from bethink.trace import Trace, TracedPath
from bethink.types import Decided

from .conftest import tokens, written

SECOND = "20261123-204502-aaaaaa"


@pytest.fixture
def folder(home: Path, made_trace: Trace) -> Path:
    made_trace.save(home / "traces")
    made_trace.id = SECOND
    made_trace.save(home / "traces")
    made_trace.id = "20261123-204501-3f9a2c"
    return home / "traces"


def test_a_story_tells_who_said_what_and_who_decided_what(made_trace: Trace) -> None:
    told = story(made_trace.paths[0], made_trace.decisions)
    assert [part.action if isinstance(part, Decided) else part.speaker for part in told] == [
        "thinking",
        "taken back",
        "roll_back",
        "close",
        "forced",
        "answer",
        "stop",
    ]
    texts = [part.text for part in told if isinstance(part, Stretch)]
    assert "".join(texts) == "".join(token.text for token in made_trace.paths[0].tokens)


def test_the_path_that_answered_is_found(made_trace: Trace) -> None:
    assert chosen(made_trace) is made_trace.paths[0]
    made_trace.result = None
    assert chosen(made_trace) is made_trace.paths[0]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("last", SECOND),
        ("20261123-204501", "20261123-204501-3f9a2c"),
        ("3f9", "20261123-204501-3f9a2c"),
        (SECOND, SECOND),
    ],
)
def test_a_trace_is_found_by_what_is_unique_of_its_id(folder: Path, name: str, stem: str) -> None:
    assert find_trace(folder, name).stem == stem


@pytest.mark.parametrize(("name", "says"), [("2026", "could be 2 traces"), ("x", "no trace 'x'"), ("", "no trace ''")])
def test_a_trace_that_is_not_one_is_wrong_usage(folder: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_trace(folder, name)


def test_the_list_is_for_programs_in_a_pipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "20261123-204503-broken.json").write_text("{")
    assert main(["trace", "list"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["id", "20261123-204503-broken", SECOND, "20261123-204501-3f9a2c"]
    assert "not a trace" in rows[1][3]
    assert rows[2][2:] == ["scripted:1b", "What is <2> + 2?", "budget", "12", "unsure, no two agree"]
    assert main(["trace", "list", "--json", "-n", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_no_traces_is_said_and_not_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "list"]) == 0
    assert str(home) in capsys.readouterr().err.replace("\n", "")
    assert main(["trace", "show"]) == 2


@pytest.mark.usefixtures("folder")
def test_show_tells_the_answering_path_or_the_one_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "show", "3f9"]) == 0
    shown = capsys.readouterr().out
    assert "2 tokens are taken back: 2 tokens repeat" in shown
    assert "the thought is closed (budget): the budget of 4 tokens is spent" in shown
    assert "[forced by bethink, 3 tokens]\nNo time. </think>" in shown
    assert "hm hm hm" not in shown
    assert main(["trace", "show", "last", "--path", "2"]) == 0
    assert "hm hm hm" in capsys.readouterr().out
    assert main(["trace", "show", "--all"]) == 0
    assert main(["trace", "show", "--path", "3"]) == 2
    capsys.readouterr()
    assert main(["trace", "show", "--json", "last"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"]


def test_a_view_is_free_of_control_codes(made_trace: Trace) -> None:
    made_trace.paths[0].tokens[0].text = "\x1b[2J"
    assert "\x1b" not in "".join(line.plain for line in view(made_trace, UNICODE, made_trace.paths))


class Page(HTMLParser):
    """Checks that tags are closed and collects what could reach outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "onload", "onclick")
        ]
        if tag not in ("meta", "br", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Page:
    reader = Page()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_from_outside_and_is_well_formed(made_trace: Trace) -> None:
    text = page(made_trace)
    reader = parsed(text)
    assert reader.outside == []
    assert "script" not in reader.tags
    assert "svg" in reader.tags
    assert "default-src 'none'" in text
    assert "url(" not in text


def test_the_page_shows_text_of_a_model_as_text(made_trace: Trace) -> None:
    evil = '<script>alert(1)</script><img src=x onerror="a">"'
    made_trace.paths[0].tokens[0].text = evil
    made_trace.paths[0].extracted = evil
    made_trace.request["messages"][0]["content"] = evil
    made_trace.prompt_text = evil
    made_trace.model["name"] = made_trace.engine = evil
    made_trace.decisions.append(Decided(0, 1, evil, evil, {}))
    made_trace.result = {**(made_trace.result or {}), "answer": evil + "\n\n![x](http://a/b.png) [y](javascript:z)"}
    reader = parsed(page(made_trace))
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert reader.outside == ["a href=http://a/b.png"]  # to be clicked, never loaded


def test_the_page_tells_probabilities_decisions_and_what_was_taken_back(made_trace: Trace) -> None:
    text = page(made_trace)
    assert "p 0.607 · logprob -0.50" in text
    assert "2 tokens are taken back: 2 tokens repeat" in text
    assert '<span class="back">' in text
    assert "not needed any more" in text


@pytest.mark.parametrize("is_timed", [False, True])
def test_a_trace_without_times_or_tokens_still_has_a_page(made_trace: Trace, is_timed: bool) -> None:
    for path in made_trace.paths:
        for token in path.tokens:
            token.t = token.t if is_timed else 0.0
    made_trace.paths.append(TracedPath(2, 9, 0.0))
    made_trace.result = None
    parsed(page(made_trace))
    assert axis_of(made_trace).is_time is is_timed
    made_trace.paths = []
    parsed(page(made_trace))


def test_the_vote_moves_as_equivalent_answers_come_in(made_trace: Trace) -> None:
    made_trace.paths = [
        TracedPath(n, n, 0.7, tokens=tokens("a", start_s=float(at)), extracted=answer)
        for n, (at, answer) in enumerate([(3, "0.5"), (1, r"\frac{1}{2}"), (2, "7")])
    ]
    from bethink.verify.math import classes

    names, moments = vote_moments(made_trace, axis_of(made_trace), classes)
    assert names == [r"\frac{1}{2}", "7"]
    assert [moment.counts for moment in moments] == [(1, 0), (1, 1), (2, 1)]


def test_export_writes_each_form(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "export", "last", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == SECOND
    for name, begins in [("t.html", "<!doctype html>"), ("t.md", "# Trace"), ("t.json", "{")]:
        assert main(["trace", "export", "last", "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(begins)
    assert main(["trace", "export", "last", "-o", str(folder / "no" / "t.html")]) == 2
    assert main(["trace", "export", "last", "-o", "-", "--open"]) == 2


def remaining(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.json"))


def test_traces_are_removed_by_id_by_age_by_number_or_all(
    folder: Path, made_trace: Trace, capsys: pytest.CaptureFixture[str]
) -> None:
    first = made_trace.id
    os.utime(folder / f"{first}.json", (0, time.time() - 31 * 86400))
    (folder / "20261123-204503-bbbbbb.json").write_text("{")  # broken ones can go as well
    assert main(["trace", "rm", "--older-than", "30d"]) == 0
    assert capsys.readouterr().out.startswith("removed 1 trace; ")
    assert remaining(folder) == [SECOND, "20261123-204503-bbbbbb"]
    assert main(["trace", "rm", "last", "bbb"]) == 0
    assert remaining(folder) == [SECOND]
    made_trace.save(folder)
    assert main(["trace", "rm", "--keep", "1"]) == 0
    assert remaining(folder) == [SECOND]
    assert main(["trace", "rm", "--all"]) == 0
    assert main(["trace", "rm", "--all"]) == 0
    assert capsys.readouterr().out.endswith("removed 0 traces\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--all", "--keep", "1"], ["last", "--all"], ["last", "nowhere"], ["--older-than", "soon"], ["--keep", "-1"]],
)
def test_removing_asks_for_one_clear_choice_and_removes_nothing_otherwise(folder: Path, arguments: list[str]) -> None:
    assert main(["trace", "rm", *arguments]) == 2
    assert len(remaining(folder)) == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["show", "export", "rm"])
def test_ids_are_completed_newest_first(command: str) -> None:
    shell = ShellComplete(cli, {}, "bethink", "_BETHINK_COMPLETE")
    offered = [item.value for item in shell.get_completions(["trace", command], "")]
    assert offered == ["last", SECOND, "20261123-204501-3f9a2c"]
    assert [item.value for item in shell.get_completions(["trace", command], SECOND[:15])] == [SECOND]


def test_notes_hold_whatever_a_thought_holds(made_trace: Trace) -> None:
    made_trace.paths[0].thinking = "```\ncode\n```"
    text = notes(made_trace)
    assert "````text\n```\ncode\n```\n````" in text
    assert re.search(r"path 1, after 6 tokens: 2 tokens are taken back", text)


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_a_list_never_cuts_an_id(width: int, made_trace: Trace, make_terminal: Callable[..., Terminal]) -> None:
    assert made_trace.result is not None
    made_trace.request["messages"][0]["content"] = "a long question " * 20
    terminal = make_terminal(width=width)
    terminal.out.print(table([row_of(made_trace)] * 3, width))
    shown = written(terminal.out).splitlines()
    assert all(line.startswith(made_trace.id) for line in shown[1:])
    assert len(shown) == 4
    assert max(map(len, shown)) <= width
    assert ("budget" in shown[1]) == (width >= 80)
