"""A trace is written whole or not at all, and reads back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from bethink.errors import StoreError
from bethink.trace import Trace, TracedPath, TracedToken, new_trace_id
from bethink.types import Decided


def example() -> Trace:
    path = TracedPath(0, 7, 0.5, [TracedToken(11, "é", "thinking", "sampled", -0.25, 0.125, is_kept=False)], "budget")
    decision = Decided(0, 1, "roll_back", "48 tokens repeat", {"n": 3})
    return Trace("t1", "2026-01-01", {"seed": 1}, {"name": "m"}, "scripted", "qwen3", [1, 2], "Q", [path], [decision])


def test_a_trace_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert Trace.load(example().save(tmp_path / "traces")) == example()


def test_a_folder_that_cannot_be_written_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="t1"):
        example().save(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', "\x00", '{"format": 1, "paths": 3}'])
def test_a_file_that_is_no_trace_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match="trace"):
        Trace.load(path)


def test_ids_sort_by_time_and_differ() -> None:
    first, second = new_trace_id(), new_trace_id()
    assert first != second
    assert first[:15] <= second[:15]
