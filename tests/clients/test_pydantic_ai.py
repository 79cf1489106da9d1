"""`pydantic-ai`: agents with tools and typed output, over chat and over Responses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import ANSWER, client
from tests.unit.server.wire.served import THOUGHT

pydantic_ai: Any = client("pydantic_ai")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.anyio]


def model(kind: str, url: str) -> Any:
    openai: Any = client("pydantic_ai.models.openai")
    providers: Any = client("pydantic_ai.providers.openai")
    provider = providers.OpenAIProvider(base_url=f"{url}/v1", api_key="none")
    return getattr(openai, kind)("scripted", provider=provider)


@pytest.mark.parametrize("kind", ["OpenAIChatModel", "OpenAIResponsesModel"])
async def test_an_agent_answers_and_its_thought_is_a_part(url: str, kind: str) -> None:
    wish = {"openai_reasoning_summary": "detailed"} if kind == "OpenAIResponsesModel" else {}
    told = await pydantic_ai.Agent(model(kind, url)).run("Tell me about two and two.", model_settings=wish)
    assert told.output == ANSWER
    thoughts = [part.content for m in told.all_messages() for part in m.parts if part.part_kind == "thinking"]
    assert THOUGHT in thoughts


@pytest.mark.parametrize("kind", ["OpenAIChatModel", "OpenAIResponsesModel"])
async def test_an_agent_calls_its_tool_and_answers_with_the_result(url: str, kind: str) -> None:
    agent = pydantic_ai.Agent(model(kind, url))

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    agent.tool_plain(add)
    assert (await agent.run("Tell me about two and two.")).output == "The tool says 4."


@pytest.mark.parametrize("kind", ["OpenAIChatModel", "OpenAIResponsesModel"])
async def test_an_agent_streams(url: str, kind: str) -> None:
    async with pydantic_ai.Agent(model(kind, url)).run_stream("Tell me about two and two.") as stream:
        assert await stream.get_output() == ANSWER
