"""MATH-500: competition problems. Source: HuggingFaceH4/MATH-500, test.jsonl (MIT)."""

from __future__ import annotations

from pathlib import Path

from bethink.evals.answers import AnswerTask
from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.task import Example


def math500(name: str, data: Path) -> AnswerTask:
    """Raises: UsageError."""
    file = read_questions(data)
    return AnswerTask(name, file.examples(_example), str(data), file.sha256)


def _example(row: Row, number: int) -> Example:
    meta = {key: row[key] for key in ("subject", "level") if key in row}
    return Example(id_of(row, number, "unique_id"), text_of(row, "problem"), text_of(row, "answer"), meta=meta)
