"""What `bethink serve` refuses before it loads anything, and what it says when it is ready."""

from __future__ import annotations

import re
import socket
from io import StringIO
from pathlib import Path

import click
import pytest
from rich.console import Console

from bethink.cli.main import main
from bethink.cli.markdown import THEME
from bethink.cli.serve import Alias, Keep, Origin, _say  # pyright: ignore[reportPrivateUsage]  # what it says is the test
from bethink.cli.terminal import UNICODE, Terminal
from bethink.server.launch import Open
from tests.unit.cli.conftest import scripted_model


def test_an_address_that_others_reach_needs_an_administrators_key(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del home
    for arguments in (["--host", "0.0.0.0"], ["--require-key"]):
        assert main(["serve", "--port", "0", *arguments]) == 2
        said = capsys.readouterr()
        assert "needs an administrator's key" in said.err
        assert "bethink keys create admin --scope admin" in said.err
        assert said.out == ""


def test_a_port_that_is_taken_is_said_to_be(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del home
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} is taken" in said
    assert "--port 0" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--alias", "gpt-4o"], "NAME=MODEL"),
        (["--alias", "=x"], "NAME=MODEL"),
        (["--alias", "gpt-4o=no-such-model"], "no model is called"),
        (["--allow-origin", "chat.example.com"], "https://chat.example.com"),
        (["--allow-origin", "https://a.example/path"], "origin"),
        (["--port", "70000"], "70000"),
        (["--parallel", "0"], "0"),
        (["--keep", "soon"], "is not a duration"),
        (["--drain", "0"], "drain"),
        (["--database", "mysql://u:hunter2@h/d"], "SQLite or PostgreSQL"),
        (["--host", "no.such.host.invalid", "--port", "0"], "no address"),
        (["--model", ""], "empty"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_words(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    del home
    assert main(["serve", "--port", "0", *arguments]) in (2, 3)
    said = capsys.readouterr().err
    assert words in said
    assert "hunter2" not in said


def test_values_are_read_as_people_write_them() -> None:
    with click.Context(click.Command("serve")):
        assert Alias().convert(" gpt-4o = qwen2.5-coder:1.5b ", None, None) == ("gpt-4o", "qwen2.5-coder:1.5b")
        assert Origin().convert("https://Chat.example.com/", None, None) == "https://chat.example.com"
        assert Origin().convert("*", None, None) == "*"
        assert Keep().convert("15m", None, None) == 900
        assert Keep().convert("always", None, None) == float("inf")


@pytest.mark.parametrize("needs_key", [False, True])
@pytest.mark.parametrize("is_json", [False, True])
def test_it_says_where_what_and_how_to_try_it(needs_key: bool, is_json: bool) -> None:
    written = StringIO()
    console = Console(file=written, theme=THEME, width=60, highlight=False, markup=False)
    terminal = Terminal(console, console, False, False, UNICODE)
    model = scripted_model({"": "x"})
    opened = Open("http://127.0.0.1:8114", needs_key, {"scripted:1b": model}, is_loopback=not needs_key)
    _say(terminal, opened, is_json=is_json)
    text = written.getvalue()
    if is_json:
        assert text == ""
        return
    assert "scripted:1b (scripted)" in text
    (curl,) = re.findall(r"^.*(curl .*)$", text, re.MULTILINE)  # on one line, to be copied
    assert curl.startswith("curl http://127.0.0.1:8114/v1/chat/completions")
    assert ("Bearer" in curl) is needs_key
    assert ("none needed" in text) is not needs_key
