"""About how much a request may read and sample at the most, said before its model is even loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bethink.prompt import last_question
from bethink.thinking.checks import MAX_QUESTION_CHARS, asks_for_function
from bethink.thinking.effort import DEFAULT_ANSWER, DEFAULT_THOUGHT, efforts, is_comparable
from bethink.thinking.spend import Spend
from bethink.types import Completion, Request

CHARS_A_TOKEN = 2
"""Few enough that what is estimated of a text is rarely too little."""


def n_chars_of(request: Request | Completion) -> int:
    """How much text a model is given to read."""
    if isinstance(request, Completion):
        return len(request.prompt) + len(request.suffix or "")
    return sum(len(message.content) + len(message.thinking or "") for message in request.messages)


def estimated_tokens(request: Request | Completion, paths: int) -> int:
    """Of one choice along so many paths."""
    read = n_chars_of(request) // CHARS_A_TOKEN
    if isinstance(request, Completion):
        return read + request.max_tokens
    budget = _spend(request).budget if request.budget is None else request.budget
    thought = DEFAULT_THOUGHT if budget < 0 else budget
    return read + paths * (request.max_tokens or thought + DEFAULT_ANSWER)


def possible_paths(request: Request | Completion) -> Sequence[int]:
    """Along how many paths a request may be answered, the wish first. Only where bethink chooses them itself may it be
    fewer than wished."""
    if isinstance(request, Completion):
        return (1,)
    wish = _spend(request).paths if request.paths is None else request.paths
    if request.effort != "auto" or request.paths is not None:
        return (wish,)
    return [wish, *(paths for paths in (4, 2, 1) if paths < wish)]


def held_to(paths: int, request: Request | Completion) -> Request | Completion:
    """The request along no more than so many paths, which are one of `possible_paths`."""
    if isinstance(request, Request) and paths < possible_paths(request)[0]:
        return replace(request, paths=paths)
    return request


def _spend(request: Request) -> Spend:
    """As it is shipped: what was calibrated is known only once a model is loaded, and differs little."""
    compared = _is_compared(request)
    if request.effort == "auto":
        return efforts()["auto-comparable" if compared else "auto-native"]
    spend = efforts()[request.effort]
    return spend if compared else Spend(spend.budget, 1)


def _is_compared(request: Request) -> bool:
    if request.check != "auto":
        return request.check not in ("none", "schema")
    if request.tools and request.tool_choice != "none":
        return False
    question = request.messages[last_question(request.messages)].content if request.messages else ""
    return request.tests is not None or is_comparable(question) or asks_for_function(question[-MAX_QUESTION_CHARS:])
