"""Thinking × JSON schema × tools × streaming in every dialect, with a real small model behind the whole server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import bethink
from bethink.model import Model
from bethink.verify.schema import check_schema
from tests.unit.server.wire.served import serving_model
from tests.unit.server.wire.speaking import CUT, SCHEMA, SPEECHES, Question, Speech
from tests.unit.server.wire.test_matrix import ask

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with bethink.load("smollm2:135m") as loaded:
        loaded.traces = None
        yield loaded


@pytest.mark.parametrize("speech", SPEECHES, ids=lambda s: s.name)
@pytest.mark.parametrize("budget", [0, 24], ids=["not", "budget"])
@pytest.mark.parametrize("has_schema", [False, True], ids=["text", "schema"])
@pytest.mark.parametrize("has_tools", [False, True], ids=["alone", "tools"])
async def test_every_combination_keeps_the_contract(
    model: Model, speech: Speech, budget: int, has_schema: bool, has_tools: bool
) -> None:
    asked = Question(budget=budget, has_schema=has_schema, has_tools=has_tools, max_tokens=96)
    async with serving_model(model) as served:
        whole = await ask(served, speech, asked, streaming=False)
        streamed = await ask(served, speech, asked, streaming=True)
    assert (streamed.answer, streamed.finish, streamed.usage) == (whole.answer, whole.finish, whole.usage)
    assert [call[1:] for call in streamed.calls] == [call[1:] for call in whole.calls]
    assert whole.answer.strip() or whole.calls
    used = whole.bethink["usage"]
    assert used["thinking_tokens"] <= budget
    assert used["thinking_tokens"] + used["answer_tokens"] <= 96  # what was rolled back is counted beside them
    if has_schema and not whole.calls and whole.finish not in CUT:
        assert check_schema(SCHEMA, whole.answer).passed, whole.answer
        json.loads(whole.answer)
