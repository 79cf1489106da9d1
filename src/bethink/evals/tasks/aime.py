"""AIME: whole numbers from 0 to 999, in the several spellings in which its years are published."""

from __future__ import annotations

from pathlib import Path

from bethink.evals.answers import AnswerTask
from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.task import Example

HIGHEST = 999


def aime(name: str, data: Path) -> AnswerTask:
    """Raises: UsageError."""
    file = read_questions(data)
    return AnswerTask(name, file.examples(_example), str(data), file.sha256)


def _example(row: Row, number: int) -> Example:
    row = {key.lower(): value for key, value in row.items()}
    gold = text_of(row, "answer", "expected_answer").strip()
    if not (gold.isascii() and gold.isdigit() and int(gold) <= HIGHEST):
        raise ValueError(f"the answer {gold!r} is no whole number up to {HIGHEST}")
    return Example(id_of(row, number, "id"), text_of(row, "problem", "question"), str(int(gold)))
