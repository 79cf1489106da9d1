from __future__ import annotations

from pathlib import Path

import click
import pytest

from bethink.cli.main import main
from bethink.cli.parameters import Check, Duration, Temperature, Thought, read_text, with_context
from bethink.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value_s"), [("90", 90), ("20s", 20), ("2m", 120), ("1.5m", 90), ("1m30s", 90), ("1h", 3600), ("0.5", 0.5)]
)
def test_a_duration_is_read_as_people_write_it(text: str, value_s: float) -> None:
    assert Duration().convert(text, None, None) == value_s


@pytest.mark.parametrize("text", ["", "0", "-3", "20 seconds", "s", "nan", "1e3", "infs", "9999h", "٣s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["hot", "nan", "-1", "6", "inf"])
def test_what_is_no_temperature_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="greedy"):
        Temperature().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "is no check"),
        ("math:1", "is no check"),
        ("schema", "schema:answer.json"),
        ("cmd: ", "verify.py"),
        ("cmd:no-such-program -q", "there is no program 'no-such-program'"),
        ("cmd:./no/such/file", "there is no program './no/such/file'"),
    ],
)
def test_a_check_that_cannot_be_honoured_is_refused(text: str, says: str) -> None:
    with pytest.raises(click.BadParameter, match=says):
        Check().convert(text, None, None)


@pytest.mark.parametrize("text", ["auto", "code", "schema:a.json", "cmd:grep -q a:b"])
def test_a_check_is_taken_as_it_is_written(text: str) -> None:
    assert Check().convert(text, None, None) == text


def test_a_thought_is_a_file_or_the_text_itself(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("from a file")
    assert Thought().convert(str(file), None, None) == "from a file"
    assert Thought().convert("Let me see.", None, None) == "Let me see."
    for bad in ("missing.txt", "  "):
        with pytest.raises(click.BadParameter):
            Thought().convert(bad, None, None)


def test_a_file_that_is_no_text_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"a\0b")
    (tmp_path / "l").write_bytes(b"caf\xe9")
    for name, says in [
        ("b", "not a text file"),
        ("l", "not UTF-8"),
        ("missing", "cannot be read"),
        (".", "is a folder"),
    ]:
        with pytest.raises(UsageError, match=says):
            read_text(tmp_path / name)


def test_a_byte_order_mark_and_windows_line_ends_are_taken_off(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(tmp_path / "w") == "a\nb"


def test_files_stand_before_the_question_in_fences_that_hold() -> None:
    text = with_context("Why?", [("a.py", "x = 1\n"), ("b.md", "```\ncode\n```"), ("empty", " ")])
    assert text == "a.py:\n```py\nx = 1\n```\n\nb.md:\n````md\n```\ncode\n```\n````\n\nWhy?"


@pytest.mark.parametrize(
    ("words", "says"), [(["--budget", "x"], "'x' is not a whole number"), (["--sure", "y"], "'y' is not a number")]
)
def test_what_is_no_number_is_refused_in_a_readers_words(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *words, "?"]) == 2
    assert says in capsys.readouterr().err
