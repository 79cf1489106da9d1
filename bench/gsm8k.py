"""Development questions: GSM8K's training file, lines 1 to 1000 (never its test file), and what is right.

The file is `train.jsonl` of openai/grade-school-math (MIT licence); name it with `--data` or `BETHINK_GSM8K`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from bethink.types import Message, Request
from bethink.verify.math import equivalent

N_DEVELOPMENT = 1000


@dataclass(frozen=True, slots=True)
class Question:
    index: int
    text: str
    gold: str

    def request(self, **limits: object) -> Request:
        return Request(messages=(Message("user", self.text),), check="math", **limits)  # pyright: ignore[reportArgumentType]  # fields of Request


def data_path(given: str | None) -> Path:
    """Exits with what to do where there is no file."""
    candidate = given or os.environ.get("BETHINK_GSM8K") or "../shared/data/gsm8k_train.jsonl"
    path = Path(candidate).expanduser()
    if not path.is_file():
        raise SystemExit(f"no questions at {path}: get train.jsonl of openai/grade-school-math and pass --data FILE")
    return path


def questions(path: Path, n: int, first: int = 0) -> list[Question]:
    """Questions `first` … `first + n - 1` of the development split."""
    if first + n > N_DEVELOPMENT:
        raise SystemExit(f"the development split has {N_DEVELOPMENT} questions; {first} + {n} are more")
    lines = path.read_text(encoding="utf-8").splitlines()[first : first + n]
    found: list[Question] = []
    for at, line in enumerate(lines, first):
        item = json.loads(line)
        found.append(Question(at, item["question"], item["answer"].rsplit("####", 1)[1].strip()))
    return found


def is_right(question: Question, extracted: str | None) -> bool:
    return extracted is not None and equivalent(question.gold, extracted)
