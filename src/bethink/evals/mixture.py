"""The questions of a calibration: a mixed set that is made here, or the user's own.

Mixed: every other question is an everyday problem of our own, the rest come from generators of reasoning-gym where that
is installed. Benchmarks are no part of it, so that a later measurement with one is of questions the choice never saw.
The user's own come in an order that chance decided, because a calibration may end before the file does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from bethink.errors import ExtraMissing, UsageError
from bethink.evals.answers import AnswerTask
from bethink.evals.registry import GYM, Fetch, open_task
from bethink.evals.task import Example, Made, Task
from bethink.evals.tasks.everyday import everyday
from bethink.store.datasets import is_reference

LEAST, MOST = 30, 2000
"""With fewer questions nothing is chosen."""
GENERATORS = (
    "chain_sum",
    "basic_arithmetic",
    "leg_counting",
    "gcd",
    "simple_equations",
    "letter_counting",
    "number_sequence",
    "products",
    "lcm",
)
"""Those whose answers are numbers."""


def open_questions(data: Path | None, seed: int, fetch: Fetch | None = None) -> AnswerTask:
    """`data` may be a reference to a file on a hub, which `fetch` brings here.

    Raises: UsageError: the file cannot be used; what `fetch` raises.
    """
    return _own(data, seed, fetch) if data is not None else _mixed(seed)


def _own(data: Path, seed: int, fetch: Fetch | None) -> AnswerTask:
    name = str(data) if is_reference(str(data)) else str(data.expanduser().absolute())
    opened = open_task(name, fetch=fetch)
    opened.close()
    if not isinstance(opened, AnswerTask):
        hint = "calibrate needs questions whose answers can be compared: rows of `question` and `answer`"
        raise UsageError(f"{data} holds questions with tests", hint)
    order = list(opened.examples)
    if len(order) < LEAST:
        raise UsageError(
            f"{data} has {len(order)} questions; {LEAST} are needed to choose by", "add some, or leave --data out"
        )
    Random(seed).shuffle(order)
    return replace(opened, examples=order)


def _mixed(seed: int) -> AnswerTask:
    own = everyday("everyday", seed)
    others = _generators(seed)
    source = own.source + (f" and {len(others)} generators of {others[0].source.partition(',')[0]}" if others else "")
    digest = hashlib.sha256("\n".join([own.sha256, *(other.sha256 for other in others)]).encode()).hexdigest()
    notes = () if others else ("reasoning-gym is not installed: all questions are everyday problems",)
    return AnswerTask("mixed questions", Made(MOST, lambda i: _mix(own, others, i)), source, digest, notes=notes)


def _generators(seed: int) -> Sequence[Task]:
    try:
        return [open_task(f"{GYM}:{name}", seed=seed) for name in GENERATORS]
    except ExtraMissing:
        return ()


def _mix(own: AnswerTask, others: Sequence[Task], i: int) -> Example:
    if not others or i % 2 == 0:
        return own.example(i // 2 if others else i)
    task, at = others[i // 2 % len(others)], i // 2 // len(others)
    example = task.example(at)
    return replace(example, id=f"{task.name}-{example.id}")
