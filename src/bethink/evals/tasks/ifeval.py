"""IFEval: instructions about form that a program can verify. Source: google-research/instruction_following_eval
(Apache-2.0), input_data.jsonl; the rules are written after its descriptions and its paper (arXiv 2311.07911).

Only instructions that can be decided exactly without a language model of any kind are here. A question that needs
another one (its language, its sentences) is left out, and the task says how many and why; it is never passed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import cast

from bethink.errors import UsageError
from bethink.evals.files import Row, id_of, read_questions, text_of, texts_of
from bethink.evals.instructions import CHECKS, Kwargs
from bethink.evals.task import Example, Listed, Output
from bethink.types import Verdict


@dataclass(frozen=True, slots=True)
class IfEval(Listed):
    notes: tuple[str, ...] = ()
    compares: str = "none"

    def extract(self, example: Example, output: Output, *, strict: bool) -> str | None:
        """The text itself; lenient, the first of the benchmark's loose readings that holds: without its first line,
        its last line, its asterisks."""
        if strict or not output.answer.strip():
            return output.answer
        readings = _readings(output.answer)
        return next((text for text in readings if not _broken(example, text)), output.answer)

    def judge(self, example: Example, extracted: str | None) -> Verdict:
        if extracted is None or not extracted.strip():
            return Verdict("instructions", False, extracted, "there is no text")
        broken = _broken(example, extracted)
        n = len(_instructions(example))
        why = f"broken: {', '.join(broken)}" if broken else f"all {n} instructions hold"
        return Verdict("instructions", not broken, extracted, why)

    def verify(self, example: Example, text: str) -> Verdict:
        return self.judge(example, self.extract(example, Output(text), strict=False))

    def close(self) -> None:
        """Nothing is held."""


def ifeval(name: str, data: Path) -> IfEval:
    """Raises: UsageError."""
    file = read_questions(data)
    examples = file.examples(_example)
    missing = Counter(i for e in examples for i in {i for i, _ in _instructions(e)} - CHECKS.keys())
    kept = tuple(e for e in examples if all(i in CHECKS for i, _ in _instructions(e)))
    if not kept:
        raise UsageError(f"no question of {data} can be verified here", f"not supported: {', '.join(sorted(missing))}")
    note = ""
    if missing:
        names = ", ".join(f"{i} ({n})" for i, n in missing.most_common())
        n_out = len(examples) - len(kept)
        note = f"{n_out} of {len(examples)} questions are left out, their rules are not supported: {names}"
    return IfEval(name, kept, str(data), file.sha256, (note,) if note else ())


def _example(row: Row, number: int) -> Example:
    names = texts_of(row, "instruction_id_list")
    raw = row.get("kwargs", [])
    if not isinstance(raw, list) or len(cast("list[object]", raw)) != len(names) or not names:
        raise ValueError("its kwargs are not one object for each instruction")
    prompt = text_of(row, "prompt")
    pairs: list[tuple[str, Kwargs]] = []
    for name, given in zip(names, cast("list[object]", raw), strict=True):
        if not isinstance(given, dict):
            raise ValueError("its kwargs are not objects")
        fields = cast("dict[str, object]", given)
        pairs.append((name, {key: value for key, value in fields.items() if value is not None}))
    own = id_of(row, number, "key")
    return Example(
        own, prompt, meta={"instructions": tuple(pairs), "hash": hashlib.sha256(prompt.encode()).hexdigest()}
    )


def _instructions(example: Example) -> tuple[tuple[str, Kwargs], ...]:
    return cast("tuple[tuple[str, Kwargs], ...]", example.meta["instructions"])


def _broken(example: Example, text: str) -> list[str]:
    found: list[str] = []
    for name, given in _instructions(example):
        if name not in CHECKS:
            raise UsageError(f"the instruction {name} is not supported", f"supported: {', '.join(sorted(CHECKS))}")
        try:
            holds = CHECKS[name](text, given)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"question {example.id}: {name} has wrong settings {given!r}", f"{error}") from None
        if not holds:
            found.append(name)
    return found


def _readings(text: str) -> list[str]:
    lines = text.split("\n")
    found: list[str] = []
    for first, last, bare in product((0, 1), (0, 1), (False, True)):
        kept = "\n".join(lines[first : len(lines) - last]).strip()
        found.append(kept.replace("*", "") if bare else kept)
    return [f for f in dict.fromkeys([text, *found]) if f]
