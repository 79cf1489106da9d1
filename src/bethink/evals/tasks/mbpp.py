"""MBPP: short functions with asserts. Source: google-research/mbpp (CC-BY-4.0), mbpp.jsonl or sanitized-mbpp.json."""

from __future__ import annotations

from pathlib import Path

from bethink.evals.files import Row, id_of, read_questions, text_of, texts_of
from bethink.evals.programs import ASKS_FOR_PROGRAM, ProgramTask
from bethink.evals.task import Example
from bethink.verify.sandbox import Sandbox


def mbpp(name: str, data: Path, sandbox: Sandbox) -> ProgramTask:
    """Raises: UsageError."""
    file = read_questions(data)
    return ProgramTask(name, file.examples(_example), str(data), file.sha256, sandbox)


def _example(row: Row, number: int) -> Example:
    tests = texts_of(row, "test_list")
    if not tests:
        raise ValueError("its test_list is empty")
    setup = [row["test_setup_code"]] if isinstance(row.get("test_setup_code"), str) else []
    setup += list(texts_of(row, "test_imports")) if row.get("test_imports") else []
    shown = "\n".join(tests)
    question = (
        f"{text_of(row, 'text', 'prompt').strip()}\n\nThe function must pass these tests:\n\n```python\n{shown}\n```"
    )
    body = "\n".join(str(line) for line in [*setup, *tests])
    return Example(id_of(row, number, "task_id"), question + ASKS_FOR_PROGRAM, tests=body + "\n")
