"""`AnswerTask`: questions whose answer is a value, a choice or a short text, judged by `bethink.verify.math`."""

from __future__ import annotations

from dataclasses import dataclass

from bethink.errors import UsageError
from bethink.evals.task import Example, Listed, Output
from bethink.thinking.answers import MAX_STATEMENT, compared_answer, extract
from bethink.types import Verdict
from bethink.verify.math import check_math


@dataclass(frozen=True, slots=True)
class AnswerTask(Listed):
    """The examples of a file. A file is one split, whatever it holds."""

    compares: str = "math"
    notes: tuple[str, ...] = ()

    def extract(self, example: Example, output: Output, *, strict: bool) -> str | None:
        del example
        return stated(output) if strict else compared_answer(output.answer, output.thinking, lead=output.lead)

    def judge(self, example: Example, extracted: str | None) -> Verdict:
        return judge_answer(example, extracted)

    def verify(self, example: Example, text: str) -> Verdict:
        return self.judge(example, self.extract(example, Output(text), strict=False))

    def close(self) -> None:
        """Nothing is held."""


def stated(output: Output) -> str | None:
    """What the answer itself states to be the answer; one line is a statement after a lead that was forced before
    it."""
    is_line = len(output.answer) <= MAX_STATEMENT and "\n" not in output.answer
    return extract((output.lead if is_line else "") + output.answer, strict=True)


def judge_answer(example: Example, extracted: str | None) -> Verdict:
    if example.gold is None:
        raise UsageError(f"question {example.id} has no known answer", "give its row an `answer`")
    return check_math(example.gold, extracted)
