from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bethink.cli.terminal import ASCII, UNICODE, glyphs_for, one_row, safe, visual_lines


@given(st.text(alphabet="ab 你\t\n-", max_size=200), st.integers(4, 30))
def test_visual_lines_cover_the_text_and_fit_the_width(text: str, width: int) -> None:
    lines = list(visual_lines(text, width))
    assert "".join(text[start:end] for start, end in lines) == text
    assert lines[-1][1] == len(text)
    for start, end in lines:
        assert cell_len(text[start:end].rstrip(" \n").replace("\t", "    ")) <= width
        assert "\n" not in text[start : end - 1]


@given(st.text(alphabet="ab 你\n", max_size=120), st.text(alphabet="ab 你\n", max_size=40), st.integers(4, 20))
def test_all_lines_but_the_last_stay_when_more_text_comes(text: str, more: str, width: int) -> None:
    before = list(visual_lines(text, width))
    after = list(visual_lines(text + more, width))
    assert after[: len(before) - 1] == before[:-1]


def test_text_of_a_model_cannot_drive_the_terminal() -> None:
    assert safe("a\x1b[2Jb\r\x07\x9bc\u202ed") == "a\ufffd[2Jb\ufffd\ufffd\ufffdc\ufffdd"
    assert safe("a\tb\n") == "a\tb\n"
    assert one_row("a\n\n b\x1b") == "a b\ufffd"


@given(st.text())
def test_making_text_safe_keeps_its_length(text: str) -> None:
    assert len(safe(text)) == len(text)


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("x", ASCII)]
)
def test_a_terminal_gets_signs_it_can_show(encoding: str, glyphs: object) -> None:
    assert glyphs_for(encoding) is glyphs
