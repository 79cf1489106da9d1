"""`bethink check`: the verifiers by themselves, for answers that come from anywhere.

Exit codes: 0 passed, 1 failed, 5 unsure or refused, 2 wrong usage.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bethink.cli.parameters import Duration
from bethink.cli.terminal import open_terminal, safe
from bethink.errors import SandboxMissing, UsageError

if TYPE_CHECKING:
    from bethink.types import Verdict

EXIT_FAILED = 1
EXIT_UNSURE = 5

_json = click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")


class _Text(click.ParamType[str]):
    """What is in a file, or on standard input for `-`. A stray byte that is no UTF-8 is replaced; a file of bytes is
    refused."""

    name = "file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "-" and sys.stdin is None:
            self.fail("standard input is closed", param, ctx)
        raw = sys.stdin.buffer.read() if value == "-" else self._read(str(value), param, ctx)
        if b"\0" in raw:
            name = "standard input" if value == "-" else str(value)
            self.fail(f"{name} is not a text file; give its text, in UTF-8", param, ctx)
        return raw.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")

    def _read(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            return Path(name).read_bytes()
        except (OSError, ValueError) as error:
            self.fail(f"{name!r}: {getattr(error, 'strerror', None) or error}", param, ctx)


@click.group(no_args_is_help=True, short_help="Hold an answer against mathematics, tests or a schema.")
def check() -> None:
    """Hold an answer against mathematics, tests or a schema.

    A command of your own may judge, too. No model is loaded. The exit code is 0 passed, 1 failed, 5 unsure or
    refused, 2 wrong usage. With --json one object is printed: kind, passed (true, false, or null for unsure),
    extracted, why, seconds.

    \b
    Examples:
      bethink check math 1/2 0.5
      bethink check code program.py --tests tests.py
      bethink check schema schema.json answer.json
      bethink check cmd "python3 verify.py" answer.txt
    """


@check.command(
    "math",
    short_help="Whether two answers are the same mathematics.",
    context_settings={"ignore_unknown_options": True},  # -5 is an answer
)
@click.argument("gold")
@click.argument("answer")
@click.option("--within", type=Duration(), default="10s", show_default=True, help="Be unsure after this long.")
@_json
def check_math(gold: str, answer: str, within: float, is_json: bool) -> None:
    """Whether ANSWER is the same number or expression as GOLD. ANSWER may be prose that says it; - is read from stdin.

    \b
    Examples:
      bethink check math 1/2 0.5
      bethink check math "\\frac{\\sqrt{8}}{2}" "sqrt(2)"
      echo "The answer is \\boxed{72}." | bethink check math 72 -
    """
    if not gold.strip():
        raise UsageError("GOLD is empty: nothing can be held against it", 'bethink check math 72 "There are 72."')
    text = sys.stdin.read() if answer == "-" else answer
    _tell(lambda: _hold_math(gold, text, within), is_json)


@check.command("code", short_help="Whether a program passes its tests, in a sandbox.")
@click.argument("program", type=_Text())
@click.option("--tests", type=_Text(), required=True, help="Python with tests, or JSON with inputs and outputs.")
@click.option("--entry-point", metavar="NAME", help="The function that a check(candidate) in the tests gets.")
@click.option("--within", type=Duration(), default="15s", show_default=True, help="Fail the program after this long.")
@click.option("--unsafe-local", is_flag=True, help="Where there is no sandbox, run the program without one.")
@_json
def check_code(
    program: str, tests: str, entry_point: str | None, within: float, unsafe_local: bool, is_json: bool
) -> None:
    """Run PROGRAM (a file, or - for stdin) against tests. It may also be an answer with the program in it.

    Tests are asserts, test functions and classes, unittest's cases or a check(candidate); or a JSON list of objects
    with "stdin" and "stdout". The program and the tests run in two sandboxes: no network, no files, no way to say
    "passed" but giving the right values. Without bubblewrap it is refused, unless --unsafe-local says otherwise.

    \b
    Examples:
      bethink check code program.py --tests tests.py
      bethink check code answer.md --tests cases.json
      bethink ask "Write is_even(n) in Python." | bethink check code - --tests tests.py --json
    """
    _tell(lambda: _run_code(program, tests, entry_point, within, unsafe_local, is_json), is_json)


@check.command("schema", short_help="Whether an answer is JSON that a schema allows.")
@click.argument("schema", type=_Text())
@click.argument("file", type=_Text())
@click.option("--within", type=Duration(), default="5s", show_default=True, help="Be unsure after this long.")
@_json
def check_schema(schema: str, file: str, within: float, is_json: bool) -> None:
    """Validate the JSON in FILE (- for stdin) with the JSON schema in SCHEMA. References outside it are never fetched.

    \b
    Examples:
      bethink check schema schema.json answer.json
      echo '{"age": 7}' | bethink check schema schema.json - --json
    """
    from bethink.verify.schema import check_schema as hold
    from bethink.verify.schema import read_schema

    rules = read_schema(schema)
    _tell(lambda: hold(rules, file, timeout_s=within), is_json)


@check.command("cmd", short_help="Whether a command of your own passes an answer.")
@click.argument("command")
@click.argument("file", type=_Text())
@click.option("--within", type=Duration(), default="60s", show_default=True, help="Be unsure after this long.")
@_json
def check_cmd(command: str, file: str, within: float, is_json: bool) -> None:
    """Run COMMAND with the text of FILE (- for stdin) as its standard input.

    Its exit code is the verdict: 0 passed, 5 unsure, anything else failed; what it prints is the reason. It runs as
    you, without a shell and without a sandbox.

    \b
    Examples:
      bethink check cmd "python3 verify.py --strict" answer.txt
      bethink check cmd "grep -q Paris" answer.txt
    """
    from bethink.verify.command import check_command as hold

    _tell(lambda: hold(command, file, timeout_s=within), is_json)


def _hold_math(gold: str, text: str, within: float) -> Verdict:
    """A line may be the answer itself; what does not hold as it stands is read as prose that says one."""
    from bethink.thinking.answers import extract
    from bethink.verify.math import check_math as hold

    bare, said = text.strip(), extract(text, strict=False)
    if "\n" in bare or "boxed" in bare:
        return hold(gold, said, timeout_s=within)
    verdict = hold(gold, bare, timeout_s=within)
    is_prose = len(re.findall(r"[A-Za-z]{2,}", bare)) > 1 and said is not None
    return hold(gold, said, timeout_s=within) if verdict.passed is False and is_prose else verdict


def _run_code(
    text: str, tests: str, entry_point: str | None, within: float, unsafe_local: bool, is_json: bool
) -> Verdict:
    from bethink.types import Verdict
    from bethink.verify import code
    from bethink.verify.sandbox import Limits, open_sandbox

    program = text if code.is_program(text) else code.extract_program(text, entry_point=entry_point)
    if program is None:
        return Verdict("code", False, None, "no program was found in the answer")
    limits = Limits(cpu_s=within, wall_s=within)
    cases = code.read_cases(tests)
    try:
        with open_sandbox(unsafe_local=unsafe_local) as sandbox:
            if cases is not None:
                return code.check_stdio(program, cases, sandbox=sandbox, limits=limits)
            return code.check_code(program, tests, sandbox=sandbox, limits=limits, entry_point=entry_point)
    except SandboxMissing as error:
        if not is_json:
            raise
        return Verdict("code", None, program, f"refused: {error}; {error.hint}")


def _tell(judge: Callable[[], Verdict], is_json: bool) -> None:
    """Print the verdict and leave with its exit code."""
    began = time.monotonic()
    verdict = judge()
    seconds = round(time.monotonic() - began, 3)
    if is_json:
        facts = {
            "kind": verdict.kind,
            "passed": verdict.passed,
            "extracted": verdict.extracted,
            "why": verdict.why,
            "seconds": seconds,
        }
        click.echo(json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace"))
    else:
        word, style = {True: ("passed", "bold green"), False: ("failed", "bold red"), None: ("unsure", "bold yellow")}[
            verdict.passed
        ]
        out = open_terminal().out
        out.print(word, style=style, end="")
        out.print(f": {safe(verdict.why)}" if verdict.why else "", markup=False, highlight=False, soft_wrap=True)
    click.get_current_context().exit({True: 0, False: EXIT_FAILED, None: EXIT_UNSURE}[verdict.passed])
