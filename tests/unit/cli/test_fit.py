"""`bethink models fit` and `bethink doctor` as they are read: in terminals of every width, and in a pipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bethink.cli.main import main
from bethink.cli.terminal import Terminal
from bethink.machine import Memory
from tests.unit.cli.conftest import written

GIB = 1 << 30


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert home
    monkeypatch.setattr("bethink.machine.read_memory", lambda: Memory(24 * GIB, 20 * GIB, "machine"))


@pytest.mark.parametrize("width", [120, 80, 72, 50, 40])
def test_what_fits_is_told_without_cutting_a_name_or_a_number(
    width: int, make_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal(width=width)

    def opened(*, no_color: bool) -> Terminal:
        assert not no_color
        return terminal

    monkeypatch.setattr("bethink.cli.fit.open_terminal", opened)
    assert main(["models", "fit"]) == 0
    shown = written(terminal.out)
    assert max(len(line) for line in shown.splitlines()) <= width
    assert "…" not in shown
    for word in ("qwen2.5-coder:14b", "GiB", "q5_k_m", *(["openvino", "%"] if width >= 72 else [])):
        assert word in shown


@pytest.mark.parametrize(
    "words", [["models", "fit"], ["doctor"], ["models", "show", "qwen3:4b"], ["models", "list", "-a"]]
)
def test_a_pipe_gets_whole_rows_that_do_not_end_in_spaces(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert not any("…" in line for line in lines)


def test_a_model_is_not_said_to_hold_more_than_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fit", "qwen3:4b", "--context", "99999", "--paths", "1"]) == 0
    assert "1 path of 40,960 tokens" in (shown := capsys.readouterr().out)
    assert "its context holds 40,960 tokens, not 99,999" in shown
    assert main(["models", "fit", "qwen3:4b", "--context", "99999", "--paths", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["fits"], facts["most_context"]) == (False, 40_960)


def test_the_largest_that_fits_is_one_whose_context_is_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fit", "--context", "65536", "--paths", "1"]) == 0
    shown = capsys.readouterr().out
    assert "holds 40,960" in shown
    assert "the largest that fits is deepseek-r1" in shown
