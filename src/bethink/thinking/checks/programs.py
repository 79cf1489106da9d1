"""Programs: held against given tests, or compared by what they do.

Without tests the model itself writes inputs, all candidates run on them, and those that give the same outputs are one
class. Examples in the question (`>>> f(2)`, asserts) are tests that a right program passes: one that breaks them is
refuted; one that keeps to them is not proven, because a few examples are easily met.

Source: CodeT, arXiv 2207.10397; inputs are written, outputs never.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bethink.errors import UsageError
from bethink.thinking.checks.calls import (
    MAX_INPUTS,
    beginning,
    calls,
    examples,
    given_calls,
    like,
    name_in_programs,
    name_in_question,
    preamble,
    signature,
)
from bethink.thinking.checks.check import Ask, Check, Judged, Patience, verdict_by_proof
from bethink.thinking.vote import Tally, VoteRule
from bethink.types import PathResult, Verdict, Vote
from bethink.verify.code import (
    StdioCase,
    behaviours,
    check_code,
    check_stdio,
    classes_of_outputs,
    extract_program,
    fitting,
    is_program,
    read_cases,
)
from bethink.verify.sandbox import Limits, Sandbox

TEST_S, INPUTS_S = 10.0, 5.0
"""Seconds for the tests of one program, and for all inputs of one."""
MAX_LABEL = 60

Outputs = tuple[str, ...] | None
NO_PROGRAM = "no program was found in the answer"


@dataclass(frozen=True, slots=True)
class Programs(Check):
    """What both have: the program in an answer. `name` is the function that is asked for; `head` is put before every
    program that is run."""

    kind = "code"
    spreads = True
    is_slow = True

    sandbox: Sandbox = field(kw_only=True)
    name: str | None = None
    head: str = ""

    def extract(self, path: PathResult, lead: str) -> str | None:
        del lead
        text = path.answer
        return text if is_program(text) else extract_program(text, entry_point=self.name)

    def leased(self, patience: Patience) -> Sandbox:
        return self.sandbox.lease(patience.given_up)

    def said(self, why: str) -> str:
        return why if self.sandbox.is_isolated else f"{why} (run without a sandbox)"


@dataclass(frozen=True, slots=True)
class Tested(Programs):
    """The user's tests: Python, or inputs and outputs. A program that passes them all is proven."""

    tests: str = field(kw_only=True)
    cases: tuple[StdioCase, ...] = ()

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        if path.extracted is None:
            return Judged(False, NO_PROGRAM)
        limits = _limits(patience.seconds(TEST_S))
        sandbox = self.leased(patience)
        if self.cases:
            said = check_stdio(path.extracted, self.cases, sandbox=sandbox, limits=limits)
        else:
            program = self.head + path.extracted
            said = check_code(program, self.tests, sandbox=sandbox, limits=limits, entry_point=self.name)
        return Judged(said.passed, self._counted(said.why) if said.passed else said.why)

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        del tally, rule
        return verdict_by_proof("code", winner, counted)

    def _counted(self, why: str) -> str:
        n = len(self.cases) or n_tests(self.tests)
        return self.said(f"{n} of {n} tests passed") if n > 1 else why


@dataclass(frozen=True, slots=True)
class Behaviour(Programs):
    """The vote by behaviour. `examples` are assertions of the question; `inputs` what the model wrote (None: it was not
    asked yet); `seen` remembers what a program gave out."""

    votes = True

    question: str = field(kw_only=True)
    examples: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    seen: dict[str, Outputs] = field(default_factory=dict[str, Outputs], compare=False, repr=False)

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        if path.extracted is None:
            return Judged(None, NO_PROGRAM)
        if not self.examples:
            return Judged()
        tests = "\n".join(["import pytest", *self.examples])
        limits = _limits(patience.seconds(TEST_S))
        said = check_code(self.head + path.extracted, tests, sandbox=self.leased(patience), limits=limits)
        return Judged(False, said.why) if said.passed is False else Judged(None, "keeps" if said.passed else said.why)

    async def learn(self, candidates: Sequence[str], ask: Ask) -> Check:
        if self.inputs is not None or len(candidates) < 2:
            return self
        name = self.name or name_in_programs(candidates)
        if name is None:
            return self
        wish = (
            f"Here is a task for somebody else:\n\n<task>\n{self.question}\n</task>\n\n"
            f"Do not solve it. Write {MAX_INPUTS} different calls of `{signature(candidates, name)}` to try a solution "
            f"with: ordinary inputs and edge cases. One call on each line, beginning with `{name}(`, with literal "
            f"values as arguments. No results, no explanations."
        )
        given = given_calls(self.examples)
        text = await ask(wish, beginning(name, given))
        return replace(self, name=name, inputs=like(calls(text, name, given), given))

    @property
    def learned(self) -> str:
        inputs = self.inputs or ()
        return f"{len(inputs)} inputs that the model wrote: {'; '.join(inputs)}" if inputs else "no inputs were written"

    def group(self, answers: Sequence[str], patience: Patience) -> list[list[int]]:
        if not self.inputs:
            return []
        sandbox = self.leased(patience)
        for program in dict.fromkeys(answers):
            if program not in self.seen:
                limits = _limits(patience.seconds(INPUTS_S))
                (self.seen[program],) = behaviours([self.head + program], self.inputs, sandbox=sandbox, limits=limits)
        return classes_of_outputs([self.seen[program] for program in answers])

    def named(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """A class is told by an output in which it differs: the leader from the second, the others from the leader."""
        outputs = [self.seen.get(vote.answer) or () for vote in votes]
        others = [outputs[1 if at == 0 else 0] if len(outputs) > 1 else () for at in range(len(outputs))]
        return tuple(
            Vote(self._label(mine, other), vote.count) for vote, mine, other in zip(votes, outputs, others, strict=True)
        )

    def _label(self, mine: Sequence[str], other: Sequence[str]) -> str:
        inputs = self.inputs or ()
        differing = [at for at, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b]
        at = differing[0] if differing else 0
        if at >= min(len(mine), len(inputs)):
            return "a program"
        return f"{inputs[at]} → {mine[at]}"[:MAX_LABEL]

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        first, second = tally.lead
        n, n_refuted = len(counted), sum(path.passed is False for path in counted)
        has_program = any(path.extracted is not None for path in counted)
        if n_refuted and all(path.passed is False or path.extracted is None for path in counted):
            why = self.said(f"the examples of the question are broken: {winner.why}")
            return Verdict("code", False, winner.extracted, why)
        keeps = self._on_examples(winner, n_refuted)
        if not has_program:
            why = NO_PROGRAM
        elif n < 2 or not first:
            why = "; ".join(part for part in (self._why_no_vote(n), keeps) if part)
            why = why if why.startswith("one program") and not self.examples else self.said(why)
        else:
            alike = f"{first} of {n} programs behave alike" if first > 1 else f"no two of {n} programs behave alike"
            n_inputs = self._n_compared(counted)
            inputs = f"{n_inputs} input{'s' if n_inputs != 1 else ''}"
            why = self.said("; ".join(part for part in (f"{alike} on {inputs}", keeps) if part))
        is_sure = first > max(1, second) and tally.agreement >= rule.sure_share
        agreement = tally.agreement if first else None
        return Verdict("code", True if is_sure else None, winner.extracted, why, agreement, tally.votes)

    def _n_compared(self, counted: Sequence[PathResult]) -> int:
        """On how many inputs the programs that may answer were compared."""
        programs = dict.fromkeys(path.extracted for path in counted if path.extracted in self.seen)
        return len(fitting([self.seen[program] for program in programs]))

    def _why_no_vote(self, n: int) -> str:
        if n < 2:
            return "one program, nothing to compare it with"
        if self.inputs is None:
            return "fewer than two programs can be compared"
        return "no program gives anything out" if self.inputs else "there are no inputs to compare programs on"

    def _on_examples(self, winner: PathResult, n_refuted: int) -> str:
        kept = f"it keeps to the question's {len(self.examples)} examples" if len(self.examples) > 1 else (
            "it keeps to the question's example"
        )  # fmt: skip
        parts = [kept] if winner.why == "keeps" else []
        parts += [f"{n_refuted} broke the question's examples"] if n_refuted else []
        return ", ".join(parts)


def against_tests(tests: str, question: str, sandbox: Sandbox) -> Tested:
    """Raises: UsageError: the tests are JSON of another form."""
    name = name_in_question(question)
    head = preamble(question, name) if name else ""
    return Tested(sandbox=sandbox, name=name, head=head, tests=tests, cases=tuple(read_cases(tests) or ()))


def refuse_unreadable(tests: str) -> None:
    """Raises: UsageError: they are neither Python nor a JSON list of stdin and stdout."""
    try:
        if read_cases(tests) is None:
            ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"the tests are no Python: {error}", "or a JSON list of stdin and stdout") from None


def by_behaviour(question: str, sandbox: Sandbox) -> Behaviour:
    name = name_in_question(question)
    head, given = (preamble(question, name), examples(question, name)) if name else ("", ())
    return Behaviour(sandbox=sandbox, name=name, head=head, question=question, examples=given)


def n_tests(tests: str) -> int:
    """How many tests there are to speak of: functions that are tests, else asserts. 0 where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(tests)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    functions = [it for it in nodes if isinstance(it, ast.FunctionDef) and it.name.startswith("test")]
    return len(functions) or sum(isinstance(it, ast.Assert) for it in nodes)


def _limits(seconds: float) -> Limits:
    return Limits(cpu_s=seconds, wall_s=seconds)
