from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bethink.errors import UsageError
from bethink.evals.files import read_questions
from bethink.evals.registry import open_task

ROW = '{"question": "1 + 1?", "answer": 2}\n'


def test_lines_a_list_and_a_packed_file_are_the_same_questions(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\ufeff" + ROW + "\n" + ROW, encoding="utf-8")
    (tmp_path / "b.json").write_text(f"[{ROW},{ROW}]", encoding="utf-8")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress((ROW + ROW).encode()))
    a, b, c = (read_questions(tmp_path / name).rows for name in ("a.jsonl", "b.json", "c.jsonl.gz"))
    assert a == b == c
    assert len(a) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no question"),
        (b"\n \n", "holds no question"),
        (b'{"question": "a"', "line 1"),
        (b'{"question": "a", "answer": "b"}\n[1]', "line 2"),
        (b"[1, 2]", "item 1"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"\x1f\x8bnonsense", "cannot be read"),
        (b"[" * 100_000, "not JSON"),
        (b'{"question": "a"}', "row 1"),
        (b'{"question": "", "answer": "b"}', "'question'"),
        (b'{"question": "a", "tests": 3}', "tests"),
        (b'{"question": "a", "tests": [{"input": "x"}]}', "tests"),
        (b'{"id": 1, "question": "a", "answer": 1}\n{"id": 1, "question": "b", "answer": 1}', "same id"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_the_place(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        open_task(str(path))
    assert says in str(caught.value)
    assert "questions.jsonl" in str(caught.value)


def test_a_missing_file_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        open_task(str(tmp_path / "none.jsonl"))
