"""`ProgramTask`: questions whose answer is a program, judged by running it in the sandbox.

An example has `tests` (Python), or stdin/stdout `cases` in its meta; one that has neither has a known answer and is
judged as such, so that a file may hold both. *Strict* takes a program from a fence or a text that is one as a whole;
*lenient* also one found among other words, or in the thought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bethink.evals.answers import judge_answer, stated
from bethink.evals.task import Example, Listed, Output
from bethink.thinking.answers import compared_answer
from bethink.types import Verdict
from bethink.verify.code import StdioCase, check_code, check_stdio, extract_program, is_program
from bethink.verify.sandbox import Sandbox

ASKS_FOR_PROGRAM = "\n\nReply with the whole program in one Python block."


@dataclass(frozen=True, slots=True)
class ProgramTask(Listed):
    """Meta of an example: `entry_point` is the name that the tests call; `preamble` is put before a program that lacks
    it; `prompt` is what a bare body continues; `cases` are pairs of input and expected output."""

    sandbox: Sandbox
    compares: str = "none"
    notes: tuple[str, ...] = ()

    def extract(self, example: Example, output: Output, *, strict: bool) -> str | None:
        if not _is_code(example):
            return stated(output) if strict else compared_answer(output.answer, output.thinking, lead=output.lead)
        entry = cast("str | None", example.meta.get("entry_point"))
        if strict:
            is_plain = "```" in output.answer or "~~~" in output.answer or is_program(output.answer)
            return extract_program(output.answer, entry_point=entry) if is_plain else None
        found = extract_program(output.answer, entry_point=entry)
        return found or (extract_program(output.thinking, entry_point=entry) if output.thinking else None)

    def judge(self, example: Example, extracted: str | None) -> Verdict:
        if not _is_code(example):
            return judge_answer(example, extracted)
        if extracted is None:
            return Verdict("code", False, None, "no program was found in the text")
        program = completed(extracted, example.meta)
        cases = cast("Sequence[tuple[str, str]]", example.meta.get("cases", ()))
        if cases:
            return check_stdio(program, [StdioCase(given, wanted) for given, wanted in cases], sandbox=self.sandbox)
        entry = cast("str | None", example.meta.get("entry_point"))
        return check_code(program, example.tests or "", sandbox=self.sandbox, entry_point=entry)

    def verify(self, example: Example, text: str) -> Verdict:
        return self.judge(example, self.extract(example, Output(text), strict=False))

    def close(self) -> None:
        self.sandbox.close()


def completed(program: str, meta: Mapping[str, object]) -> str:
    """The program with what the question gave: its imports and helpers, or the head of the function it goes on."""
    entry, preamble, prompt = (cast("str", meta.get(name, "")) for name in ("entry_point", "preamble", "prompt"))
    if entry and prompt and f"def {entry}" not in program and f"class {entry}" not in program:
        return f"{prompt}{program}\n"
    return f"{preamble}\n{program}\n" if preamble.strip() else program


def _is_code(example: Example) -> bool:
    return example.tests is not None or bool(example.meta.get("cases"))
