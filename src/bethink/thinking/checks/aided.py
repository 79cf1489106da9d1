"""Values of which some were computed by programs that the model wrote: the vote counts both alike.

What always holds: a program runs in the sandbox or not at all; one that fails, does not end or prints no value casts no
vote; an answer that only programs gave shows the program, says so, and is unsure: what they agree on may be one way to
misread the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bethink.errors import SandboxMissing, UsageError
from bethink.thinking.answers import MAX_STATEMENT, compared_answer
from bethink.thinking.checks.check import Check, Judged, Patience
from bethink.thinking.checks.values import Values
from bethink.thinking.spend import MAX_PATHS
from bethink.thinking.vote import Tally, VoteRule
from bethink.types import PathResult, Request, Verdict
from bethink.verify.code import extract_program
from bethink.verify.sandbox import Limits, Ran, Sandbox, SharedSandbox

RUN_S = 5.0
MAX_OUTPUT = 1 << 16
MAX_SAID = 200

_NO_VALUES = frozenset({"none", "nan", "inf", "-inf", "[]", "{}", "()"})
_LONG_FLOAT = re.compile(r"-?\d+\.\d{9,}")


@dataclass(frozen=True, slots=True)
class Aided(Values):
    """The vote over equal values, those that programs printed among them. `markers` are what no answer may hold."""

    is_slow = True

    sandbox: Sandbox = field(kw_only=True)
    markers: tuple[str, ...] = ()

    def extract(self, path: PathResult, lead: str) -> str | None:
        """Of a path that writes a program, the program."""
        if path.kind == "program":
            return extract_program(path.answer)
        return Values.extract(self, path, lead)

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        if path.kind != "program":
            return Judged()
        if path.extracted is None:
            return Judged(why="it wrote no program")
        seconds = patience.seconds(RUN_S)
        limits = Limits(cpu_s=seconds, wall_s=seconds, output_bytes=MAX_OUTPUT)
        try:
            ran = self.sandbox.lease(patience.given_up).run(path.extracted, limits=limits)
        except SandboxMissing as error:
            return Judged(why=f"its program was not run: {error}")
        if ran.ended != "ok":
            return Judged(why=_failure(ran))
        value = printed_value(ran.stdout)
        if value is None or any(marker in value for marker in self.markers):
            return Judged(why="its program printed no value")
        return Judged(None, self._said(f"its program printed {value}"), value, shown(path.extracted, value))

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        said = Values.verdict(self, winner, tally, rule, counted)
        programs = [path for path in counted if path.kind == "program"]
        if not programs:
            return said
        n_ran = sum(path.extracted is not None for path in programs)
        why = f"{said.why}; {n_ran} of {len(programs)} programs gave a value"
        if winner.kind != "program":  # a path in words goes before programs of the same answer
            return replace(said, why=self._said(why))
        why += "; the answer is a program's output, no path in words gave it"
        return replace(said, passed=None, why=self._said(why))

    def _said(self, why: str) -> str:
        return why if self.sandbox.is_isolated else f"{why} (run without a sandbox)"


def aided(request: Request, check: Check, sandbox: SharedSandbox, markers: tuple[str, ...]) -> Check:
    """`check`, with programs where the request wants some and its answer is a value.

    Raises: UsageError, SandboxMissing.
    """
    refuse_odd_programs(request)
    if not request.programs:
        return check
    if type(check) is not Values:
        return replace(check, notes=(*check.notes, "programs are left off: the answer is not recognised as a value"))
    opened = sandbox.get(unsafe_local=request.unsafe_local)
    return Aided(check.notes, sandbox=opened, markers=markers)


def refuse_odd_programs(request: Request) -> None:
    """Raises: UsageError: programs that cannot be meant, or do not go with something else that is asked for."""
    n = request.programs
    if n is not None and not 0 <= n < MAX_PATHS:
        raise UsageError(f"programs {n} is not between 0 and {MAX_PATHS - 1}", "programs=4 of paths=16")
    if not n:
        return
    if request.paths is not None and n >= request.paths:
        told = f"programs {n} leaves none of {request.paths} paths that reasons in words"
        raise UsageError(told, f"up to {request.paths - 1} programs, or more paths")
    others = (
        ("a check other than auto and math", request.check not in ("auto", "math") or request.tests is not None),
        ("tools", bool(request.tools) and request.tool_choice != "none"),
        ("a schema", request.json_schema is not None),
        ("an edited thought", request.thought is not None),
        ("stop texts", bool(request.drawing.stop)),
        ("logprobs", request.drawing.logprobs is not None),
    )
    for name, is_there in others:
        if is_there:
            raise UsageError(f"programs do not go with {name}", "leave one of them away")


def printed_value(output: str) -> str | None:
    """The value that a program printed: what its last line states, as answers in words are read. A float that has
    rounding errors is rounded to ten digits."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines or not (line := lines[-1].replace("\t", " ")).isprintable():
        return None
    value = line if _is_number(line) else compared_answer(line, "")
    if value is None or len(value) > MAX_STATEMENT or value.strip().lower() in _NO_VALUES:
        return None
    if _LONG_FLOAT.fullmatch(value) and "e" not in (rounded := f"{float(value):.10g}"):
        return rounded
    return value


def shown(program: str, value: str) -> str:
    """The answer of a program: what it printed stands last, where answers are looked for."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", program))])
    return (
        f"{fence}python\n{program}\n{fence}\n\nThe answer is the output of this program.\n\n**Final answer:** {value}"
    )


def _failure(ran: Ran) -> str:
    if ran.ended == "timed_out":
        return f"its program timed out: it {ran.why}"
    last = _printable((ran.stderr.strip().splitlines() or [ran.why])[-1])
    return f"its program failed: {last[:MAX_SAID]}" if ran.ended == "error" else f"its program was ended: it {ran.why}"


def _is_number(line: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?", line) is not None


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)
