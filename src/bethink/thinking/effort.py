"""What a request may spend: effort, budget and limits become one `Plan` before anything runs.

Owns the order of precedence: an explicit number beats the effort, the model's context beats both (as an error, never
a silent cut), and room for an answer is reserved first.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import cast

from bethink.errors import ContextFull, UsageError
from bethink.profiles import Profile
from bethink.thinking.calibration import Calibration
from bethink.thinking.spend import MAX_PATHS, Spend
from bethink.thinking.vote import VoteRule
from bethink.types import EFFORTS, Effort, Request
from bethink.wording import counted

MIN_RESERVE, RESERVE_SHARE = 256, 0.15
"""The answer's room: max(256 tokens, 15 % of the limit), and at most half of a small limit. Source:
shared/thinking-methods.md."""
FORCED_ROOM = 96
"""Tokens kept for the hand-off, its markers and the sentences of the escape ladder."""
LEAST_THOUGHT = 32
LEAST_SHARE, FORCED_SHARE = 4, 8
"""Who gives both a budget and a small limit means that thought: then a quarter of the limit is kept for the answer, and
an eighth for what is forced; words that do not fit there are left out."""
DEFAULT_THOUGHT, DEFAULT_ANSWER = 16384, 4096
USUAL = VoteRule()


@dataclass(frozen=True, slots=True)
class Plan:
    """`thinking_tokens` and `max_tokens` are per path; `budget` is what the user is told (None: only the context
    bounds it); `rule` ends the vote and says when it is sure."""

    effort: Effort
    budget: int | None
    thinking_tokens: int
    max_tokens: int
    answer_reserve: int
    n_paths: int
    temperature: float
    rule: VoteRule
    notes: tuple[str, ...] = ()


ASKED_CHARS = 4000
"""What is asked, and what there is to choose from, stands in so many characters at the end of a question."""


@cache
def efforts() -> dict[str, Spend]:
    """The shipped mapping."""
    source = resources.files("bethink.thinking").joinpath("effort.toml").read_text(encoding="utf-8")
    shipped = cast("dict[str, dict[str, int]]", tomllib.loads(source))
    return {name: Spend(spend["budget"], spend["paths"]) for name, spend in shipped.items()}


_ASKS_FOR_VALUE = re.compile(
    r"how (many|much|long|old|far|tall|fast|often|likely)|what (is|are|was|will be)\b.{0,200}\d|calculate|compute|"
    r"solve|evaluate|simplify|find (the|all|x|y|n)\b|probability|percent|\bsum\b|\bproduct\b|\bremainder\b|"
    r"多少|几|计算|求",
    re.IGNORECASE,
)
_FIRST_CHOICE = re.compile(r"^[^\S\n]*\(?A[).:]", re.MULTILINE)
_SECOND_CHOICE = re.compile(r"\s\(?B[).:]")
_NUMBERS = re.compile(
    r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|twice|half|dozen|double|third|quarter)\b", re.IGNORECASE
)
_ASKS_FOR_TEXT = re.compile(
    r"\b(write|explain|summari[sz]e|translate|rewrite|draft|describe|list|implement|refactor|poem|essay|story|function|"
    r"program|code)\b",
    re.IGNORECASE,
)


def is_comparable(question: str) -> bool:
    """Whether answers to this question are values or choices, which a vote can compare. Wrong on the safe side: a
    question it misses is answered once. It runs before every question, on the event loop, so it costs at most a
    millisecond, however long or hostile the question is: it reads `ASKED_CHARS`, each pattern once."""
    start = max(0, len(question) - ASKED_CHARS)  # not a slice, so that what is cut off begins no line and no word
    first = _FIRST_CHOICE.search(question, start)
    if first and _SECOND_CHOICE.search(question, first.end()):
        return True
    asks = _ASKS_FOR_VALUE.search(question, start) and _NUMBERS.search(question, start)
    return bool(asks and not _ASKS_FOR_TEXT.search(question, start))


def resolve(
    request: Request,
    profile: Profile,
    *,
    comparable: bool,
    is_value: bool = True,
    calibration: Calibration | None = None,
) -> tuple[Effort, Spend]:
    """The spend of an effort for this question, before explicit numbers. `is_value`: what is compared is the outcome of
    reasoning; what is no value (a program) is thought about only as other questions are. A `calibration` measured
    values, and decides for them alone.

    Raises: UsageError.
    """
    if request.effort not in EFFORTS:
        raise UsageError(f"unknown effort {request.effort!r}", f"one of {', '.join(EFFORTS)}")
    if calibration is not None and comparable and is_value:
        return request.effort, calibration.efforts[request.effort].spend
    if request.effort != "auto":
        spend = efforts()[request.effort]
        return request.effort, spend if comparable else replace(spend, paths=1)
    if comparable and is_value:
        return "auto", efforts()["auto-comparable"]
    thinks = profile.is_native or request.budget is not None or request.thought is not None
    spend = efforts()["auto-native" if thinks else "auto-prompted"]
    return "auto", replace(spend, paths=efforts()["auto-comparable"].paths) if comparable else spend


def plan(
    request: Request,
    profile: Profile,
    *,
    comparable: bool,
    n_prompt: int,
    context_length: int,
    is_value: bool = True,
    rule: VoteRule = USUAL,
    calibration: Calibration | None = None,
) -> Plan:
    """Settle every limit of a request. `comparable` and `is_value` as in `resolve`; `rule` is the usual one.

    Raises: UsageError, ContextFull.
    """
    _refuse_nonsense(request)
    if request.sure is not None and calibration is None:
        hint = "`bethink calibrate` measures that, once for each model"
        raise UsageError("how sure to be can be said only where it is known how often votes are right", hint)
    effort, spend = resolve(request, profile, comparable=comparable, is_value=is_value, calibration=calibration)
    budget = request.budget if request.budget is not None else (None if spend.budget < 0 else spend.budget)
    room = context_length - n_prompt
    wanted = (DEFAULT_THOUGHT if budget is None else budget) + DEFAULT_ANSWER
    max_tokens = min(room, wanted) if request.max_tokens is None else request.max_tokens
    if room < FORCED_ROOM or max_tokens > room:
        raise ContextFull(
            f"the prompt has {n_prompt} tokens and the answer may have {max(max_tokens, FORCED_ROOM)}, "
            f"but the context holds {context_length}",
            "shorten the question, lower max_tokens, or choose a model with a longer context",
        )
    reserve, most = _room(request, max_tokens)
    if request.budget is None and most < LEAST_THOUGHT:
        most = 0  # nothing can be thought in so few; the answer has them all
    n_paths = request.paths if request.paths is not None else spend.paths
    rule = replace(spend.rule or rule, sure=rule.sure if request.sure is None else request.sure)
    notes = _notes(request, budget, most)
    if calibration is not None and comparable and is_value:
        if request.budget is None and request.temperature is None:
            notes = (f"effort {effort} is {calibration.told}", *notes)
        usual = min(room, wanted)  # what max_tokens is where the request does not say
        if _is_as_measured(request, budget, most, _most_thought(usual, _reserve(usual)), calibration):
            rule = replace(rule, belief=calibration.belief)
    if request.sure is not None and (rule.belief is None or n_paths == 1):
        notes = (*notes, f"how sure to be ({request.sure:g}) says nothing here: no vote that was measured is held")
    alone = profile.sampling.single_temperature if n_paths == 1 else profile.sampling.temperature
    temperature = request.temperature if request.temperature is not None else alone
    thinking = most if budget is None else min(budget, most)
    return Plan(effort, budget, thinking, max_tokens, reserve, n_paths, temperature, rule, notes)


def _room(request: Request, max_tokens: int) -> tuple[int, int]:
    """Tokens kept for the answer, and those that a thought may have at most."""
    if request.answer_reserve is not None:
        return request.answer_reserve, _most_thought(max_tokens, request.answer_reserve)
    reserve = _reserve(max_tokens)
    if request.budget is None:
        return reserve, _most_thought(max_tokens, reserve)
    forced = min(FORCED_ROOM, max_tokens // FORCED_SHARE)
    reserve = min(reserve, max(max_tokens - request.budget - forced, -(-max_tokens // LEAST_SHARE)))
    return reserve, max(0, max_tokens - reserve - forced)


def _reserve(max_tokens: int) -> int:
    return min(max(MIN_RESERVE, int(RESERVE_SHARE * max_tokens)), (max_tokens + 1) // 2)


def _most_thought(max_tokens: int, reserve: int) -> int:
    return max(0, max_tokens - reserve - FORCED_ROOM)


def _is_as_measured(request: Request, budget: int | None, most: int, usual: int, calibration: Calibration) -> bool:
    """Whether paths think as those did from whose votes the belief was learnt: those of calibrated `auto`, with room
    for all of their budget. `most` is the room there is for a thought, `usual` what it is where nobody limits it."""
    measured = calibration.efforts["auto"].spend.budget
    room_needed = min(DEFAULT_THOUGHT, usual) if measured < 0 else measured
    return request.temperature is None and (-1 if budget is None else budget) == measured and most >= room_needed


def _notes(request: Request, budget: int | None, most: int) -> tuple[str, ...]:
    if budget is None or budget <= most:
        return ()
    limit = "the context" if request.max_tokens is None else "max_tokens"
    if request.budget is None:
        return (f"{limit} leaves {counted(most, 'token') if most else 'no room'} to think",)
    kept = f"the rest of {limit} is kept for the answer"
    return (f"the budget of {counted(budget, 'token')} is cut to {most}: {kept}",)


def _refuse_nonsense(request: Request) -> None:
    rules: tuple[tuple[bool, str, str], ...] = (
        (not request.messages, "there is no question", "give at least one message"),
        (
            request.budget is not None and request.budget < 0,
            f"budget {request.budget} is negative",
            "0 answers without thinking",
        ),
        (request.max_tokens is not None and request.max_tokens < 1, f"max_tokens {request.max_tokens} is below 1", ""),
        (
            request.within_s is not None and not request.within_s > 0,
            f"the deadline of {request.within_s} s is over",
            "use within=20",
        ),
        (
            request.paths is not None and not 1 <= request.paths <= MAX_PATHS,
            f"paths {request.paths} is not between 1 and {MAX_PATHS}",
            "",
        ),
        (
            request.temperature is not None and not 0 <= request.temperature <= 5,
            f"temperature {request.temperature} is not between 0 and 5",
            "0 is greedy",
        ),
        (
            request.answer_reserve is not None and request.answer_reserve < 1,
            f"answer_reserve {request.answer_reserve} is below 1",
            "",
        ),
        (
            request.sure is not None and not 0 < request.sure <= 1,
            f"sure {request.sure} is no probability",
            "0.8 is right about 8 times in 10",
        ),
    )
    for is_wrong, message, hint in rules:
        if is_wrong:
            raise UsageError(message, hint)
