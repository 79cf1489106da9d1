"""Which evidence a request asks for: `choose` picks its check, once, before anything runs."""

from __future__ import annotations

import re

from bethink.errors import SandboxMissing, UsageError
from bethink.prompt import last_question
from bethink.thinking.checks.aided import refuse_odd_programs
from bethink.thinking.checks.calls import name_in_question
from bethink.thinking.checks.check import Ask, Check, Judged, Patience
from bethink.thinking.checks.command import Command
from bethink.thinking.checks.forms import Schema
from bethink.thinking.checks.programs import against_tests, by_behaviour, refuse_unreadable
from bethink.thinking.checks.values import PerhapsValues, Values
from bethink.thinking.effort import is_comparable
from bethink.types import Request
from bethink.verify.command import split_command
from bethink.verify.sandbox import SharedSandbox
from bethink.verify.schema import check_schema, read_schema

__all__ = ["CHECKS", "Ask", "Check", "Judged", "Patience", "asks_for_function", "choose", "refuse_early"]

CHECKS = ("auto", "none", "math", "code", "schema", "cmd:COMMAND")

MAX_QUESTION_CHARS = 50_000
"""What is asked stands at the end; what comes before so much is what it is about."""

_WANTS_FUNCTION = re.compile(
    r"\b(?:write|implement|complete|create|define|finish|give|code)\b[^.?!\n]{0,60}\b(?:function|method|def)\b"
    r"|\bcomplete\s+(?:this|the)\b[^.?!\n]{0,40}\b(?:code|program)\b",
    re.IGNORECASE,
)
_FENCE = re.compile(r"`{3,}")
_IS_PYTHON = re.compile(r"\bpython\b|^[ \t]*def \w+\(|^[ \t]*>>> \w+\(", re.IGNORECASE | re.MULTILINE)
_OTHER = re.compile(
    r"\b(?:javascript|typescript|java|rust|golang|ruby|php|sql|bash|shell|kotlin|swift|haskell|perl|lua|scala|html|css"
    r"|excel|matlab|julia)\b|\bC(?:\+\+|#)"
    r"|\b(?:explain|translate|review|refactor|convert|bug|why|tests? for)\b",
    re.IGNORECASE,
)


def asks_for_function(question: str) -> bool:
    """Whether a question asks for a Python function, which can be run beside others. Wrong on the safe side: a request
    that it misses is answered once."""
    asked = _unfenced(question)  # what a file says is no wish of the user
    wants = _WANTS_FUNCTION.search(asked) and _IS_PYTHON.search(question)
    return bool(wants and not _OTHER.search(asked)) and (
        name_in_question(question) is not None or "function" in question.lower()
    )


def _unfenced(text: str) -> str:
    """A text without what stands in its fences; a fence that is not closed, or only by a shorter one, is none. Linear,
    which one pattern for both ends of a fence would not be."""
    kept, at, opening = "", 0, None
    for fence in _FENCE.finditer(text):
        if opening is None:
            kept, opening = kept + text[at : fence.start()], fence
        elif len(fence[0]) >= len(opening[0]):
            at, opening = fence.end(), None
    return kept + text[at if opening is None else opening.start() :]


def choose(request: Request, sandbox: SharedSandbox) -> Check:
    """The check of a request. Raises: UsageError, SandboxMissing (code was asked for and cannot be run)."""
    question = request.messages[last_question(request.messages)].content[-MAX_QUESTION_CHARS:]
    _refuse_mixtures(request)
    name, _, rest = request.check.partition(":")
    match name:
        case "code" | "auto" if request.tests is not None:
            return against_tests(request.tests, question, sandbox.get(unsafe_local=request.unsafe_local))
        case "code":
            return by_behaviour(question, sandbox.get(unsafe_local=request.unsafe_local))
        case "math":
            return Values()
        case "none":
            return Check()
        case "schema":
            read_schema(request.json_schema or "")
            return Schema(text=request.json_schema or "")
        case "cmd":
            split_command(rest)
            return Command(line=rest)
        case _:
            return _recognised(request, question, sandbox)


def _recognised(request: Request, question: str, sandbox: SharedSandbox) -> Check:
    if request.tools and request.tool_choice != "none":
        return Check()  # what is answered may be a call, which nothing is compared with
    if is_comparable(question):
        return Values()
    if asks_for_function(question):
        try:
            return by_behaviour(question, sandbox.get(unsafe_local=request.unsafe_local))
        except SandboxMissing as error:
            return Check((f"programs are not compared: {error} ({error.hint})",))
    if (request.paths or 1) > 1:
        return PerhapsValues(("answers to this question may not be comparable; the vote counts only those that are",))
    return Check()


def refuse_early(request: Request) -> None:
    """What needs no model to be refused, before one is loaded. Raises: UsageError, SandboxMissing."""
    _refuse_mixtures(request)
    refuse_odd_programs(request)
    if request.check == "code" or request.tests is not None:
        SharedSandbox().get(unsafe_local=request.unsafe_local).close()
    elif request.check == "schema":
        check_schema(request.json_schema or "", "null")
    elif request.check.startswith("cmd"):
        split_command(request.check.partition(":")[2])


def _refuse_mixtures(request: Request) -> None:
    name = request.check.partition(":")[0]
    if name not in {check.partition(":")[0] for check in CHECKS} or (":" in request.check and name != "cmd"):
        hint = 'check="schema" with json_schema=…' if name == "schema" else f"one of {', '.join(CHECKS)}"
        raise UsageError(f"unknown check {request.check!r}", hint)
    if request.tests is not None and name not in ("auto", "code"):
        raise UsageError(f"tests do not go with check {name!r}", 'check="code" holds programs against them')
    if request.tests is not None and not request.tests.strip():
        raise UsageError("the tests are empty", "an assert, a function test_…, or a JSON list of stdin and stdout")
    if request.tests is not None:
        refuse_unreadable(request.tests)
    if name == "schema" and request.json_schema is None:
        raise UsageError("there is no schema to check with", 'give json_schema="{…}"')
