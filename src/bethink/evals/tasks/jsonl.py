"""Your own questions: a file whose rows have `question` and `answer`, or `question` and `tests`.

`tests` are Python (a text, or a list of lines) or a list of `{"input": …, "output": …}`; `entry_point` names the
function that they call, where that matters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from bethink.evals.answers import AnswerTask
from bethink.evals.files import Row, id_of, read_questions, text_of
from bethink.evals.programs import ASKS_FOR_PROGRAM, ProgramTask
from bethink.evals.task import Example, Task
from bethink.verify.sandbox import Sandbox


def jsonl(name: str, path: Path, sandbox: Callable[[], Sandbox]) -> Task:
    """`sandbox` is opened only where a row has tests. Raises: UsageError, SandboxMissing."""
    file = read_questions(path)
    examples = file.examples(_example)
    if all(e.gold is not None for e in examples):
        return AnswerTask(name, examples, str(path), file.sha256)
    return ProgramTask(name, examples, str(path), file.sha256, sandbox())


def _example(row: Row, number: int) -> Example:
    own, question = id_of(row, number, "id", "task_id"), text_of(row, "question")
    if "tests" in row:
        return _program(row, own, question)
    gold = text_of(row, "answer")
    marked = gold.rpartition("####")[2].strip() if "####" in gold else ""
    return Example(own, question, marked or gold.strip())


def _program(row: Row, own: str, question: str) -> Example:
    entry = row.get("entry_point")
    meta: dict[str, object] = {"entry_point": entry} if isinstance(entry, str) and entry else {}
    tests: object = row["tests"]
    asked = question + ASKS_FOR_PROGRAM
    if isinstance(tests, str) and tests.strip():
        return Example(own, asked, tests=tests, meta=meta)
    listed = cast("list[object]", tests) if isinstance(tests, list) else []
    if listed and all(isinstance(t, str) for t in listed):
        return Example(own, asked, tests="\n".join(map(str, listed)) + "\n", meta=meta)
    cases = [(c.get("input"), c.get("output")) for c in cast("list[dict[str, object]]", listed) if isinstance(c, dict)]  # pyright: ignore[reportUnnecessaryIsInstance]  # a user's file
    if cases and len(cases) == len(listed) and all(isinstance(v, str) for case in cases for v in case):
        return Example(own, asked, meta=meta | {"cases": tuple(cases)})
    raise ValueError("its tests are neither Python nor a list of inputs and outputs")
