"""Your own questions: a file whose rows have `question` and `answer`."""

from __future__ import annotations

from pathlib import Path

from bethink.evals.answers import AnswerTask
from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.task import Example, Task


def jsonl(name: str, path: Path) -> Task:
    """Raises: UsageError."""
    file = read_questions(path)
    return AnswerTask(name, file.examples(_example), str(path), file.sha256)


def _example(row: Row, number: int) -> Example:
    gold = text_of(row, "answer")
    marked = gold.rpartition("####")[2].strip() if "####" in gold else ""
    return Example(id_of(row, number, "id"), text_of(row, "question"), marked or gold.strip())
