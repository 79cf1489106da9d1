"""The process that does algebra for `bethink.verify.math`: one JSON object a line in, one a line out, until its input
ends.

It is a process of its own because sympy can take forever in one call into C, and nothing but a kill ends that. What
ends by itself is cheaper: a question gets seconds of the processor, not of the clock, so that a busy machine changes
no answer, and one that took them all is said to be open, not false. It is
started with `-m`, so a program that uses bethink is never imported a second time. It limits its own memory where the
platform can.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
from functools import lru_cache
from types import FrameType
from typing import Any, TextIO, cast

from math_verify import parse, verify

from bethink.verify.process import limit_memory

CPU_S = 3.0

_PLAIN = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![a-zA-Z\\])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![a-zA-Z\\])(pi|sin|cos|tan|log|ln|theta)(?![a-zA-Z])"), r"\\\1 "),
)
"""What people type instead of LaTeX."""


def main() -> None:
    # What libraries print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    limit_memory()
    logging.disable(logging.CRITICAL)
    _say(answers, {"ready": True})
    for line in sys.stdin:
        question = json.loads(line)
        _say(answers, answer(question["a"], question["b"]))


def _say(answers: TextIO, value: dict[str, object]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


class _OutOfTime(BaseException):
    """Not an `Exception`: neither sympy nor math-verify may take it for a formula's own fault."""


def answer(a: str, b: str) -> dict[str, object]:
    """`equal` None: one of them is no mathematics that can be read. `is_open`: time ran out."""
    if sys.platform == "win32":  # no such clock: the caller's is the only limit
        return {"equal": _are_equal(a, b), "is_open": False}
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        return {"equal": _are_equal(a, b), "is_open": False}
    except _OutOfTime:
        return {"equal": None, "is_open": True}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _OutOfTime


def _are_equal(a: str, b: str) -> bool | None:
    try:
        left, right = _read(a), _read(b)
        if not left or not right:
            return None
        return any(verify(x, y, timeout_seconds=None) for x, y in ((left, right), (right, left)))
    except Exception:  # noqa: BLE001  foreign algebra on foreign input: whatever it raises, the answers were not shown to be equal
        return None


@lru_cache(maxsize=512)
def _read(text: str) -> list[Any]:
    """Always as LaTeX: math-verify's reader of plain expressions would find the last number of any text."""
    for pattern, latex in _PLAIN:
        text = pattern.sub(latex, text)
    return cast("list[Any]", parse(f"${text}$", parsing_timeout=0))


if __name__ == "__main__":
    main()
