"""Programs in a vote: what they print counts beside reasoning in words, and what goes wrong in one costs its vote only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Line
from bethink.errors import SandboxMissing, UsageError
from bethink.model import Model
from bethink.profiles import Profile
from bethink.thinking.aid import Aid
from bethink.thinking.belief import Belief
from bethink.thinking.checks.aided import printed_value, shown
from bethink.thinking.vote import VoteRule
from bethink.trace import Trace
from bethink.types import Drawing, Message, Request, Result, Started, Tool
from bethink.verify.sandbox import Sandbox, SharedSandbox
from tests.unit.scripted_models import NATIVE, PLAIN, scripted_model

pytestmark = pytest.mark.anyio

QUESTION = "What is 17 * 23?"
SEED = 5
WISH = "short Python program"
RIGHT = "a = 17\nprint(a * 23)\n```\nIt prints 391."


def spoken(words: Sequence[str], programs: Sequence[str]) -> Callable[[Context], Line]:
    """Paths in words say the texts of `words` in turn, those that write programs the texts of `programs`."""

    def script(context: Context) -> Line:
        at = (context.sampling.seed - SEED) // 1_000_003
        texts = programs if WISH in context.text else words
        return Line(texts[at % len(texts)])

    return script


def aided_model(
    words: Sequence[str], programs: Sequence[str], *, profile: Profile = PLAIN, traces: Path | None = None, **settings: Any
) -> Model:
    return scripted_model(spoken(words, programs), profile=profile, traces=traces, **settings)


def asked(text: str = QUESTION, **limits: Any) -> Request:
    settings: dict[str, Any] = {"seed": SEED, "budget": 0, "paths": 4, "programs": 2, **limits}
    return Request((Message("user", text),), **settings)


async def test_programs_that_agree_out_vote_a_wrong_path_in_words() -> None:
    model = aided_model(["The answer is 400.", "x", "The answer is 401."], [RIGHT])
    result = await model.answer(asked())
    assert [path.kind for path in result.paths] == ["prose", "program", "prose", "program"]
    assert [path.extracted for path in result.paths] == ["400", "391", "401", "391"]
    assert (result.verdict.kind, result.verdict.extracted) == ("vote", "391")
    assert result.answer == shown("a = 17\nprint(a * 23)", "391")
    assert "2 of 4 paths agree; 2 of 2 programs gave a value" in result.verdict.why
    assert "no path in words reached" in result.verdict.why
