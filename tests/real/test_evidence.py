"""Evidence with a real small model: whatever it writes, what is said of it is true and its tokens are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import bethink
from bethink.errors import SandboxMissing
from bethink.model import Model
from bethink.types import Finished, Message, Request
from bethink.verify.code import behaviours
from bethink.verify.sandbox import open_sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.real]

SCHEMA = json.dumps(
    {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with bethink.load("smollm2:135m") as loaded:
        loaded.traces = None
        yield loaded


async def test_a_schema_that_decoding_keeps_to_holds(model: Model) -> None:
    question = (Message("user", "What is the capital of France?"),)
    result = await model.answer(Request(question, check="schema", json_schema=SCHEMA, max_tokens=200, seed=1))
    assert (result.verdict.kind, result.verdict.passed) == ("schema", True)
    assert "city" in json.loads(result.verdict.extracted or "")


async def test_a_command_ends_the_run_at_the_first_answer_that_passes(model: Model) -> None:
    question = (Message("user", "Say one word."),)
    result = await model.answer(Request(question, check="cmd:true", paths=4, budget=0, max_tokens=120, seed=1))
    assert (result.verdict.kind, result.verdict.passed) == ("cmd", True)
    assert result.usage.completion_tokens == sum(path.usage.completion_tokens for path in result.paths)


async def test_what_is_said_of_programs_is_so(model: Model) -> None:
    try:
        sandbox = open_sandbox()
    except SandboxMissing as error:
        pytest.skip(f"no sandbox here: {error}")
    question = (Message("user", "Write a Python function add(a, b) that returns the sum.\n>>> add(1, 2)\n3"),)
    run = model.think(Request(question, check="code", paths=4, budget=0, max_tokens=300, seed=1))
    result = [event.result async for event in run if isinstance(event, Finished)].pop()
    sampled = sum(token.origin == "sampled" for path in run.trace.paths for token in path.tokens)
    assert result.usage.completion_tokens == sampled
    assert result.verdict.kind == "code"
    unrefuted = [p for p in result.paths if p.extracted and p.passed is not False and not p.is_cancelled]
    with sandbox:
        outputs = behaviours([p.extracted or "" for p in unrefuted], ["add(1, 2)"], sandbox=sandbox)
    assert {found for found in outputs if found} <= {("3",)}
