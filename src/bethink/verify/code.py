"""Whether a program does what it should: against tests, against expected output, or by how it behaves beside others.

What always holds: a program can only pass by giving the right values. It runs in a sandbox, the tests in another, and
what the program prints, raises, replaces or ends in its own process is only ever a value or a failure. What cannot be
checked is None, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from bethink.errors import UsageError
from bethink.types import Verdict
from bethink.verify.behaviour import behaviours, classes_by_behaviour, classes_of_outputs, fitting
from bethink.verify.extract import extract_program, is_program
from bethink.verify.judge.session import judge
from bethink.verify.judge.suite import UnreadableTests, defined_names, read_suite
from bethink.verify.sandbox import Limits, Ran, Sandbox

__all__ = [
    "StdioCase",
    "behaviours",
    "check_code",
    "check_stdio",
    "classes_by_behaviour",
    "classes_of_outputs",
    "extract_program",
    "fitting",
    "is_program",
    "read_cases",
]


@dataclass(frozen=True, slots=True)
class StdioCase:
    """What a program reads, and what it shall write."""

    stdin: str
    stdout: str


def read_cases(tests: str) -> list[StdioCase] | None:
    """The inputs and outputs, when the tests are a JSON list of objects with "stdin" and "stdout"; None when they are
    no such list. Raises: UsageError."""
    try:
        rows: Any = json.loads(tests)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list) or not rows:
        return None
    listed = cast("list[Any]", rows)
    try:
        return [StdioCase(str(row["stdin"]), str(row["stdout"])) for row in listed]
    except (KeyError, TypeError):
        raise UsageError("a case is no object with stdin and stdout", '[{"stdin": "2\\n", "stdout": "4\\n"}]') from None


def check_code(
    program: str, tests: str, *, sandbox: Sandbox, limits: Limits | None = None, entry_point: str | None = None
) -> Verdict:
    """Hold a program against tests: asserts, `test_…` functions and classes, unittest's cases, or a
    `check(candidate)` that is called or gets the function named `entry_point`.

    Raises: SandboxMissing.
    """
    try:
        suite = read_suite(tests, defined_names(program))
    except UnreadableTests as error:
        return _verdict(program, None, f"cannot be checked: the tests are no Python: {error}", sandbox)
    if suite.needs:
        return _verdict(program, None, f"cannot be checked: {suite.needs}", sandbox)
    passed, why = judge(program, suite, sandbox=sandbox, limits=limits or Limits(), entry_point=entry_point or "")
    return _verdict(program, passed, why, sandbox)


def check_stdio(program: str, cases: Sequence[StdioCase], *, sandbox: Sandbox, limits: Limits | None = None) -> Verdict:
    """Hold a program against what it shall write for each input. White space at the ends of lines, and empty lines at
    the end, do not count. The limits are each case's. Raises: SandboxMissing."""
    if not cases:
        return _verdict(program, None, "cannot be checked: there are no cases", sandbox)
    for number, case in enumerate(cases, 1):
        ran = sandbox.run(program, stdin=case.stdin, limits=limits or Limits())
        if ran.ended != "ok":
            return _verdict(program, False, f"case {number} of {len(cases)}: {_failure(ran)}", sandbox)
        got, expected = _lines(ran.stdout), _lines(case.stdout)
        if got != expected:
            return _verdict(program, False, f"case {number} of {len(cases)}: {_difference(got, expected)}", sandbox)
    return _verdict(program, True, "all cases passed", sandbox)


def _verdict(program: str, passed: bool | None, why: str, sandbox: Sandbox) -> Verdict:
    return Verdict("code", passed, program, why if sandbox.is_isolated else f"{why} (run without a sandbox)")


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _failure(ran: Ran) -> str:
    last = ran.stderr.strip().splitlines()[-1:] or [ran.why]
    return f"timed out: it {ran.why}" if ran.ended == "timed_out" else f"error: {last[0][:300]}"


def _difference(got: list[str], expected: list[str]) -> str:
    for number, (ours, theirs) in enumerate(zip(got, expected, strict=False), 1):
        if ours != theirs:
            return f"line {number} is {ours[:200]!r}, expected {theirs[:200]!r}"
    return f"{len(got)} lines came out, expected {len(expected)}"
