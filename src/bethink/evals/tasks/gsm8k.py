"""GSM8K, and GSM-Symbolic, which has its format: school problems, whose answer stands after `####`.

Source: github.com/openai/grade-school-math (MIT), github.com/apple/ml-gsm-symbolic (CC-BY-NC-ND-4.0); their JSON lines.
"""

from __future__ import annotations

from pathlib import Path

from bethink.evals.answers import AnswerTask
from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.task import Example


def gsm8k(name: str, data: Path) -> AnswerTask:
    """Raises: UsageError."""
    file = read_questions(data)
    return AnswerTask(name, file.examples(_example), str(data), file.sha256)


def _example(row: Row, number: int) -> Example:
    worked, marks, gold = text_of(row, "answer").rpartition("####")
    if not marks or not gold.strip():
        raise ValueError("its answer has no '####'; for plain answers give the file itself as the task")
    own, instance = id_of(row, number, "id"), row.get("instance")
    name = own if instance is None else f"{own}.{instance}"
    return Example(name, text_of(row, "question"), gold.strip(), meta={"worked": worked.strip()})
