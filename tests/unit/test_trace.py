"""A trace is written whole or not at all, and reads back as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bethink.errors import StoreError
from bethink.trace import (
    Trace,
    TracedPath,
    TracedToken,
    new_trace_id,
    prune_traces,
    remove_traces,
    trace_files,
)
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


NOW_S = 1_800_000_000.0


def saved(folder: Path, name: str, *, n_bytes: int, age_s: float) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(b"x" * n_bytes)
    os.utime(file, (NOW_S - age_s, NOW_S - age_s))
    return file


def ids(n: int) -> list[str]:
    """The oldest first."""
    return [f"20260101-0000{at:02}-abcdef" for at in range(n)]


def test_the_oldest_traces_make_room_for_the_newest(tmp_path: Path) -> None:
    for at, name in enumerate(ids(6)):
        saved(tmp_path, f"{name}.json", n_bytes=100, age_s=6000 - at)
    assert prune_traces(tmp_path, 350, now_s=NOW_S) == (3, 300)
    assert [file.stem for file in trace_files(tmp_path)] == ids(6)[:2:-1]


def test_a_trace_that_was_just_written_stays_whatever_the_limit(tmp_path: Path) -> None:
    for name, age_s in zip(ids(3), (6000, 5, -3600), strict=True):  # the last: a clock that was turned back
        saved(tmp_path, f"{name}.json", n_bytes=100, age_s=age_s)
    prune_traces(tmp_path, 1, now_s=NOW_S)
    assert [file.stem for file in trace_files(tmp_path)] == ids(3)[:0:-1]


def test_making_room_leaves_what_bethink_did_not_write_and_takes_what_was_abandoned(tmp_path: Path) -> None:
    saved(tmp_path, "notes.json", n_bytes=900, age_s=1e6)
    (tmp_path / f"{ids(1)[0]}.json").mkdir()
    saved(tmp_path, ".killed.part", n_bytes=10, age_s=1e6)
    saved(tmp_path, ".busy.part", n_bytes=10, age_s=1)
    assert prune_traces(tmp_path, 0, now_s=NOW_S) == (0, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".busy.part", f"{ids(1)[0]}.json", "notes.json"]
    assert prune_traces(tmp_path / "nowhere", 0, now_s=NOW_S) == (0, 0)


def test_what_is_gone_already_is_removed_and_what_cannot_go_is_a_clear_error(tmp_path: Path) -> None:
    assert remove_traces([tmp_path / "gone.json"]) == (0, 0)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StoreError, match=r"folder\.json cannot be removed"):
        remove_traces([tmp_path / "folder.json"])
